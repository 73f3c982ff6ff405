-- SPDX-License-Identifier: Apache-2.0
-- Making a target (create.c).

-- name: create_lock
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('batchfs ' || $1, 0))

-- name: create_look
select ns.oid is not null,
	coalesce(has_schema_privilege(ns.oid, 'CREATE') and has_schema_privilege(ns.oid, 'USAGE'), false),
	has_database_privilege(current_database(), 'CREATE'), quote_ident(current_user),
	quote_ident(current_database()), exists (
		select from pg_catalog.pg_class c where c.relnamespace = ns.oid and c.relname = $2)
from (select $1::text as name) n left join pg_catalog.pg_namespace ns on ns.nspname = n.name

-- name: create_find
select c.oid, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = $3 and a.attnum > 0
where ns.nspname = $1 and c.relname = $2

-- Whether an index leads with event_time, the column or any expression; one that is not a btree served no DELETE.
-- name: create_is_led
select
from pg_catalog.pg_class c
join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
join pg_catalog.pg_index i on i.indrelid = c.oid
join pg_catalog.pg_class ic on ic.oid = i.indexrelid
join pg_catalog.pg_am am on am.oid = ic.relam and am.amname = 'btree'
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = $3 and a.attnum > 0
where ns.nspname = $1 and c.relname = $2 and $3 is not null and i.indkey[0] = a.attnum

-- Where another table was known, adopt() is to void its states, and records this one then.
-- name: create_record
update batchfs.model set created_by_us = true, target_oid = coalesce(target_oid, $2::oid) where id = $1::int
