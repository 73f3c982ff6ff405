# SPDX-License-Identifier: Apache-2.0
"""Everything that is in a warehouse, as something to compare."""
from pathlib import Path


def footprint(warehouse):
    """SQLite: the bytes of its files. PostgreSQL: each table's rows."""
    if warehouse.engine == "sqlite":
        files = Path(warehouse.path).parent.glob(Path(warehouse.path).name + "*")
        return {p.name: p.read_bytes() for p in sorted(files) if not p.name.endswith("-shm")}
    tables = warehouse.sql("SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM"
                           " information_schema.tables WHERE table_schema IN ('an', 'batchfs') ORDER BY 1")
    return {name: warehouse.sql(f"SELECT count(*), md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), ''))"
                                f" FROM {name} t")[0] for name, in tables}
