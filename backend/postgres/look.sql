-- SPDX-License-Identifier: Apache-2.0
-- What a look finds in a target, and how it is told (windows.c, look.c).

-- Of the statement that windows.c writes, one descent of the index a window.
-- name: skip_scan_end
) from batchfs_w where batchfs_w.t is not null)
select (extract(epoch from t) * 1000000)::bigint from batchfs_w where t is not null order by 1

-- Lines of .history, and what other mounts hear of it: neighbours are one row.
-- name: look_told
insert into batchfs.attempt (model, window_start, last_start, attempt, origin, outcome, at)
select $1::int, w.first, nullif(w.last, w.first), w.attempt, $2::bigint, $3, $4::timestamptz
from unnest($5::timestamptz[], $6::timestamptz[], $7::int[]) as w (first, last, attempt)

-- What is recorded beside what the table holds, in one snapshot: the windows that differ. $1 model, $2 the start of the
-- first one, $3 the end of the last one.
-- name: compare_begin
select x.start, x.holds, x.attempt, x.finished
from (
	select coalesce(w.start, s.start) as start, w.start is not null as holds, coalesce(s.attempt, 0) as attempt,
		(extract(epoch from s.finished) * 1000000)::bigint as finished, coalesce(s.served, 0) as served,
		pg_catalog.to_timestamp(coalesce(w.start, s.start) / 1000000) as window_start
	from (

-- name: compare_end
	) as w (start)
	full join (
		select (extract(epoch from s.window_start) * 1000000)::bigint as start, s.attempt, s.finished,
			s.served, s.run, s.outcome, {look_held} as held
		from batchfs.state s
		where s.model = $1::int and s.window_start >= $2::timestamptz and s.window_start < $3::timestamptz) s
	on s.start = w.start
	where case when w.start is null then s.run = 0 and s.outcome = 1 and s.held
		else s.start is null or s.run = 0 and s.outcome = 0 end) x
where not {look_asked_for}
order by 1

-- It was built with rows, or was seen to hold some.
-- name: look_held
(s.adopted or coalesce(s.rows_inserted, 0) > 0)

-- Of x: what somebody has asked for is built, and what was skipped shows that.
-- name: look_asked_for
(exists (
	select from batchfs.request r
	where r.open and r.kind = 'build' and r.model = $1::int
	and pg_catalog.tstzrange(r.first_start, r.end_start) @> x.window_start and r.seq > x.served)
or exists (
	select from batchfs.answer k
	where k.model = $1::int and k.skipped
	and pg_catalog.tstzrange(k.first_start, k.end_start) @> x.window_start and k.served > x.served))

-- Those that differ, as they were when they were compared: what has begun, was asked for or has ended since is left
-- alone. A row that somebody holds is one of those, and is not waited for. $2 starts, $3 attempts, $4 when they were
-- finished, $5 now.
-- name: look_wanted
x as materialized (
	select w.window_start, w.attempt, w.finished, coalesce(s.served, 0) as served,
		s.window_start is not null as known
	from unnest($2::timestamptz[], $3::int[], $4::timestamptz[]) as w (window_start, attempt, finished)
	left join batchfs.state s on s.model = $1::int and s.window_start = w.window_start),
held as materialized (
	select s.window_start from x
	join batchfs.state s on s.model = $1::int and s.window_start = x.window_start
	where s.run = 0 and s.attempt = x.attempt and s.finished is not distinct from x.finished
	and not {look_asked_for}

-- name: look_adopt
with {look_wanted} and s.outcome = 0
	order by 1 for update of s skip locked),
known as (
	update batchfs.state s set outcome = 1, adopted = true, started = $5::timestamptz, finished = $5::timestamptz,
		built = $5::timestamptz, rows_deleted = null, rows_inserted = null, rows_outside = null, code = '',
		sqlstate = '', message = ''
	from held where s.model = $1::int and s.window_start = held.window_start
	returning s.*),
made as (
	insert into batchfs.state (model, window_start, outcome, adopted, started, finished, built)
	select $1::int, x.window_start, 1, true, $5::timestamptz, $5::timestamptz, $5::timestamptz
	from x where not x.known and not {look_asked_for}
	order by 2
	on conflict do nothing
	returning *)
select {state_columns} from (select * from known union all select * from made) s order by s.window_start

-- name: look_gone
with {look_wanted} and s.outcome = 1 and {look_held}
	order by 1 for update of s skip locked),
gone as (
	update batchfs.state s set outcome = 0, adopted = false, started = null, finished = null, built = null,
		rows_deleted = null, rows_inserted = null, rows_outside = null, code = '', sqlstate = '', message = ''
	from held where s.model = $1::int and s.window_start = held.window_start
	returning s.*)
select {state_columns} from gone s order by s.window_start

-- What the server counts of all that was ever written to the table ($1) and its partitions, and which files it is in;
-- in doubt: not all writes are counted here.
-- name: look_written
with t as materialized (
	select c.oid, c.relkind, c.relhassubclass from pg_catalog.pg_class c
	where c.oid = $1::oid or c.oid in (select relid from pg_catalog.pg_partition_tree($1::oid)))
select pg_catalog.pg_current_snapshot()::text,
	sum(pg_catalog.pg_stat_get_tuples_inserted(oid) + pg_catalog.pg_stat_get_tuples_updated(oid)
		+ pg_catalog.pg_stat_get_tuples_deleted(oid))::bigint,
	pg_catalog.md5(pg_catalog.string_agg(oid::text || ':' || coalesce(pg_catalog.pg_relation_filenode(oid), 0), ','
		order by oid)),
	pg_catalog.current_setting('track_counts') <> 'on' or bool_or(relkind not in ('r', 'p'))
		or bool_or(relkind = 'r' and relhassubclass)
from t

-- What batchfs has written to it since the snapshot $2.
-- name: look_own
select coalesce(sum(x.rows_deleted + x.rows_inserted), 0)::bigint from batchfs.attempt x
where x.model = $1::int and x.outcome = 'done' and x.xid >= pg_catalog.pg_snapshot_xmin($2::pg_snapshot)
and not pg_catalog.pg_visible_in_snapshot(x.xid, $2::pg_snapshot)
