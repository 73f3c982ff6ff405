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
