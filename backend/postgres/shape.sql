-- SPDX-License-Identifier: Apache-2.0
-- What the database says of targets and inputs (shape.c). By names and not by to_regclass(), which fails where a schema
-- may not be used.

-- Columns that an insert may not name are left out.
-- name: shape_targets
select u.n, c.oid, c.relkind, {shape_type}, pg_catalog.format_type(a.atttypid, a.atttypmod),
	exists (
		select from pg_catalog.pg_index i
		where i.indrelid = c.oid and i.indisvalid and i.indkey[0] = a.attnum),
	(
		select pg_catalog.string_agg(pg_catalog.quote_ident(l.attname), ', ' order by l.attnum)
		from pg_catalog.pg_attribute l
		where l.attrelid = c.oid and l.attnum > 0
		and not l.attisdropped and l.attgenerated = '' and l.attidentity <> 'a'),
	c.relrowsecurity,
	exists (
		select from pg_catalog.pg_attribute l
		where l.attrelid = c.oid and l.attnum > 0 and not l.attisdropped and l.atttypmod > 4
		and l.atttypid in ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype)),
	exists (
		select from pg_catalog.pg_index i
		where i.indrelid = c.oid and i.indisvalid and i.indkey[0] = 0),
	c.relkind = 'p' and {partition_ranged}, {partition_hinders}
{shape_find}

-- name: shape_inputs
select u.n, c.oid, {shape_type}, pg_catalog.format_type(a.atttypid, a.atttypmod) {shape_find}

-- An event_time is of its domain's base type.
-- name: shape_type
case when ty.typtype = 'd' then (select b.type from {columns_base} b) else a.atttypid end

-- name: shape_find
from unnest($1::int[], $2::text[], $3::text[], $4::text[]) as u (n, s, t, col)
join pg_catalog.pg_namespace ns on ns.nspname = u.s
join pg_catalog.pg_class c on c.relnamespace = ns.oid and c.relname = u.t
left join pg_catalog.pg_attribute a
	on a.attrelid = c.oid and a.attname = u.col and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_type ty on ty.oid = a.atttypid
