-- SPDX-License-Identifier: Apache-2.0

-- name: claim_make_rows
insert into batchfs.state (model, window_start)
select $1::int, w from unnest($2::timestamptz[]) as w
on conflict do nothing

-- The model's row is locked against requests and freezes: every request with a seq up to the one read here
-- was committed before, so that the build that follows answers it. The lock brings the row as it is now,
-- everything else is read as it was when the statement began: where `seq` or `freezes` differ, a request or a
-- freeze was committed in between, which this statement cannot see, and nothing is granted.
-- What keeps a batch from being claimed for requests up to $3 with the code $8 (store.h): a newer request of
-- other code, a newer cancel, an answer of a range; and where it was put back and nothing newer wants it, other code.
-- A row whose attempt cannot be counted up is damaged: its batch fails, as news from nobody (origin 0), and no other.
-- A claim that travels behind its request names that by its uuid ($9), because neither its seq nor its id is known
-- yet ($3 and $5 are null); nothing is granted where the request was refused.
-- name: claim
with locked as materialized (
	select seq, freezes from batchfs.model where id = $1::int for share skip locked),
m as materialized (
	select locked.seq from locked
	join batchfs.model seen on seen.id = $1::int and seen.seq = locked.seq and seen.freezes = locked.freezes),
free as materialized (
	select s.window_start from batchfs.state s
	where s.model = $1::int and s.window_start = any ($2::timestamptz[])
	and s.run <> 1 and (s.run = 2 or s.served < {claim_wanted}) and not {claim_damaged}
	and exists (select from m) and {claim_wanted} is not null
	and not exists (
		select from batchfs.freeze f
		where f.model = $1::int and f.first_start <= s.window_start and f.end_start > s.window_start)
	and not exists (
		select from batchfs.request r
		where r.open and pg_catalog.tstzrange(r.first_start, r.end_start) @> s.window_start
		and r.model = $1::int and r.seq > greatest({claim_wanted}, s.served)
		and (r.kind = 'cancel' or r.kind = 'build' and r.code <> $8))
	and not exists (
		select from batchfs.answer k
		where k.model = $1::int and pg_catalog.tstzrange(k.first_start, k.end_start) @> s.window_start
		and k.served >= {claim_wanted} and k.served > s.served)
	and ({claim_wanted} > s.served or not exists (
		select from batchfs.request r where r.id = s.request and r.code <> $8))
	order by s.window_start for update skip locked),
mine as (
	update batchfs.state s set run = 1, attempt = s.attempt + 1, owner = $4::bigint, served = m.seq,
		request = case when {claim_request} = 0 then s.request else {claim_request} end,
		running_since = $6::timestamptz
	from free, m
	where s.model = $1::int and s.window_start = free.window_start
	returning s.window_start, s.attempt, s.served),
hopeless as materialized (
	select s.window_start, s.attempt from batchfs.state s
	where s.model = $1::int and s.window_start = any ($2::timestamptz[])
	and s.run <> 1 and (s.run = 2 or s.served < {claim_wanted}) and {claim_damaged}
	order by s.window_start for update skip locked),
failed as (
	update batchfs.state s set run = 0, outcome = 2, attempt = 0, served = m.seq, interruptions = 0,
		started = $6::timestamptz, finished = $6::timestamptz, sqlstate = '',
		message = 'the row of this batch in batchfs.state said that it was attempt ' || h.attempt
			|| ', which cannot be; it begins anew'
	from hopeless h, m
	where s.model = $1::int and s.window_start = h.window_start
	returning s.*),
failed_told as (
	insert into batchfs.attempt (model, window_start, origin, outcome, at, request, sqlstate, message)
	select model, window_start, 0, 'failed', $6::timestamptz, request, sqlstate, message from failed),
told as (
	insert into batchfs.attempt (model, window_start, last_start, origin, outcome, at, request)
	select $1::int, min(window_start), max(window_start), $7::bigint, 'started', $6::timestamptz, {claim_request}
	from mine having count(*) > 0)
select window_start, attempt, served from mine

-- name: claim_damaged
(s.attempt < 0 or s.attempt = 2147483647)

-- name: claim_wanted
coalesce($3::bigint, (select seq from batchfs.request where uuid = $9::uuid))

-- name: claim_request
coalesce($5::bigint, (select id from batchfs.request where uuid = $9::uuid))
