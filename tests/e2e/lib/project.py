# SPDX-License-Identifier: Apache-2.0
"""Writes the manifest.json that `dbt compile` would write for a small project."""
import hashlib
import json
from pathlib import Path

SCHEMA_VERSION = "https://schemas.getdbt.com/dbt/manifest/v12.json"


class Project:
    """
    p = Project(tmp_path / "target", warehouse)
    p.source("events", event_time="event_time")
    p.model("sessions", "select * from {events}", inputs=["events"])
    p.write()
    """

    def __init__(self, target, warehouse, name="proj"):
        self.target = Path(target)
        self.warehouse = warehouse
        self.name = name
        self.nodes, self.sources, self.ids = {}, {}, {}

    def source(self, name, event_time=None, **keys):
        unique_id = f"source.{self.name}.raw.{name}"
        self.ids[name] = unique_id
        self.sources[unique_id] = {
            "database": self.warehouse.database, "schema": self.warehouse.schema, "name": name,
            "resource_type": "source", "package_name": self.name, "path": "models/s.yml",
            "original_file_path": "models/s.yml", "unique_id": unique_id, "fqn": [self.name, "raw", name],
            "source_name": "raw", "identifier": name, "tags": [],
            "config": {"enabled": True, "event_time": event_time},
            "relation_name": self.warehouse.relation(name), **keys,
        }

    def node(self, name, sql, config, inputs=(), package=None, version=None, **keys):
        """Any model. `{name}` in the SQL is the relation of what was declared before."""
        package = package or self.name
        unique_id = f"model.{package}.{name}" + (f".v{version}" if version is not None else "")
        self.ids[name] = unique_id
        relations = {other: (self.nodes.get(i) or self.sources[i])["relation_name"] for other, i in self.ids.items()
                     if i in self.nodes or i in self.sources}
        relations[name] = self.warehouse.relation(keys.get("alias", name))
        compiled = None if sql is None else sql.format(**relations)
        raw = sql or f"select 1 as {name}"
        for other in relations:
            raw = raw.replace("{" + other + "}", self._jinja(other, unique_id))
        node = {
            "database": self.warehouse.database, "schema": self.warehouse.schema, "name": name,
            "resource_type": "model", "package_name": package, "path": f"{name}.sql",
            "original_file_path": f"models/{name}.sql", "unique_id": unique_id, "fqn": [package, name],
            "alias": name,
            "checksum": {"name": "sha256", "checksum": hashlib.sha256(raw.encode()).hexdigest()},
            "config": {"enabled": True, "tags": [], "meta": {}, "materialized": "view", "full_refresh": None,
                       "on_schema_change": "ignore", "pre-hook": [], "post-hook": [], "grants": {},
                       "contract": {"enforced": False}, **config},
            "tags": config.get("tags", []), "relation_name": relations[name], "raw_code": raw,
            "language": "sql", "refs": [], "sources": [],
            "depends_on": {"macros": [], "nodes": [self.ids[i] for i in inputs]},
            "compiled_path": f"target/compiled/{package}/models/{name}.sql", "compiled": compiled is not None,
            "extra_ctes_injected": True, "extra_ctes": [], "version": version, **keys,
        }
        if compiled is not None:
            node["compiled_code"] = compiled
        for i in inputs:
            if self.ids[i].startswith("source."):
                node["sources"].append(["raw", i])
            else:
                node["refs"].append({"name": i, "package": None, "version": None})
        self.nodes[unique_id] = node
        return node

    def _jinja(self, name, reader):
        """How dbt's source text mentions it."""
        if self.ids[name] == reader:
            return "{{ this }}"
        if self.ids[name].startswith("source."):
            return "{{ source('raw', '" + name + "') }}"
        return "{{ ref('" + name + "') }}"

    def model(self, name, sql, inputs=(), batch_size="day", begin="2024-09-01", event_time="event_time",
              **config):
        """A microbatch model; `config` overrides or adds."""
        keys = {k: config.pop(k) for k in ("package", "version", "alias") if k in config}
        return self.node(name, sql, {
            "materialized": "incremental", "incremental_strategy": "microbatch", "batch_size": batch_size,
            "begin": begin, "event_time": event_time, "lookback": 1, "unique_key": None,
            "concurrent_batches": None, **config}, inputs, **keys)

    def view(self, name, sql, inputs=(), **config):
        return self.node(name, sql, {"materialized": "view", **config}, inputs)

    def manifest(self):
        every = {**self.nodes, **self.sources}
        parents = {i: n.get("depends_on", {}).get("nodes", []) for i, n in every.items()}
        children = {i: [c for c, ps in parents.items() if i in ps] for i in every}
        return {
            "metadata": {"dbt_schema_version": SCHEMA_VERSION, "dbt_version": "1.11.16",
                         "generated_at": "2024-09-01T00:00:00Z", "project_name": self.name,
                         "adapter_type": self.warehouse.engine},
            "nodes": self.nodes, "sources": self.sources, "macros": {}, "docs": {}, "exposures": {},
            "metrics": {}, "groups": {}, "selectors": {}, "disabled": {}, "parent_map": parents,
            "child_map": children, "group_map": {}, "saved_queries": {}, "semantic_models": {}, "unit_tests": {},
        }

    def write(self):
        self.target.mkdir(parents=True, exist_ok=True)
        (self.target / "manifest.json").write_text(json.dumps(self.manifest(), indent=1))
        return self.target
