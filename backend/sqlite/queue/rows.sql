-- SPDX-License-Identifier: Apache-2.0
-- States and requests as they are read (rows.c, load.c).

-- name: tried_columns
start, table_id, run, attempt, running_since, owner, request, served, interruptions, outcome, outcome_attempt,
started, finished, sqlstate, message, built, code, rows_deleted, rows_inserted, rows_outside,
adopted

-- name: tried_one
SELECT {tried_columns} FROM state WHERE model = ? AND start = ?

-- name: tried_all
SELECT {tried_columns} FROM state WHERE model = ? ORDER BY start

-- name: requests_of
-- What is open, and what a state names: who asked for it.
SELECT id, seq, range_start, range_end, uid, command, reason, code, at, open FROM request
WHERE model = ?1 AND kind = 'build' AND (open OR id IN (SELECT request FROM state WHERE model = ?1)
	OR id IN (SELECT request FROM answer WHERE model = ?1))
ORDER BY seq
