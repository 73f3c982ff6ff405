-- SPDX-License-Identifier: Apache-2.0
-- Targets that are partitioned by range of their event_time (partition.c, partition_exchange.c).

-- Of the target c and its event_time a: each batch may have a partition of its own.
-- name: partition_ranged
exists (
	select from pg_catalog.pg_partitioned_table k
	where k.partrelid = c.oid and k.partstrat = 'r' and k.partnatts = 1 and k.partattrs[0] = a.attnum
	and a.atttypid in ('pg_catalog.date'::regtype, 'pg_catalog.timestamp'::regtype, 'pg_catalog.timestamptz'::regtype))

-- Why no partition of the target c may be exchanged: null where it is not partitioned, '' where nothing is in the way.
-- What fires for a row, or is told of it, would not hear of rows that come with their table: triggers, foreign keys,
-- rules, policies, logical replicas (a row is sent to them only if its table was published when it was written).
-- name: partition_hinders
case when c.relkind = 'p' then case
	when not {partition_ranged} then 'is not partitioned by range of its event_time alone'
	when exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid)
		or exists (select from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'f')
		then 'has triggers or foreign keys'
	when c.relhasrules then 'has rules'
	when c.relrowsecurity then 'has row level security'
	when exists (
		select from pg_catalog.pg_attribute l
		where l.attrelid = c.oid and l.attidentity <> '' and not l.attisdropped) then 'has an identity column'
	when not pg_catalog.pg_has_role(c.relowner, 'USAGE') then 'belongs to another role'
	when exists (select from pg_catalog.pg_extension x where x.extname = 'citus') then 'may be distributed by Citus'
	when exists (select from pg_catalog.pg_publication u where u.puballtables) or exists (
		select from pg_catalog.pg_publication u
		cross join lateral pg_catalog.pg_get_publication_tables(u.pubname::text) t
		where t.relid = c.oid
		or t.relid in (select i.inhrelid from pg_catalog.pg_inherits i where i.inhparent = c.oid))
		then 'is published to logical replicas'
	else '' end end

-- The target $1, unless its default partition holds rows: to attach a partition beside that one reads all of it, and
-- keeps everybody from it meanwhile.
-- name: partition_parent
parent as materialized (
	select c.oid, c.relname, c.relnamespace, c.relowner, c.reltablespace, ns.nspname, a.atttypid,
		pg_catalog.format('%I.%I', ns.nspname, c.relname) as name
	from pg_catalog.pg_class c
	join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
	join pg_catalog.pg_partitioned_table k on k.partrelid = c.oid
	join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.partattrs[0]
	where c.oid = $1::oid and (k.partdefid = 0 or (
		select d.relkind = 'r' and pg_catalog.pg_relation_size(d.oid) = 0
		from pg_catalog.pg_class d where d.oid = k.partdefid)))

-- The bounds of a partition that is exactly the window b, as the server writes them.
-- name: partition_bound
case parent.atttypid
	when 'pg_catalog.timestamptz'::regtype
	then pg_catalog.format('FOR VALUES FROM (%L) TO (%L)', b.first, b.last)
	when 'pg_catalog.timestamp'::regtype
	then pg_catalog.format('FOR VALUES FROM (%L) TO (%L)', b.first at time zone 'UTC', b.last at time zone 'UTC')
	else pg_catalog.format('FOR VALUES FROM (%L) TO (%L)', (b.first at time zone 'UTC')::date,
		(b.last at time zone 'UTC')::date) end

-- Whether all that the partition `part` has can be given to a table that takes its place. What would be lost with the
-- table and is not named here (a view of it) makes its DROP fail.
-- name: partition_kept
part.relkind = 'r' and part.relreplident in ('d', 'f', 'n')
and part.relowner = (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)
and pg_catalog.has_schema_privilege(part.relnamespace, 'CREATE')
and not part.relrowsecurity and not part.relhassubclass and not part.relhasrules
and not exists (select from pg_catalog.pg_trigger t where t.tgrelid = part.oid)
and not exists (select from pg_catalog.pg_statistic_ext e where e.stxrelid = part.oid)
and not exists (
	select from pg_catalog.pg_class t where t.oid = part.reltoastrelid and t.reloptions is not null)
and not exists (
	select from pg_catalog.pg_seclabel l
	where l.classoid = 'pg_catalog.pg_class'::regclass and l.objoid = part.oid)
and not exists (
	select from pg_catalog.pg_attribute l
	where l.attrelid = part.oid and l.attnum > 0 and not l.attisdropped
	and (l.attacl is not null or l.attoptions is not null or l.attidentity <> ''))
and not exists (
	select from pg_catalog.pg_attribute l
	join pg_catalog.pg_attribute u on u.attrelid = parent.oid and u.attname = l.attname
	left join pg_catalog.pg_attrdef ld on ld.adrelid = l.attrelid and ld.adnum = l.attnum
	left join pg_catalog.pg_attrdef ud on ud.adrelid = u.attrelid and ud.adnum = u.attnum
	where l.attrelid = part.oid and l.attnum > 0 and not l.attisdropped
	and pg_catalog.pg_get_expr(ld.adbin, ld.adrelid) is distinct from pg_catalog.pg_get_expr(ud.adbin, ud.adrelid))
and not exists (
	select from pg_catalog.pg_constraint k
	where k.conrelid = part.oid
	and (k.contype not in ('c', 'p', 'u', 'n') or not k.convalidated or k.condeferrable))
and not exists (
	select from pg_catalog.pg_depend d
	left join pg_catalog.pg_class o on d.classid = 'pg_catalog.pg_class'::regclass and o.oid = d.objid
	where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = part.oid
	and coalesce(o.relkind not in ('i', 't'), d.classid not in ('pg_catalog.pg_type'::regclass,
		'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_attrdef'::regclass)))
and not exists (
	select from pg_catalog.pg_index i
	join pg_catalog.pg_class ic on ic.oid = i.indexrelid
	where i.indrelid = part.oid and (not i.indisvalid or not i.indisready or i.indisclustered or i.indisreplident
		or ic.reltablespace <> 0 or pg_catalog.obj_description(ic.oid, 'pg_class') is not null
		or ic.reloptions is not null and exists (
			select from pg_catalog.pg_constraint k where k.conindid = ic.oid and k.conrelid = part.oid)
		or exists (
			select from pg_catalog.pg_attribute l
			where l.attrelid = ic.oid and coalesce(l.attstattarget, -1) >= 0)))

-- Whether any batch of the model $2 from $3 to $4 may be so large that its partition of $1 is exchanged: asked first,
-- because the server takes 20 ms to plan partition_exchanges. $5, how many there are; $6, how many rows are large.
-- name: partition_any_large
select coalesce(max(s.rows_inserted), 0) >= $6::bigint or count(s.rows_inserted) < $5::int and exists (
	select from pg_catalog.pg_inherits i
	join pg_catalog.pg_class part on part.oid = i.inhrelid
	where i.inhparent = $1::oid and part.reltuples >= $6::bigint)
from batchfs.state s
where s.model = $2::int and s.window_start >= $3::timestamptz and s.window_start < $4::timestamptz

-- What is sent for each batch whose partition is to be exchanged (partition_exchange.c): of $2, the model, the windows that begin
-- at $3 and end before $4, as far as they hold $5 rows. The columns: the batch's number, when the statement is sent (enum
-- exchange_step), and the statement. Bounds are read of those partitions only that may be large.
-- name: partition_exchanges
with {partition_parent},
b as materialized (
	select x.n, x.first, x.last, s.rows_inserted as recorded
	from unnest($3::timestamptz[], $4::timestamptz[]) with ordinality as x (first, last, n)
	left join batchfs.state s on s.model = $2::int and s.window_start = x.first),
part as materialized (
	select part.*, ns.nspname, pg_catalog.pg_get_expr(part.relpartbound, part.oid) as bound
	from parent
	join pg_catalog.pg_inherits i on i.inhparent = parent.oid
	join pg_catalog.pg_class part on part.oid = i.inhrelid
	join pg_catalog.pg_namespace ns on ns.oid = part.relnamespace
	where part.reltuples >= $5::bigint or exists (select from b where b.recorded >= $5::bigint)),
x as materialized (
	select b.n, part.oid, part.reltoastrelid, part.relpersistence, part.relam, part.reltablespace, part.reloptions,
		part.relacl, part.relowner, part.relreplident, part.relname, part.nspname, part.bound, parent.name as parent,
		parent.oid as parent_oid,
		pg_catalog.format('%I.%I', part.nspname, part.relname) as name,
		pg_catalog.format('%I.%I', part.nspname, 'batchfs_' || part.oid) as beside, {partition_print} as print
	from parent
	cross join b
	join part on part.bound = {partition_bound}
	where coalesce(b.recorded, part.reltuples) >= $5::bigint and {partition_kept}),
indexes as materialized (
	select x.n, x.nspname, x.beside, ic.oid, ic.relname, k.oid as con,
		pg_catalog.pg_get_indexdef(ic.oid) as def, i.indisunique,
		pg_catalog.format('CREATE %sINDEX %I ON %s', case when i.indisunique then 'UNIQUE ' else '' end, ic.relname,
			x.name) as head
	from x
	join pg_catalog.pg_index i on i.indrelid = x.oid
	join pg_catalog.pg_class ic on ic.oid = i.indexrelid
	left join pg_catalog.pg_constraint k on k.conindid = ic.oid and k.conrelid = x.oid)
select q.n, q.step, q.statement
from (
	select x.n, 0 as step, 0 as place, x.beside as statement from x
	union all
	select x.n, 1, 0, pg_catalog.format(
		'create %stable %s (like %s including all excluding indexes, constraint %I check (%s)) using %I%s%s', case x.relpersistence when 'u' then 'unlogged ' else '' end, x.beside,
		x.name, 'batchfs_window', pg_catalog.pg_get_partition_constraintdef(x.oid),
		(select am.amname from pg_catalog.pg_am am where am.oid = x.relam),
		' with (' || pg_catalog.array_to_string(x.reloptions, ', ') || ')',
		' tablespace ' || (
			select pg_catalog.quote_ident(t.spcname) from pg_catalog.pg_tablespace t where t.oid = x.reltablespace))
	from x
	union all
	select x.n, 1, 1, pg_catalog.format('alter table %s alter column %I set statistics %s', x.beside, l.attname,
		l.attstattarget)
	from x
	join pg_catalog.pg_attribute l on l.attrelid = x.oid and l.attnum > 0 and not l.attisdropped
	where l.attstattarget >= 0
	union all
	select x.n, 1, 2, pg_catalog.format('alter table %s replica identity %s', x.beside,
		case x.relreplident when 'f' then 'full' else 'nothing' end)
	from x where x.relreplident <> 'd'
	union all
	select x.n, 1, 3, pg_catalog.format('comment on table %s is %L', x.beside,
		pg_catalog.obj_description(x.oid, 'pg_class'))
	from x where pg_catalog.obj_description(x.oid, 'pg_class') is not null
	union all
	select x.n, 1, 4, pg_catalog.format('grant %s on %s to %s%s', g.privilege_type, x.beside,
		coalesce(pg_catalog.quote_ident(r.rolname), 'public'), case when g.is_grantable then ' with grant option' else '' end)
	from x
	cross join lateral pg_catalog.aclexplode(x.relacl) g
	left join pg_catalog.pg_roles r on r.oid = g.grantee
	where g.grantee <> x.relowner
	union all
	select x.n, 1, 5, pg_catalog.format($text${partition_same_grants}$text$, x.oid, x.beside) from x
	union all
	select x.n, 2, 0, pg_catalog.format('{partition_not_read}', x.parent_oid) from x
	union all
	select i.n, 2, 1, case
		when i.con is not null then pg_catalog.format('alter table %s add constraint %I %s', i.beside,
			'batchfs_' || i.oid, pg_catalog.pg_get_constraintdef(i.con))
		when pg_catalog.left(i.def, length(i.head) + 7) = i.head || ' USING ' then
			pg_catalog.format('create %sindex %I on %s%s', case when i.indisunique then 'unique ' else '' end,
				'batchfs_' || i.oid, i.beside, pg_catalog.right(i.def, - length(i.head)))
		else 'select 1 / 0' end
	from indexes i
	union all
	select x.n, 3, 0, pg_catalog.format('lock table only %s in share row exclusive mode', x.name) from x
	union all
	select x.n, 3, 1, pg_catalog.format($text${partition_unchanged}$text$, x.oid, x.parent_oid, x.print) from x
	union all
	select x.n, 4, 0, pg_catalog.format('select count(*) from only %s', x.name) from x
	union all
	select x.n, 5, 0, pg_catalog.format('alter table %s detach partition %s', x.parent, x.name) from x
	union all
	select x.n, 5, 1, pg_catalog.format($text${partition_same_grants}$text$, x.oid, x.beside) from x
	union all
	select x.n, 5, 2, pg_catalog.format('alter table %s attach partition %s %s', x.parent, x.beside, x.bound) from x
	union all
	select x.n, 5, 3, pg_catalog.format('alter table %s drop constraint batchfs_window', x.beside) from x
	union all
	select x.n, 5, 4, pg_catalog.format('drop table %s', x.name) from x
	union all
	select x.n, 5, 5, pg_catalog.format('alter table %s rename to %I', x.beside, x.relname) from x
	union all
	select i.n, 5, 6, pg_catalog.format('alter index %I.%I rename to %I', i.nspname, 'batchfs_' || i.oid, i.relname)
	from indexes i) q
order by q.n, q.step, q.place

-- Which versions of the catalogs' rows say what the partition `part` is and has, as a number: another one where anybody
-- has changed, added or taken away anything since. ANALYZE and VACUUM write in place, and change no version.
-- name: partition_print
(select pg_catalog.hashtextextended(pg_catalog.string_agg(v.kind || v.version, ' ' order by v.kind, v.version), 0)
from (
	select 'c' as kind, c.xmin::text as version from pg_catalog.pg_class c
	where c.oid = part.oid or c.oid in (select i.indexrelid from pg_catalog.pg_index i where i.indrelid = part.oid)
	union all
	select 'a', a.xmin::text from pg_catalog.pg_attribute a
	where a.attrelid = part.oid
		or a.attrelid in (select i.indexrelid from pg_catalog.pg_index i where i.indrelid = part.oid)
	union all
	select 'i', i.xmin::text from pg_catalog.pg_index i where i.indrelid = part.oid
	union all
	select 'd', d.xmin::text from pg_catalog.pg_description d
	where d.classoid = 'pg_catalog.pg_class'::regclass and (d.objoid = part.oid
		or d.objoid in (select i.indexrelid from pg_catalog.pg_index i where i.indrelid = part.oid))
	union all
	select 'k', k.xmin::text from pg_catalog.pg_constraint k where k.conrelid = part.oid
	union all
	select 'v', v.xmin::text from pg_catalog.pg_attrdef v where v.adrelid = part.oid
	union all
	select 't', t.xmin::text from pg_catalog.pg_trigger t where t.tgrelid = part.oid
	union all
	select 's', e.xmin::text from pg_catalog.pg_statistic_ext e where e.stxrelid = part.oid
	union all
	select 'l', l.xmin::text from pg_catalog.pg_seclabel l
	where l.classoid = 'pg_catalog.pg_class'::regclass and l.objoid = part.oid
	union all
	select 'r', d.xmin::text from pg_catalog.pg_depend d
	where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = part.oid) v)

-- Fails (22012) where the partition whose oid is %1$s is not as it was when the exchange was planned and its print was
-- %3$s, or where anything is in the way of an exchange in the target, %2$s, now. Who holds the partition in SHARE ROW
-- EXCLUSIVE mode keeps all that from changing but grants, which lock nothing: partition_same_grants.
-- name: partition_unchanged
select 1 / (
	select count(*)
	from pg_catalog.pg_class part
	join pg_catalog.pg_class c on c.oid = %2$s
	join pg_catalog.pg_partitioned_table p on p.partrelid = c.oid
	join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
	where part.oid = %1$s and {partition_print} = %3$s and {partition_hinders} = '')

-- Fails (22012) where the table %2$s has other grants than the one whose oid is %1$s: default privileges may have given
-- it some that the other one does not have, and the owner may have taken his own away there. Of columns neither has
-- any. A grant waits for no lock: asked once more behind the DETACH, which has written the rows of the catalogs that
-- a grant would write, so that a later one fails.
-- name: partition_same_grants
select 1 / (
	select count(*) - count(*) filter (where exists (
		select from (
			select g.grantee, g.privilege_type, g.is_grantable, count(*)
			from pg_catalog.pg_class c
			cross join lateral pg_catalog.aclexplode(
				coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) g
			where c.oid in (%1$s, %2$L::regclass)
			group by 1, 2, 3
			having count(*) <> 2) d) or exists (
		select from pg_catalog.pg_attribute l
		where l.attrelid in (%1$s, %2$L::regclass) and l.attacl is not null)) from (values (1)) v)

-- Fails where the query has read the target (by a view, in a function), whose oid is %s: it must not see the rows that
-- it replaces. Nothing else of the transaction has locked the target.
-- name: partition_not_read
select 1 / (1 - least(1, count(*))) from pg_catalog.pg_locks k
where k.pid = pg_catalog.pg_backend_pid() and k.locktype = ''relation'' and k.relation = %s

-- What makes the partitions that are missing: $2, names for the windows that begin at $3 and end before $4; $5: unlogged.
-- The columns: the statement that makes one, and those that give it its owner and attach it; an empty table is attached
-- without a scan, and without a lock that a reader of the target waits for. Bounds are read only where no partition has
-- the name that it would be given.
-- name: partition_missing
with {partition_parent},
b as materialized (
	select x.first, x.last, case
		when octet_length(parent.relname || x.name) <= 63 then parent.relname || x.name
		else pg_catalog.left(parent.relname, 8) || '_' || pg_catalog.left(pg_catalog.md5(parent.relname), 8) || x.name
		end as name
	from parent cross join unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) as x (name, first, last)),
unnamed as materialized (
	select b.* from b
	where not exists (
		select from parent
		join pg_catalog.pg_inherits i on i.inhparent = parent.oid
		join pg_catalog.pg_class part on part.oid = i.inhrelid
		where part.relname = b.name)),
bounds as materialized (
	select pg_catalog.regexp_match(pg_catalog.pg_get_expr(part.relpartbound, part.oid),
		'^FOR VALUES FROM \((.*)\) TO \((.*)\)$') as bound
	from parent
	join pg_catalog.pg_inherits i on i.inhparent = parent.oid
	join pg_catalog.pg_class part on part.oid = i.inhrelid
	where exists (select from unnamed)),
taken as materialized (
	select
		case when bound[1] = 'MINVALUE' then '-infinity'
			else {partition_instant} end as first,
		case when bound[2] = 'MAXVALUE' then 'infinity'
			else {partition_instant_of_end} end as last
	from parent cross join bounds where bound is not null),
x as materialized (
	select parent.*, pg_catalog.format('%I.%I', parent.nspname, free.name) as part, {partition_bound} as bound
	from parent
	cross join unnamed b
	cross join lateral (
		select b.name || coalesce('_' || k.n, '') as name
		from (values (null), (1), (2), (3), (4), (5), (6), (7), (8), (9)) k (n)
		where not exists (
			select from pg_catalog.pg_class o
			where o.relnamespace = parent.relnamespace and o.relname = b.name || coalesce('_' || k.n, ''))
		order by k.n nulls first limit 1) free
	where not exists (select from taken t where t.first < b.last and t.last > b.first))
select pg_catalog.format(
		'create %stable %s (like %s including all excluding identity excluding statistics excluding comments)%s', case when $5::bool then 'unlogged ' else '' end, x.part, x.name,
		' tablespace ' || (
			select pg_catalog.quote_ident(t.spcname) from pg_catalog.pg_tablespace t where t.oid = x.reltablespace)),
	case when x.relowner <> (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)
		then pg_catalog.format('alter table %s owner to %I', x.part, pg_catalog.pg_get_userbyid(x.relowner)) end,
	pg_catalog.format('alter table %s attach partition %s %s', x.name, x.part, x.bound)
from x

-- name: partition_instant
case when parent.atttypid = 'pg_catalog.timestamptz'::regtype then pg_catalog.btrim(bound[1], '''')::timestamptz
	else pg_catalog.btrim(bound[1], '''')::timestamp at time zone 'UTC' end

-- name: partition_instant_of_end
case when parent.atttypid = 'pg_catalog.timestamptz'::regtype then pg_catalog.btrim(bound[2], '''')::timestamptz
	else pg_catalog.btrim(bound[2], '''')::timestamp at time zone 'UTC' end
