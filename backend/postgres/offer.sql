-- SPDX-License-Identifier: Apache-2.0

-- name: offer
update batchfs.owner set codes = $2::text[], begins = $3::timestamptz[] where id = $1::bigint

-- Of what waited for this the minute begins anew when it is missing again.
-- name: offer_unorphan
update batchfs.request set orphan_since = null
where id in (
	select r.id from batchfs.request r
	where r.orphan_since is not null and r.code = any ($1::text[]) order by r.id for no key update skip locked)

-- $1 requests, $2 batches, $3 our own sessions. A mount that has not said yet what it can build may be able to build
-- all. What another mount is just noting is left to that.
-- name: orphans
with live as materialized ({live_owners}),
offer as materialized (
	select h.code, min(h.begin) as begin
	from batchfs.owner o, unnest(o.codes, o.begins) as h (code, begin)
	where o.id in (select id from live) group by 1),
silent as materialized (
	select exists (select from batchfs.owner o where o.codes is null and o.id in (select id from live)) as any),
asked as materialized (
	select u.n, r.id, r.orphan_since, r.origin = any ($3::bigint[]) as own, silent.any or exists (
		select from offer where offer.code = r.code and offer.begin <= u.start) as had
	from unnest($1::bigint[], $2::timestamptz[]) with ordinality as u (id, start, n)
	join batchfs.request r on r.id = u.id cross join silent),
changed as materialized (
	select r.id, a.had from batchfs.request r join asked a on a.id = r.id
	where (a.orphan_since is null) <> a.had for no key update of r skip locked),
noted as (
	update batchfs.request r set orphan_since = case when not c.had then pg_catalog.now() end
	from changed c where c.id = r.id)
select n - 1, had, own, not had and coalesce(orphan_since <= pg_catalog.now() - interval '1 minute', false) from asked
