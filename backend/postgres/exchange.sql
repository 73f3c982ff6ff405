-- SPDX-License-Identifier: Apache-2.0
-- A table takes another one's place (exchange.c). Every query of this file runs with an empty search_path, so that
-- the server writes all names with their schema. $1: the table that is replaced; $2: the name of the one beside it;
-- $3: what our names begin with.

-- What reads a relation by a rule of its own: a view or a materialized view, directly.
-- name: exchange_readers
select distinct d.refobjid as of, v.oid, v.relkind, v.relname, ns.nspname
from pg_catalog.pg_depend d
join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
	and r.rulename = '_RETURN'
join pg_catalog.pg_class v on v.oid = r.ev_class and v.oid <> d.refobjid
join pg_catalog.pg_namespace ns on ns.oid = v.relnamespace
where d.refclassid = 'pg_catalog.pg_class'::regclass

-- A materialized view cannot be given another query: one that reads the table directly, or reads such a one, is made
-- anew. `depth`: the table is 0, what reads it comes after it. A view keeps its identity, and so does what reads that.
-- name: exchange_replaced
replaced as (
	with recursive reached as (
		select $1::oid as oid, 0 as depth
		union
		select r.oid, e.depth + 1 from reached e join ({exchange_readers}) r on r.of = e.oid and r.relkind = 'm')
	select c.*, e.depth, ns.nspname, pg_catalog.format('%I.%I', ns.nspname, c.relname) as name,
		case when e.depth = 0 then $2::text else $3::text || c.oid end as temporary,
		pg_catalog.format('%I.%I', ns.nspname, case when e.depth = 0 then $2::text else $3::text || c.oid end)
			as beside
	from (select oid, max(depth) as depth from reached group by oid) e
	join pg_catalog.pg_class c on c.oid = e.oid
	join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace)

-- name: exchange_views
select v.oid, v.relkind, pg_catalog.format('%I.%I', v.nspname, v.relname) as name
from ({exchange_readers}) v where v.of in (select p.oid from replaced p) and v.relkind = 'v'
group by v.oid, v.relkind, v.relname, v.nspname

-- Who reads through a view has locked that before the table, so that is our order, too: in the other one he would
-- wait for us and we for him. An ALTER ... OWNER TO who is the owner anyway locks a view alone: LOCK TABLE also locks
-- all that the view reads, and knows no materialized view.
-- name: exchange_locks
with {exchange_replaced}
select l.statement from (
	select 1, -v.oid::text::bigint, pg_catalog.format('alter view %s owner to %I', v.name,
		pg_catalog.pg_get_userbyid(c.relowner))
	from ({exchange_views}) v join pg_catalog.pg_class c on c.oid = v.oid
	union all
	select 2, -p.depth, pg_catalog.format('alter materialized view %s owner to %I', p.name,
		pg_catalog.pg_get_userbyid(p.relowner))
	from replaced p where p.relkind = 'm'
	union all
	select 3, 0, pg_catalog.format('lock table only %I.%I in access exclusive mode', ns.nspname, c.relname)
	from replaced p join pg_catalog.pg_inherits h on h.inhrelid = p.oid
	join pg_catalog.pg_class c on c.oid = h.inhparent
	join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
	union all
	select 4, 0, pg_catalog.format('lock table only %s in access exclusive mode', p.name)
	from replaced p where p.depth = 0) as l (step, n, statement)
order by step, n

-- All locks of one exchange are waited for 100 ms together, and who has them works for some milliseconds.
-- name: exchange_since
select pg_catalog.set_config('batchfs.locking_since', pg_catalog.clock_timestamp()::text, true)

-- name: exchange_patience
select pg_catalog.set_config('lock_timeout', greatest(1, 100 - pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()
	- pg_catalog.current_setting('batchfs.locking_since')::timestamptz) * 1000)::int::text, true)

-- What the statements lock besides (a table that a foreign key names, say) is waited for under the other locks.
-- name: exchange_briefly
'set local lock_timeout = 50'

-- The materialized views beside, without data: their queries are written while the names are exchanged for a moment.
-- They are filled with our rights (their owners have none on the table beside); an EXPLAIN finds out whether those do.
-- name: exchange_mirror
with {exchange_replaced}
select m.statement from (
	select 0, 0, 0, {exchange_briefly}
	union all
	select 1, p.depth, 1, pg_catalog.format('alter table %s rename to %I', p.name, $3::text || 'old')
	from replaced p where p.depth = 0
	union all
	select 1, p.depth, 2, pg_catalog.format('alter table %s rename to %I', p.beside, p.relname)
	from replaced p where p.depth = 0
	union all
	select 2, p.depth, 1, pg_catalog.format('create materialized view %s%s%s%s as %s with no data', p.beside,
		{beside_method}, {beside_options}, {beside_tablespace},
		pg_catalog.rtrim(pg_catalog.pg_get_viewdef(p.oid), ';'))
	from replaced p where p.depth > 0
	union all
	select 2, p.depth, 1, pg_catalog.format('comment on materialized view %s is %L', p.beside,
		'batchfs: stands beside ' || p.name || ' until a full refresh has ended')
	from replaced p where p.depth > 0
	union all
	select 2, p.depth, 0, pg_catalog.format('explain %s', pg_catalog.pg_get_viewdef(p.oid))
	from replaced p where p.depth > 0
	union all
	select 2, p.depth, 2, pg_catalog.format('alter materialized view %s rename to %I', p.name,
		$3::text || 'old' || p.oid)
	from replaced p where p.depth > 0
	union all
	select 2, p.depth, 3, pg_catalog.format('alter materialized view %s rename to %I', p.beside, p.relname)
	from replaced p where p.depth > 0
	union all
	select 3, -p.depth, 1, pg_catalog.format('alter materialized view %s rename to %I', p.name, p.temporary)
	from replaced p where p.depth > 0
	union all
	select 3, -p.depth, 2, pg_catalog.format('alter materialized view %I.%I rename to %I', p.nspname,
		$3::text || 'old' || p.oid, p.relname)
	from replaced p where p.depth > 0
	union all
	select 4, 0, 1, pg_catalog.format('alter table %s rename to %I', p.name, p.temporary)
	from replaced p where p.depth = 0
	union all
	select 4, 0, 2, pg_catalog.format('alter table %I.%I rename to %I', p.nspname, $3::text || 'old', p.relname)
	from replaced p where p.depth = 0) as m (step, n, k, statement)
order by step, n, k, statement desc

-- Those that are beside, and how they get their data; what was never filled stays so.
-- name: exchange_mirrored
with {exchange_replaced}
select p.oid, p.temporary, case when p.relispopulated
	then pg_catalog.format('refresh materialized view %s', p.beside) end, pg_catalog.format('analyze %s', p.beside)
from replaced p where p.depth > 0 order by p.depth

-- Of an earlier try. $1: as $3.
-- name: exchange_mirrors_drop
select pg_catalog.format('drop materialized view %I.%I', ns.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
where c.relkind = 'm' and pg_catalog.left(c.relname, pg_catalog.length($1)) = $1
and pg_catalog.obj_description(c.oid, 'pg_class') like 'batchfs: stands beside %'
order by c.oid desc

-- The exchange itself, in the order of its statements. What is beside has the owner first (an owned sequence needs
-- that) and the rights last. Where something still hangs on what was replaced, its drop fails, and with it all of it.
-- name: exchange_statements
with {exchange_replaced},
beside as (
	select p.*, b.oid as new, b.relowner as new_owner, b.relacl as new_acl,
		case p.relkind when 'm' then 'materialized view' else 'table' end as kind
	from replaced p join pg_catalog.pg_class b on b.relnamespace = p.relnamespace and b.relname = p.temporary)
select e.statement from (
	select 0, 0, ''::text, {exchange_briefly}
	union all
	select 1, 0, '', pg_catalog.format('alter table %I.%I detach partition %s', ns.nspname, c.relname, p.name)
	from beside p join pg_catalog.pg_inherits h on h.inhrelid = p.oid
	join pg_catalog.pg_class c on c.oid = h.inhparent
	join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
	where p.relispartition
	union all
	select 2, p.depth, '', pg_catalog.format('alter %s %s owner to %I', p.kind, p.beside,
		pg_catalog.pg_get_userbyid(p.relowner))
	from beside p where p.new_owner <> p.relowner
	union all
	select 3, 0, q.relname, pg_catalog.format('alter sequence %I.%I owned by %s.%I', ns.nspname, q.relname, p.beside,
		a.attname)
	from beside p join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass
		and d.refobjid = p.oid and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'a'
	join pg_catalog.pg_class q on q.oid = d.objid and q.relkind = 'S'
	join pg_catalog.pg_namespace ns on ns.oid = q.relnamespace
	join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attnum = d.refobjsubid
	union all
	select 4, p.depth, '1', pg_catalog.format('alter %s %s rename to %I', p.kind, p.name, $3::text || 'old' || p.oid)
	from beside p
	union all
	select 4, p.depth, '2', pg_catalog.format('alter %s %s rename to %I', p.kind, p.beside, p.relname)
	from beside p
	union all
	select 5, v.oid::text::bigint, '', pg_catalog.format('create or replace view %s%s as %s', v.name, {beside_options},
		pg_catalog.pg_get_viewdef(v.oid))
	from ({exchange_views}) v join pg_catalog.pg_class p on p.oid = v.oid
	union all
	select 6, -p.depth, '', pg_catalog.format('drop %s %I.%I', p.kind, p.nspname, $3::text || 'old' || p.oid)
	from beside p
	union all
	select 7, p.depth, i.relname, pg_catalog.format('alter index %I.%I rename to %I', p.nspname, $3::text || i.oid,
		i.relname)
	from beside p join pg_catalog.pg_index x on x.indrelid = p.oid
	join pg_catalog.pg_class i on i.oid = x.indexrelid
	union all
	select 7, p.depth, x.stxname, pg_catalog.format('alter statistics %I.%I rename to %I', ns.nspname,
		$3::text || x.oid, x.stxname)
	from beside p join pg_catalog.pg_statistic_ext x on x.stxrelid = p.oid
	join pg_catalog.pg_namespace ns on ns.oid = x.stxnamespace
	union all
	select 7, p.depth, s.relname, pg_catalog.format('alter sequence %s rename to %I',
		pg_catalog.pg_get_serial_sequence(p.beside, a.attname), s.relname)
	from beside p join ({exchange_identities}) a on a.attrelid = p.oid
	join pg_catalog.pg_class s on s.oid = a.sequence
	union all
	select 8, 0, '1', pg_catalog.format('alter table %I.%I attach partition %s %s', ns.nspname, c.relname, p.name,
		pg_catalog.pg_get_expr(p.relpartbound, p.oid))
	from beside p join pg_catalog.pg_inherits h on h.inhrelid = p.oid
	join pg_catalog.pg_class c on c.oid = h.inhparent
	join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
	where p.relispartition
	union all
	select 8, 0, '2', pg_catalog.format('alter table %s drop constraint %I', p.name, $3::text || 'bounds')
	from beside p where p.relispartition
	union all {exchange_rights}
	union all {exchange_policies}
	union all
	select 12, p.depth, coalesce(a.attname, ''), pg_catalog.format('comment on %s is %L',
		case when d.objsubid = 0 then p.kind || ' ' || p.name
		else pg_catalog.format('column %s.%I', p.name, a.attname) end, d.description)
	from beside p cross join lateral (
		select d.objsubid, d.description from pg_catalog.pg_description d
		where d.classoid = 'pg_catalog.pg_class'::regclass and d.objoid = p.oid
		union all
		select 0, null where pg_catalog.obj_description(p.oid, 'pg_class') is null) as d
	left join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attnum = d.objsubid and d.objsubid > 0
) as e (step, n, name, statement)
order by step, n, name, statement

-- name: exchange_identities
select a.attrelid, a.attname, d.objid as sequence
from pg_catalog.pg_attribute a join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass
	and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.classid = 'pg_catalog.pg_class'::regclass
	and d.deptype = 'i'
where a.attidentity <> '' and not a.attisdropped

-- Whatever default privileges have given, all of it goes; then who had a right has it again, from the owner.
-- name: exchange_rights
select 9, p.depth, g.name, pg_catalog.format('revoke all on %s from %s', p.name, g.name)
from beside p cross join lateral (
	select distinct case when r.grantee = 0 then 'public'
		else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.grantee)) end as name
	from (
		select x.grantee from pg_catalog.aclexplode(p.new_acl) x
		union select p.relowner where p.relacl is not null) r) g
where p.relacl is not null or p.new_acl is not null
union all
select 10, p.depth, x.privilege_type, pg_catalog.format('grant %s on %s to %s%s', x.privilege_type, p.name, {exchange_grantee})
from beside p cross join lateral pg_catalog.aclexplode(case when p.relacl is not null or p.new_acl is not null
	then coalesce(p.relacl, pg_catalog.acldefault('r', p.relowner)) end) x
union all
select 10, p.depth, a.attname, pg_catalog.format('grant %s (%I) on %s to %s%s', x.privilege_type, a.attname, p.name,
	{exchange_grantee})
from beside p join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped
cross join lateral pg_catalog.aclexplode(a.attacl) x
union all
select 10, p.depth, s.relname, pg_catalog.format('grant %s on sequence %I.%I to %s%s', x.privilege_type, p.nspname,
	s.relname, {exchange_grantee})
from beside p join ({exchange_identities}) a on a.attrelid = p.oid
join pg_catalog.pg_class s on s.oid = a.sequence
cross join lateral pg_catalog.aclexplode(s.relacl) x

-- name: exchange_grantee
case when x.grantee = 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) end,
case when x.is_grantable then ' with grant option' else '' end

-- name: exchange_policies
select 11, 0, l.polname, pg_catalog.format('create policy %I on %s as %s for %s to %s%s%s', l.polname, p.name,
	case when l.polpermissive then 'permissive' else 'restrictive' end,
	case l.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
	else 'all' end,
	(select pg_catalog.string_agg(case when r = 0 then 'public'
		else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r)) end, ', ') from pg_catalog.unnest(l.polroles) r),
	' using (' || pg_catalog.pg_get_expr(l.polqual, l.polrelid) || ')',
	' with check (' || pg_catalog.pg_get_expr(l.polwithcheck, l.polrelid) || ')')
from beside p join pg_catalog.pg_policy l on l.polrelid = p.oid
union all
select 12, 0, l.polname, pg_catalog.format('comment on policy %I on %s is %L', l.polname, p.name, d.description)
from beside p join pg_catalog.pg_policy l on l.polrelid = p.oid
join pg_catalog.pg_description d on d.classoid = 'pg_catalog.pg_policy'::regclass and d.objoid = l.oid
union all
select 11, 1, '', pg_catalog.format('alter table %s enable row level security', p.name)
from beside p where p.relrowsecurity
union all
select 11, 2, '', pg_catalog.format('alter table %s force row level security', p.name)
from beside p where p.relforcerowsecurity

-- What cannot be kept and would be lost without a word, or only found at the end: one row each. $1: the table.
-- name: exchange_refused
with recursive {exchange_table}
select w.what from (
	select 'it is a partitioned table' from t where t.relkind = 'p'
	union all
	select 'it is no table' from t where t.relkind not in ('r', 'p')
	union all
	select pg_catalog.format('it belongs to %I, and %I is no member of that role', pg_catalog.pg_get_userbyid(t.relowner),
		current_user)
	from t where not pg_catalog.pg_has_role(t.relowner, 'USAGE')
	union all
	select pg_catalog.format('it is of the type %s', pg_catalog.format_type(t.reloftype, null)) from t
	where t.reloftype <> 0
	union all
	select pg_catalog.format('it inherits from %s', h.inhparent::regclass)
	from t join pg_catalog.pg_inherits h on h.inhrelid = t.oid where not t.relispartition
	union all
	select pg_catalog.format('%s inherits from it', h.inhrelid::regclass)
	from t join pg_catalog.pg_inherits h on h.inhparent = t.oid where t.relkind <> 'p'
	union all
	select pg_catalog.format('it is a partition of %s, whose default partition %s would be read as a whole under an '
		|| 'exclusive lock', h.inhparent::regclass, g.partdefid::regclass)
	from t join pg_catalog.pg_inherits h on h.inhrelid = t.oid and t.relispartition
	join pg_catalog.pg_partitioned_table g on g.partrelid = h.inhparent and g.partdefid not in (0, t.oid)
	union all
	select pg_catalog.format('the rule %I', r.rulename) from t join pg_catalog.pg_rewrite r on r.ev_class = t.oid
	where t.relkind = 'r'
	union all
	select pg_catalog.format('the publication %I, whose subscribers would not get the new rows', b.pubname)
	from t join pg_catalog.pg_publication_tables b on b.schemaname = t.nspname and b.tablename = t.relname
	union all
	select pg_catalog.format('the foreign key %I of %s', k.conname, k.conrelid::regclass)
	from t join pg_catalog.pg_constraint k on k.confrelid = t.oid and k.contype = 'f' and k.conparentid = 0
	union all
	select pg_catalog.format('the security label of the provider %s', l.provider)
	from t join pg_catalog.pg_seclabel l on l.classoid = 'pg_catalog.pg_class'::regclass and l.objoid = t.oid
	union all
	select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
	from t join pg_catalog.pg_type y on y.oid = t.reltype
	join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_type'::regclass
		and d.refobjid in (y.oid, y.typarray) and d.deptype = 'n'
	union all
	select pg_catalog.format('the extension %I, to which it belongs', x.extname)
	from t join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = t.oid
		and d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::regclass
	join pg_catalog.pg_extension x on x.oid = d.refobjid
	union all
	select pg_catalog.format('the materialized view %s, which reads the table both directly and through a view',
		m.oid::regclass)
	from direct m where m.relkind = 'm' and exists (
		select from ({exchange_readers}) r where r.oid = m.oid and r.of in (
			select v.oid from reads v where v.relkind = 'v'))
	union all
	select pg_catalog.format('%s, which belongs to %I, and %I is no member of that role', v.oid::regclass,
		pg_catalog.pg_get_userbyid(c.relowner), current_user)
	from direct v join pg_catalog.pg_class c on c.oid = v.oid
	where not pg_catalog.pg_has_role(c.relowner, 'USAGE')
) as w (what)
order by 1

-- Those that are to be made anew or written again (direct), and all that reads the table in whatever way (reads).
-- name: exchange_table
t as (
	select c.*, ns.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
	where c.oid = $1::oid),
replaced as (
	select t.oid from t
	union
	select r.oid from replaced p join ({exchange_readers}) r on r.of = p.oid and r.relkind = 'm'),
direct as (
	select distinct r.oid, r.relkind from ({exchange_readers}) r where r.of in (select oid from replaced)),
reads as (
	select r.oid, r.relkind from t join ({exchange_readers}) r on r.of = t.oid
	union
	select r.oid, r.relkind from reads p join ({exchange_readers}) r on r.of = p.oid)
