# SPDX-License-Identifier: Apache-2.0
"""Protection set for a folder in dbt_project.yml and overridden by a model comes out right, by a real dbt's manifest."""
import errno
import os
import textwrap

import pytest

from lib.command import errno_of
from lib.dbt import Dbt
from lib.events import make_events
from lib.place import Place

NOW = "2024-09-05T12:00:00"
PROJECT = """
    name: shop
    version: "1.0.0"
    profile: shop
    model-paths: [models]
    models:
      shop:
        +materialized: incremental
        +incremental_strategy: microbatch
        +unique_key: id
        +event_time: event_time
        +batch_size: day
        +begin: "2024-09-01"
        kept:
          +full_refresh: false
          deep:
            +full_refresh: true
    """
SOURCES = """
    version: 2
    sources:
      - name: raw
        schema: an
        tables: [{name: events, config: {event_time: event_time}}]
    models:
      - name: by_properties
        config: {full_refresh: true}
    """
SQL = "select id, event_time, val from {{ source('raw', 'events') }}"
# {file: (its own config, by what the model is protected)}
MODELS = {
    "plain": ("", False),
    "alone": ("{{ config(full_refresh=false) }}", "config"),
    "kept/folder": ("", "config"),
    "kept/by_itself": ("{{ config(full_refresh=true) }}", False),
    "kept/by_properties": ("", False),
    "kept/deep/deeper": ("", False),
    "kept/deep/again": ("{{ config(full_refresh=false) }}", "config"),
}


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def shop(dbt_python, tmp_path, warehouse):
    place = tmp_path / "shop"
    files = {"dbt_project.yml": PROJECT, "models/sources.yml": SOURCES, "profiles.yml": f"""
        shop:
          target: an
          outputs:
            an: {{type: postgres, host: '{warehouse.pg.home}', user: postgres, password: '', port: 5432,
                 dbname: warehouse, threads: 2, schema: an}}
        """}
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    for name, (config, _) in MODELS.items():
        path = place / "models" / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{config}\n{SQL}\n")
    make_events(warehouse)
    dbt = Dbt(dbt_python, place, {})
    dbt("compile")
    dbt.close()
    return Place(place, warehouse)


def test_by_what_a_model_is_protected(shop, warehouse, mount):
    m = mount(shop, now=NOW)
    for name, (_, by) in MODELS.items():
        model = name.rsplit("/", 1)[-1]
        said, shown = m.document(model, ".full-refresh"), m.document(model, ".model")
        assert said["protected"] == shown["protected"] == by, name
        assert ("full_refresh: false" in said["message"]) if by else said["message"] is None, name
        assert errno_of(os.utime, m / model / ".full-refresh") == (errno.EPERM if by else 0), name
    for name, (_, by) in MODELS.items():
        model = name.rsplit("/", 1)[-1]
        if by:
            m.build(model, "2024-09-01")
        else:
            m.sync(model, ".full-refresh")
        assert warehouse.count(model) == (4 if by else 20), name


def test_the_mount_protects_all_and_chmod_the_rest(shop, mount):
    m = mount(shop, now=NOW)
    os.chmod(m / "plain" / ".full-refresh", 0o444)
    assert m.document("plain", ".model")["protected"] == m.document("plain", ".full-refresh")["protected"] == "chmod"
    # What says most comes first: nobody can lift it here.
    os.chmod(m / "alone" / ".full-refresh", 0o444)
    assert m.document("alone", ".full-refresh")["protected"] == "config"
    m.unmount()
    m = mount(shop, "protect", now=NOW)
    assert m.document("plain", ".full-refresh")["protected"] == m.document("deeper", ".model")["protected"] == "mount"
    assert m.document("alone", ".full-refresh")["protected"] == "config"
