-- SPDX-License-Identifier: Apache-2.0
-- A table that somebody else has built (adopt.c).

-- name: forget_states
DELETE FROM batchfs_state WHERE model = ?

-- name: keep_attempts
-- What was done to the table before stays the model's history.
UPDATE batchfs_attempt SET model = ?2 WHERE model = ?1

-- name: windows
-- Every window that holds rows: event_time, batch size, table, event_time, batch size.
SELECT DISTINCT batchfs_start(%s, %d) AS start FROM %s WHERE batchfs_start(%s, %d) IS NOT NULL

-- name: adopt_windows
-- ?1 table_id, ?2 now
INSERT INTO batchfs_state (model, start, attempt, finished, adopted) SELECT ?1, start, 0, ?2, 1 FROM ({windows})

-- name: windows_in_order
{windows} ORDER BY 1
