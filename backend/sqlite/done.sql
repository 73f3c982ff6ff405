-- SPDX-License-Identifier: Apache-2.0
-- What is done, and the attempts that did it (done.c, history.c).

-- name: done_columns
start, attempt, started, finished, rows_deleted, rows_inserted, rows_outside, adopted, code

-- name: done_one
SELECT {done_columns} FROM batchfs_state WHERE model = ? AND start = ?

-- name: done_all
SELECT {done_columns} FROM batchfs_state WHERE model = ? ORDER BY start

-- name: done_history
-- As the queue's own: ?1 the last id that was read, ?2 table_id (0: all), ?3 how many at most.
SELECT id, model, start, attempt, outcome, at, seconds, request, rows_deleted, rows_inserted, '', '',
	last, NULL, NULL
FROM (SELECT * FROM batchfs_attempt WHERE id > ?1 AND (?2 = 0 OR model = ?2) ORDER BY id DESC LIMIT ?3)
ORDER BY id

-- name: done_too_old
-- ?1 table_id, ?2 how many stay, less one, ?3 what is younger stays
WHERE model = ?1 AND at < ?3
AND id < (SELECT id FROM batchfs_attempt WHERE model = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)

-- name: done_look
-- Asked first, because it takes no lock.
SELECT 1 FROM batchfs_attempt {done_too_old} LIMIT 1

-- name: done_delete
DELETE FROM batchfs_attempt WHERE id IN (SELECT id FROM batchfs_attempt {done_too_old} LIMIT ?4)

-- name: done_first_request
SELECT coalesce(min(request), 9223372036854775807) FROM batchfs_attempt WHERE model = ? AND request > 0
