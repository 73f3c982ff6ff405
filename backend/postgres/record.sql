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

-- Where anything was built: the states are of no table that is there.
-- name: record_gone
update batchfs.model m set target_oid = null
where m.id = $1::int and exists (select from batchfs.state s where s.model = m.id and s.run = 0 and s.outcome = 1)
returning m.id
