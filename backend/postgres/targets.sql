-- SPDX-License-Identifier: Apache-2.0
-- Whether a name stands for another table than before (targets.c).

-- name: targets_changed
select u.n from unnest($1::int[], $2::text[], $3::text[], $4::bigint[]) as u (n, s, t, oid)
left join (
	pg_catalog.pg_namespace ns
	join pg_catalog.pg_class c on c.relnamespace = ns.oid)
on ns.nspname = u.s and c.relname = u.t
where coalesce(c.oid, 0)::bigint <> u.oid
order by 1

-- As many rows as ids, in their order.
-- name: targets_known
select coalesce(m.target_oid, 0) from unnest($1::int[]) with ordinality as u (id, n)
left join batchfs.model m on m.id = u.id
order by u.n
