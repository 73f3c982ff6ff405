-- SPDX-License-Identifier: Apache-2.0
-- What commits with a batch's rows (statement.c): table_id and start are written out, so that X.sql shows them.

-- name: batch_fence
INSERT INTO batchfs_state (model, start, attempt, started, code)
VALUES (%lld, %lld, :attempt, :started, :code)
ON CONFLICT DO UPDATE SET attempt = excluded.attempt, started = excluded.started, code = excluded.code, adopted = 0
WHERE excluded.attempt > batchfs_state.attempt

-- name: batch_state
UPDATE batchfs_state SET finished = :finished, rows_deleted = :deleted, rows_inserted = :inserted,
	rows_outside = :outside
WHERE model = %lld AND start = %lld AND attempt = :attempt

-- name: batch_history
INSERT INTO batchfs_attempt (model, start, attempt, outcome, at, seconds, rows_deleted, rows_inserted, request)
VALUES (%lld, %lld, :attempt, 'done', :finished, (:finished - :started) / 1e6, :deleted, :inserted, :request)

-- name: batch_committed
SELECT 1 FROM batchfs_state WHERE model = ? AND start = ? AND attempt = ?

-- name: batch_mend
-- For a person to say.
DELETE FROM batchfs_state WHERE model = %lld AND start = %lld

-- name: batch_stands
-- Between two batches of a run: the table carries its marker (?1) still, and FILE is FILE.
SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?1 AND tbl_name = ?2 COLLATE NOCASE),
	(SELECT value FROM batchfs_meta WHERE key = 'identity')
