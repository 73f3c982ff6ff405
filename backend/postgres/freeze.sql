-- SPDX-License-Identifier: Apache-2.0

-- Of `batchfs.freeze f` and m, the ids asked for: a model of which nothing is frozen has a row of nulls.
-- name: freeze_columns
m.id, f.first_start, f.end_start, f.uid, f.command, f.at

-- $9 is the kind. What is frozen already keeps who did it: only the gaps are new. A thaw cuts what it meets.
-- A row without a range protects the model as a whole.
-- Nothing that runs is frozen. A batch runs as long as its transaction holds its row, which it writes first: a row
-- that says so and can be locked is of a batch that another mount ($10: not this one, which has given back what it
-- has not begun, and may be about to record how another one has failed) has claimed and not begun. The freeze
-- cancels those. Their attempt meets the fence without the owner, and so does whoever asks what became of it. As
-- news it is from nobody (origin 0), because this mount, too, is to hear of it.
-- name: freeze_change
with old as (
	select r.id, r.seq from batchfs.request r where r.uuid = $1::uuid),
claimed as materialized (
	select s.window_start from batchfs.state s
	where {freeze_held} and s.owner <> $10::bigint and not exists (select from old)
	order by s.window_start for update skip locked),
busy as materialized (
	select min(s.window_start) as w from batchfs.state s
	where {freeze_held} and s.window_start not in (select window_start from claimed)
	and not exists (select from old)),
bumped as (
	update batchfs.model m set seq = m.seq + 1, freezes = m.freezes + 1 from busy
	where m.id = $2::int and busy.w is null and not exists (select from old)
	returning m.seq),
cancelled as (
	update batchfs.state s set run = 0, owner = 0, interruptions = 0, served = bumped.seq
	from claimed, bumped where s.model = $2::int and s.window_start = claimed.window_start
	returning s.*),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, request, cancelled_uid,
		cancelled_command)
	select model, window_start, attempt, 0, 'cancelled', $7::timestamptz, request, $5::bigint, $6
	from cancelled),
edges as (
	select f.first_start as lo, f.end_start as hi from batchfs.freeze f
	where f.model = $2::int and f.first_start < $4::timestamptz and f.end_start > $3::timestamptz
	union all select $4::timestamptz, $4::timestamptz),
gaps as (
	select greatest(lag(hi, 1, $3::timestamptz) over (order by lo), $3::timestamptz) as lo, lo as hi
	from edges),
gone as (
	delete from batchfs.freeze f using bumped
	where f.model = $2::int and case $9
		when 'thaw' then f.first_start < $4::timestamptz and f.end_start > $3::timestamptz
		when 'unprotect' then f.first_start is null
		else false end
	returning f.*),
added as (
	insert into batchfs.freeze (model, first_start, end_start, uid, command, at)
	select model, first_start, $3::timestamptz, uid, command, at from gone
	where first_start < $3::timestamptz
	union all select model, $4::timestamptz, end_start, uid, command, at from gone
	where end_start > $4::timestamptz
	union all select $2::int, lo, hi, $5::bigint, $6, $7::timestamptz from gaps, bumped
	where $9 = 'freeze' and lo < hi
	union all select $2::int, null, null, $5::bigint, $6, $7::timestamptz from bumped
	where $9 = 'protect' and not exists (
		select from batchfs.freeze f where f.model = $2::int and f.first_start is null)),
new as (
	insert into batchfs.request
	(uuid, model, seq, kind, first_start, end_start, uid, command, code, at, open, origin)
	select $1::uuid, $2::int, seq, $9, $3::timestamptz, $4::timestamptz, $5::bigint, $6, '', $7::timestamptz,
		false, $8::bigint
	from bumped returning id, seq)
select id, seq, null::timestamptz from old
union all select id, seq, null from new
union all select null, null, w from busy where w is not null

-- name: freeze_held
$9 = 'freeze' and s.model = $2::int and s.run = 1
and s.window_start >= $3::timestamptz and s.window_start < $4::timestamptz
