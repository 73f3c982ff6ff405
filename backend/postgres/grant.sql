-- SPDX-License-Identifier: Apache-2.0

-- name: grant_rights
select pg_catalog.concat_ws(', ',
		case when not has_table_privilege($1::oid, 'SELECT') then 'SELECT' end,
		case when not has_table_privilege($1::oid, 'INSERT') then 'INSERT' end,
		case when not has_table_privilege($1::oid, 'DELETE') then 'DELETE' end),
	pg_catalog.quote_ident(current_user), pg_catalog.row_security_active($1::oid),
	has_schema_privilege(c.relnamespace, 'USAGE'), c.relnamespace::regnamespace::text
from pg_catalog.pg_class c where c.oid = $1::oid
