-- SPDX-License-Identifier: Apache-2.0
-- Which windows of a table hold rows, and how that is told (windows.c, told.c). event_time, table, event_time,
-- event_time; ?1 the start of the first window, ?2 the end of the last one.

-- name: window_next
SELECT min(%s) FROM %s WHERE %s >= ?1 AND %s < ?2

-- name: windows
-- ?3 the batch size
SELECT DISTINCT batchfs_start(%s, ?3) AS start FROM %s WHERE %s >= ?1 AND %s < ?2 AND start IS NOT NULL ORDER BY 1

-- name: told
INSERT INTO batchfs_attempt (model, start, last, attempt, outcome, at) VALUES (?, ?, ?, ?, ?, ?)

-- name: data_version
-- Another one once another connection has committed.
PRAGMA main.data_version

-- name: look_asked_for
-- Of the queue: ?1 model, ?2 the start of the batch, ?3 what it is served up to.
SELECT 1 FROM request WHERE model = ?1 AND kind = 'build' AND open AND range_start <= ?2 AND range_end > ?2 AND seq > ?3
LIMIT 1

-- name: look_blank
-- Of the queue: an older outcome must not come to light again.
UPDATE state SET outcome = 0, built = 0, code = '', sqlstate = '', message = ''
WHERE model = ? AND start = ? AND run = 0 AND attempt = ?

-- name: look_gone
DELETE FROM batchfs_state WHERE model = ? AND start = ? AND attempt = ?
