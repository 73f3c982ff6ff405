-- SPDX-License-Identifier: Apache-2.0
-- Validation: what is recorded of a model, and what stands around the questions about its tables (validate.c).

-- What was built, and with how many rows. A batch of another size that was built into the same window since has
-- changed the number: then it is not known. $1 model, $2 the start of the first batch, $3 the end of the last one, $4
-- the length of one.
-- name: validate_states
select (extract(epoch from s.window_start) * 1000000)::bigint, s.built is not null, s.run = 1,
	case when s.outcome = 1 and not s.adopted and not exists (
		select from batchfs.model m
		join batchfs.model o on o.warehouse = m.warehouse and o.target_schema = m.target_schema
			and o.target_table = m.target_table and o.id <> m.id
		join batchfs.state x on x.model = o.id and not x.adopted and x.built > s.built
			and x.window_start > s.window_start - interval '366 days'
			and x.window_start < (s.window_start at time zone 'UTC' + $4::interval) at time zone 'UTC'
			and (x.window_start at time zone 'UTC' + ('1 ' || o.batch_size)::interval) at time zone 'UTC'
				> s.window_start
		where m.id = s.model) then s.rows_inserted end
from batchfs.state s
where s.model = $1::int and s.window_start >= $2::timestamptz and s.window_start < $3::timestamptz

-- Whether the table ($1) cannot hold two rows that are alike in these columns.
-- name: validate_unique
select exists (
	select from pg_catalog.pg_index i
	where i.indrelid = $1::oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
	and not exists (
		select from unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
		join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
		where k.n <= i.indnkeyatts and a.attname <> all ($2::text[])))

-- The start of a window in us from batchfs_w.t, a timestamp in UTC; of what is no time of a batch, one that is no
-- batch's either.
-- name: validate_start
case when batchfs_w.t < timestamp '0001-01-01' then -62135596800000001
	when batchfs_w.t >= timestamp '10000-01-01' then 253402300800000000
	else (extract(epoch from batchfs_w.t) * 1000000)::bigint end

-- name: validate_count
select {validate_start}, batchfs_w.n from (select

-- name: validate_duplicates
select {validate_start}, pg_catalog.count(*), pg_catalog.min(batchfs_w.k) from (select

-- Of meta.batchfs.expect.
-- name: validate_expect
select (extract(epoch from batchfs_e.t) * 1000000)::bigint, batchfs_e.n::bigint from (
