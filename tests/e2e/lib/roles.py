# SPDX-License-Identifier: Apache-2.0
"""Mounting as somebody else than the database's superuser."""


def make_role(warehouse, name, *statements):
    """A fresh role that may log in, and what it is given: `{role}` in the statements."""
    if warehouse.sql("SELECT FROM pg_roles WHERE rolname = %s", name):
        # Of the databases of earlier tests nothing is left; here it owns nothing yet.
        warehouse.sql(f"DROP OWNED BY {name}")
        warehouse.sql(f"DROP ROLE {name}")
    warehouse.sql(f"CREATE ROLE {name} LOGIN")
    for statement in statements:
        warehouse.sql(statement.format(role=name))
    return name


def login(pg, tmp_path, role):
    """The environment of a mount whose service `warehouse` logs in as the role."""
    path = tmp_path / f"{role}.conf"
    path.write_text(f"[warehouse]\nhost={pg.home}\nuser={role}\ndbname=warehouse\n")
    return {"PGSERVICEFILE": str(path)}


BUILDER = ("GRANT CREATE ON DATABASE warehouse TO {role}", "GRANT USAGE, CREATE ON SCHEMA an TO {role}",
           "GRANT SELECT ON ALL TABLES IN SCHEMA an TO {role}")
