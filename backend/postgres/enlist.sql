-- SPDX-License-Identifier: Apache-2.0

-- Only what is missing: ON CONFLICT alone would use up an id each time. In order, so that two mounts never
-- deadlock.
-- name: enlist_add
insert into batchfs.model (warehouse, target_schema, target_table, batch_size)
select distinct u.w, u.s, u.t, u.b from {enlist_keys}
where not exists (
	select from batchfs.model m
	where m.warehouse = u.w and m.target_schema = u.s and m.target_table = u.t and m.batch_size = u.b)
order by 1, 2, 3, 4
on conflict do nothing

-- name: enlist_find
select u.n, m.id, coalesce(m.target_oid, 0), (
	select string_agg(o.batch_size, ', ' order by o.batch_size) from batchfs.model o
	where o.warehouse = u.w and o.target_schema = u.s and o.target_table = u.t and o.batch_size <> u.b
	and exists (select from batchfs.state s where s.model = o.id and s.attempt > 0))
from {enlist_keys}
join batchfs.model m on m.warehouse = u.w and m.target_schema = u.s and m.target_table = u.t and m.batch_size = u.b

-- name: enlist_keys
unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[]) as u (n, s, t, b, w)
