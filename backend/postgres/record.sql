-- SPDX-License-Identifier: Apache-2.0
-- What a guest has found in a table of another warehouse (record.c).

-- name: record_windows
select (extract(epoch from w) * 1000000)::bigint from unnest($1::timestamptz[]) as w order by 1

-- As a look at a table of this warehouse compares, but for what has ended since that other one was looked at ($5). $1
-- model, $2 the start of the first window, $3 the end of the last one, $4 the windows that hold rows.
-- name: record_compare
select * from (
	{compare_begin}
	select (extract(epoch from w) * 1000000)::bigint from unnest($4::timestamptz[]) as w
	where w >= $2::timestamptz and w < $3::timestamptz
	{compare_end}) c
where c.holds or c.finished < $5::bigint
order by 1

-- Where anything was built: the states are of no table that is there. What has ended since that was looked at ($2)
-- has made the table meanwhile: nothing is known then.
-- name: record_gone
with done as materialized (
	select (extract(epoch from s.finished) * 1000000)::bigint >= $2::bigint as since
	from batchfs.state s where s.model = $1::int and s.run = 0 and s.outcome = 1),
gone as (
	update batchfs.model m set target_oid = null
	where m.id = $1::int and exists (select from done) and not exists (select from done where since)
	returning m.id)
select exists (select from gone), exists (select from done where since)
