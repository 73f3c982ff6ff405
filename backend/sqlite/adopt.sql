-- SPDX-License-Identifier: Apache-2.0
-- A table that somebody else has built, or that has gone (adopt.c).

-- name: forget_states
DELETE FROM batchfs_state WHERE model = ?

-- name: keep_attempts
-- What was done to the table before stays the model's history.
UPDATE batchfs_attempt SET model = ?2 WHERE model = ?1

-- name: states_with_rows
-- What was built into the former table; by start.
SELECT start, attempt FROM batchfs_state WHERE model = ? AND (adopted OR rows_inserted > 0) ORDER BY start

-- name: adopt_state
-- ?1 table_id, ?2 start, ?3 attempt, ?4 now
INSERT INTO batchfs_state (model, start, attempt, started, finished, adopted) VALUES (?1, ?2, ?3, ?4, ?4, 1)
ON CONFLICT DO UPDATE SET attempt = ?3, started = ?4, finished = ?4, adopted = 1, code = '',
	rows_deleted = NULL, rows_inserted = NULL, rows_outside = NULL

-- name: model_gone
-- The table under that name has gone: what was known of it is void, and the next one will have an id of its own.
UPDATE batchfs_model SET id = ?2 WHERE id = ?1

-- name: schema_cookie
PRAGMA main.schema_version
