-- SPDX-License-Identifier: Apache-2.0
-- SQL that is remembered (compiled.c). used_at is the server's clock.

-- name: compiled_find
select u.n - 1, c.sql, c.compiled_at
from unnest($1::text[], $2::text[]) with ordinality as u (unique_id, made_of, n)
join batchfs.compiled c on c.unique_id = u.unique_id and c.made_of = u.made_of

-- Which need not be sent: the same SQL is kept, or newer SQL. That it is used is noted once a day; a row that another
-- mount notes it of is left to that.
-- name: compiled_known
with u as materialized (
	select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
		with ordinality as u (unique_id, made_of, digest, compiled_at, n)),
known as materialized (
	select u.* from u join batchfs.compiled c on c.unique_id = u.unique_id and c.made_of = u.made_of
	where c.digest = u.digest or c.compiled_at > u.compiled_at),
aged as materialized (
	select c.unique_id, c.made_of, k.compiled_at from batchfs.compiled c
	join known k on k.unique_id = c.unique_id and k.made_of = c.made_of
	where c.digest = k.digest
	and (c.compiled_at < k.compiled_at or c.used_at < pg_catalog.now() - interval '1 day')
	for no key update of c skip locked),
noted as (
	update batchfs.compiled c set compiled_at = greatest(c.compiled_at, a.compiled_at), used_at = pg_catalog.now()
	from aged a where a.unique_id = c.unique_id and a.made_of = c.made_of)
select n - 1 from known

-- In order, so that two mounts never deadlock.
-- name: compiled_put
insert into batchfs.compiled as c (unique_id, made_of, relation, digest, sql, compiled_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]) order by 1, 2
on conflict (unique_id, made_of) do update set digest = excluded.digest, sql = excluded.sql,
	compiled_at = excluded.compiled_at, used_at = pg_catalog.now()
where c.compiled_at <= excluded.compiled_at

-- $2: so many are kept of a model and relation.
-- name: compiled_prune
delete from batchfs.compiled c using (
	select o.unique_id, o.made_of,
		row_number() over (partition by o.unique_id, o.relation order by o.used_at desc, o.compiled_at desc) as n
	from batchfs.compiled o where o.unique_id = any ($1::text[])) old
where old.n > $2::int and c.unique_id = old.unique_id and c.made_of = old.made_of

-- name: compiled_user
select quote_ident(current_user)
