-- SPDX-License-Identifier: Apache-2.0

-- name: resolve
select run, outcome, attempt, finished, rows_deleted, rows_inserted, rows_outside from batchfs.state
where model = $1::int and window_start = $2::timestamptz and owner = $3::bigint
for update
