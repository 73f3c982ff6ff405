-- SPDX-License-Identifier: Apache-2.0
-- What the query yields against what the target has, as dbt-adapters compares them: column by column, by name; types as
-- information_schema has them, a text of no stated length being 256 characters long where lengths are compared.

-- Of the column `a`: what its domain is of in the end, a domain being of another one perhaps.
-- name: columns_base
(
	with recursive up (type, modifier) as (
		select a.atttypid, a.atttypmod
		union all
		select d.typbasetype, d.typtypmod
		from up
		join pg_catalog.pg_type d on d.oid = up.type and d.typtype = 'd')
	select up.type, up.modifier
	from up
	where not exists (select from pg_catalog.pg_type d where d.oid = up.type and d.typtype = 'd'))

-- $1: the target's oid; $2, $3, $4: names, types and modifiers of what the query yields, in its order.
-- Rows, in the order in which they are acted on: what, the column in quotes, a type. A column that the server
-- computes, or numbers always, is nobody's to drop or to name in an insert.
-- name: columns_compare
with yielded as (
	select y.n, y.name, y.type, y.modifier, {columns_named} as named, {columns_length} as length
	from unnest($2::text[], $3::oid[], $4::int[]) with ordinality as y (name, type, modifier, n)
), had as (
	select a.attnum as n, a.attname::text as name, b.type, b.modifier,
		a.attgenerated <> '' or a.attidentity = 'a' as made
	from pg_catalog.pg_attribute a
	cross join lateral {columns_base} b
	where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
), widened as (
	select y.*, case
		when y.type in ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype) and y.modifier > 4
			and w.length > y.modifier - 4
			then 'character varying(' || w.length || ')'
		end as wide, {columns_named} as named
	from had y
	left join yielded w on w.name = y.name
)
select f.what, pg_catalog.quote_ident(f.name), f.type
from (
	select 1, y.n, 'add', y.name, {columns_written}
	from yielded y
	where not exists (select from had h where h.name = y.name)
	union all
	select 2, h.n, 'drop', h.name, null
	from had h
	where not h.made and not exists (select from yielded y where y.name = h.name)
	union all
	select 3, h.n, 'widen', h.name, h.wide
	from widened h
	where h.wide is not null
	union all
	select 4, h.n, 'change', h.name, {columns_written}
	from widened h
	join yielded y using (name)
	where not h.made and coalesce(h.wide, h.named) <> y.named
	union all
	select 5, y.n, 'fill', y.name, null
	from yielded y
	where not exists (select from had h where h.name = y.name and h.made)
) as f (step, n, what, name, type)
order by f.step, f.n

-- As information_schema.columns.data_type, with the length or the digits that dbt adds.
-- name: columns_named
case
	when y.type = 'pg_catalog.bpchar'::regtype
		then 'character varying(' || case when y.modifier > 4 then y.modifier - 4 else 256 end || ')'
	when y.type in ('pg_catalog.varchar'::regtype, 'pg_catalog.numeric'::regtype)
		then pg_catalog.format_type(y.type, y.modifier)
	when exists (select from pg_catalog.pg_type t where t.oid = y.type and t.typelem <> 0 and t.typlen = -1)
		then 'ARRAY'
	when exists (
		select from pg_catalog.pg_type t
		where t.oid = y.type and t.typnamespace <> 'pg_catalog'::regnamespace)
		then 'USER-DEFINED'
	else pg_catalog.format_type(y.type, null)
end

-- name: columns_length
case
	when y.type = 'pg_catalog.text'::regtype then 256
	when y.type in ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype)
		then case when y.modifier > 4 then y.modifier - 4 else 256 end
end

-- name: columns_written
case
	when y.type = 'pg_catalog.bpchar'::regtype then {columns_named}
	else pg_catalog.format_type(y.type, y.modifier)
end
