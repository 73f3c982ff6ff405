-- SPDX-License-Identifier: Apache-2.0

-- A row that the query yields outside its window (or without an event_time) is counted and left out, in the same
-- pass and without keeping the rows. The setting is the transaction's: it starts empty.
-- name: count_outside
pg_catalog.set_config('batchfs.rows_outside',
	(coalesce(nullif(pg_catalog.current_setting('batchfs.rows_outside', true), ''), '0')::bigint + 1)::text, true)
	is null
