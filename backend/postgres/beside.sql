-- SPDX-License-Identifier: Apache-2.0
-- A table like another one, made beside it (beside.c). Every query of this file runs with an empty search_path, so
-- that the server writes all names with their schema.

-- $1: the relation, a table or a materialized view; $2: the name of the one beside it, which is in the same schema;
-- $3: what the names of its indexes and statistics begin with until it is exchanged, the oid of the one that each
-- is like behind that.
-- name: beside_pair
pair as (
	select c.*, ns.nspname, pg_catalog.format('%I.%I', ns.nspname, c.relname) as target,
		pg_catalog.format('%I.%I', ns.nspname, $2::text) as beside, $3::text as prefix
	from pg_catalog.pg_class c join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
	where c.oid = $1::oid)

-- name: beside_options
coalesce((select ' with (' || pg_catalog.string_agg(o.name || pg_catalog.format(' = %L', o.value), ', ') || ')'
	from (
		select pg_catalog.split_part(e, '=', 1), pg_catalog.substr(e, pg_catalog.strpos(e, '=') + 1)
		from pg_catalog.unnest(p.reloptions) e
		union all
		select 'toast.' || pg_catalog.split_part(e, '=', 1),
			pg_catalog.substr(e, pg_catalog.strpos(e, '=') + 1)
		from pg_catalog.pg_class t, pg_catalog.unnest(t.reloptions) e where t.oid = p.reltoastrelid) as o (name, value)),
	'')

-- name: beside_method
coalesce((select pg_catalog.format(' using %I', am.amname) from pg_catalog.pg_am am where am.oid = p.relam), '')

-- name: beside_tablespace
coalesce((select pg_catalog.format(' tablespace %I', s.spcname) from pg_catalog.pg_tablespace s
	where s.oid = p.reltablespace), '')

-- The indexes, with the constraint that each serves.
-- name: beside_indexes
indexes as (
	select i.*, ic.relname as name, ic.reltablespace as space, p.prefix || i.indexrelid as temporary, p.beside,
		p.nspname, pg_catalog.pg_get_indexdef(i.indexrelid) as def,
		pg_catalog.format('CREATE %sINDEX %I ON %s ', case when i.indisunique then 'UNIQUE ' else '' end,
			ic.relname, p.target) as head,
		k.oid as con, k.contype, pg_catalog.pg_get_constraintdef(k.oid) as condef,
		case when k.condeferrable then ' deferrable' else '' end
		|| case when k.condeferred then ' initially deferred' else '' end as deferred
	from pair p join pg_catalog.pg_index i on i.indrelid = p.oid
	join pg_catalog.pg_class ic on ic.oid = i.indexrelid
	left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.conrelid = p.oid
		and k.contype in ('p', 'u', 'x'))

-- The statements that make the table and what belongs to it, in their order; null: one that cannot be written.
-- name: beside_table
with {beside_pair}, {beside_indexes}
select all_of.statement from (
	select 1, 0::oid, pg_catalog.format(
		'create %stable %s (like %s including all excluding indexes excluding statistics)%s%s%s',
		case p.relpersistence when 'u' then 'unlogged ' else '' end, p.beside, p.target,
		{beside_method}, {beside_options}, {beside_tablespace})
	from pair p where p.relkind = 'r'
	union all {beside_parts}) as all_of (step, n, statement)
order by step, n, statement

-- The same without the table itself: of a materialized view, or a table that is there.
-- name: beside_rest
with {beside_pair}, {beside_indexes}
select all_of.statement from ({beside_parts}) as all_of (step, n, statement)
order by step, n, statement

-- name: beside_parts
select 2, a.attnum::text::oid, pg_catalog.format('alter table %s alter column %I set statistics %s', p.beside,
	a.attname, a.attstattarget)
from pair p join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped
where coalesce(a.attstattarget, -1) >= 0
union all
select 2, a.attnum::text::oid, pg_catalog.format('alter table %s alter column %I set (%s)', p.beside, a.attname,
	pg_catalog.array_to_string(a.attoptions, ', '))
from pair p join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped
where a.attoptions is not null
union all
select 3, i.indexrelid, case when pg_catalog.left(i.def, pg_catalog.length(i.head)) = i.head then
	pg_catalog.format('create %sindex %I on %s ', case when i.indisunique then 'unique ' else '' end,
	i.temporary, i.beside) || pg_catalog.substr(i.def, pg_catalog.length(i.head) + 1) end
from indexes i where not i.indisexclusion
union all
select 4, i.indexrelid, case when i.contype = 'x' or i.indisexclusion then
	pg_catalog.format('alter table %s add constraint %I %s', i.beside, i.temporary, i.condef)
	else pg_catalog.format('alter table %s add constraint %I %s using index %I%s', i.beside, i.temporary,
	case i.contype when 'p' then 'primary key' else 'unique' end, i.temporary, i.deferred) end
from indexes i where i.con is not null
union all
select 5, i.indexrelid, pg_catalog.format('alter index %I.%I set tablespace %I', i.nspname, i.temporary, s.spcname)
from indexes i join pg_catalog.pg_tablespace s on s.oid = i.space
union all
select 5, i.indexrelid, pg_catalog.format('alter index %I.%I alter column %s set statistics %s', i.nspname,
	i.temporary, a.attnum, a.attstattarget)
from indexes i join pg_catalog.pg_attribute a on a.attrelid = i.indexrelid and a.attnum > 0
where coalesce(a.attstattarget, -1) >= 0
union all
select 5, i.indexrelid, pg_catalog.format('alter table %s cluster on %I', i.beside, i.temporary)
from indexes i where i.indisclustered
union all
select 5, 0, pg_catalog.format('alter table %s replica identity %s', p.beside, case p.relreplident
	when 'f' then 'full' when 'n' then 'nothing' else (select pg_catalog.format('using index %I', i.temporary)
	from indexes i where i.indisreplident) end)
from pair p where p.relkind = 'r' and p.relreplident <> 'd'
union all
select 6, k.oid, pg_catalog.format('alter table %s add constraint %I %s', p.beside, k.conname,
	pg_catalog.pg_get_constraintdef(k.oid))
from pair p join pg_catalog.pg_constraint k on k.conrelid = p.oid and k.contype = 'f' and k.conparentid = 0
union all
select 6, p.oid, pg_catalog.format('alter table %s add constraint %I check (%s)', p.beside, p.prefix || 'bounds',
	pg_catalog.pg_get_partition_constraintdef(p.oid))
from pair p where p.relispartition
union all
select 7, x.oid, case when pg_catalog.left(x.def, pg_catalog.length(x.head)) = x.head
	and pg_catalog.right(x.def, pg_catalog.length(x.tail)) = x.tail then
	pg_catalog.format('create statistics %I.%I', x.nspname, x.temporary)
	|| pg_catalog.substr(x.def, pg_catalog.length(x.head) + 1, pg_catalog.length(x.def)
		- pg_catalog.length(x.head) - pg_catalog.length(x.tail)) || ' from ' || x.beside end
from ({beside_statistics}) x
union all
select 8, x.oid, pg_catalog.format('alter statistics %I.%I set statistics %s', x.nspname, x.temporary, x.stxstattarget)
from ({beside_statistics}) x where coalesce(x.stxstattarget, -1) >= 0
union all
select 9, t.oid, pg_catalog.left(t.def, t.at) || ' on ' || t.beside
	|| pg_catalog.substr(t.def, t.at + pg_catalog.length(t.target) + 5)
from ({beside_triggers}) t
union all
select 10, t.oid, pg_catalog.format('alter table %s %s trigger %I', t.beside, case t.tgenabled
	when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, t.tgname)
from ({beside_triggers}) t where t.tgenabled <> 'O'
union all
select 11, a.attnum::text::oid, pg_catalog.format(
	'select pg_catalog.setval(pg_catalog.pg_get_serial_sequence(%L, %L), last_value, is_called) from %s', p.beside,
	a.attname, pg_catalog.pg_get_serial_sequence(p.target, a.attname))
from pair p join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attidentity <> '' and not a.attisdropped
union all
select 12, i.indexrelid, pg_catalog.format('comment on index %I.%I is %L', i.nspname, i.temporary, d.description)
from indexes i join pg_catalog.pg_description d on d.classoid = 'pg_catalog.pg_class'::regclass
	and d.objoid = i.indexrelid and d.objsubid = 0
union all
select 12, k.oid, pg_catalog.format('comment on constraint %I on %s is %L',
	case when k.contype = 'f' then k.conname else (p.prefix || k.conindid)::name end, p.beside, d.description)
from pair p join pg_catalog.pg_constraint k on k.conrelid = p.oid and k.contype in ('p', 'u', 'x', 'f')
	and k.conparentid = 0
join pg_catalog.pg_description d on d.classoid = 'pg_catalog.pg_constraint'::regclass and d.objoid = k.oid
union all
select 12, x.oid, pg_catalog.format('comment on statistics %I.%I is %L', x.nspname, x.temporary, d.description)
from ({beside_statistics}) x join pg_catalog.pg_description d
	on d.classoid = 'pg_catalog.pg_statistic_ext'::regclass and d.objoid = x.oid
union all
select 12, t.oid, pg_catalog.format('comment on trigger %I on %s is %L', t.tgname, t.beside, d.description)
from ({beside_triggers}) t join pg_catalog.pg_description d
	on d.classoid = 'pg_catalog.pg_trigger'::regclass and d.objoid = t.oid

-- name: beside_statistics
select x.*, ns.nspname, p.prefix || x.oid as temporary, p.beside, pg_catalog.pg_get_statisticsobjdef(x.oid) as def,
	pg_catalog.format('CREATE STATISTICS %I.%I', ns.nspname, x.stxname) as head, ' FROM ' || p.target as tail
from pair p join pg_catalog.pg_statistic_ext x on x.stxrelid = p.oid
join pg_catalog.pg_namespace ns on ns.oid = x.stxnamespace

-- The server writes `... ON schema.table ...`; where the name stands earlier, in the name of a column, say, the
-- statement is wrong and fails.
-- name: beside_triggers
select t.*, p.beside, p.target, pg_catalog.pg_get_triggerdef(t.oid) as def,
	pg_catalog.strpos(pg_catalog.pg_get_triggerdef(t.oid), ' ON ' || p.target || ' ') - 1 as at
from pair p join pg_catalog.pg_trigger t on t.tgrelid = p.oid and not t.tgisinternal and t.tgparentid = 0

-- The server writes all names with their schema, and writes a definition the same way whoever asks.
-- name: beside_settings
select pg_catalog.set_config('search_path', '', true),
	pg_catalog.set_config('TimeZone', 'UTC', true), pg_catalog.set_config('DateStyle', 'ISO, MDY', true),
	pg_catalog.set_config('IntervalStyle', 'postgres', true), pg_catalog.set_config('default_tablespace', '', true),
	pg_catalog.set_config('quote_all_identifiers', 'off', true)

-- What changes a table meanwhile: whoever does so while there is one beside it.
-- name: beside_shape
select pg_catalog.md5(pg_catalog.string_agg(l.statement, '; ')) from ({beside_table}) l
where l.statement not like 'comment on %'

-- What stands beside for $1 (the names of its tables and materialized views begin so) in whatever schema, and says that
-- it is ours: what reads comes before what is read.
-- name: beside_drops
select pg_catalog.format('drop %s %I.%I', case c.relkind when 'm' then 'materialized view' else 'table' end, ns.nspname,
	c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
where c.relkind in ('r', 'm') and pg_catalog.left(c.relname, pg_catalog.length($1)) = $1
and pg_catalog.substr(c.relname, pg_catalog.length($1) + 1) ~ '^(_[0-9]+)?$'
and pg_catalog.obj_description(c.oid, 'pg_class') like 'batchfs: stands beside %'
order by c.relkind = 'r', c.oid desc

-- name: beside_comment
with {beside_pair}
select pg_catalog.format('comment on table %s is %L', p.beside,
	'batchfs: stands beside ' || p.target || ' until a full refresh has ended')
from pair p
