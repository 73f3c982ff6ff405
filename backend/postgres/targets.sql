-- SPDX-License-Identifier: Apache-2.0
-- Whether a name stands for another table than before (targets.c).

-- Of a model that a guest builds ($5 its id, else 0) not while a batch runs, anywhere: it is the guest that makes the
-- table, and that is told with the batch's end (settle_met).
-- name: targets_changed
select u.n from unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::int[]) as u (n, s, t, oid, guest)
{targets_differ}
and not case when u.guest <> 0 then exists (
	select from batchfs.state s where s.model = u.guest and s.run = 1) else false end
order by 1

-- name: targets_unrecorded
select u.n from unnest($1::int[], $2::text[], $3::text[], $4::bigint[]) as u (n, s, t, oid)
{targets_differ}
order by 1

-- name: targets_differ
left join (
	pg_catalog.pg_namespace ns
	join pg_catalog.pg_class c on c.relnamespace = ns.oid)
on ns.nspname = u.s and c.relname = u.t
where coalesce(c.oid, 0)::bigint <> u.oid

-- As many rows as ids, in their order.
-- name: targets_known
select coalesce(m.target_oid, 0) from unnest($1::int[]) with ordinality as u (id, n)
left join batchfs.model m on m.id = u.id
order by u.n
