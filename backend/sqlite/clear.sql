-- SPDX-License-Identifier: Apache-2.0
-- The clear phase of a full refresh (clear.c).

-- name: clear_built
-- ?2: what was built before was built when `begin` was earlier; ?3: what was built from there on, when the clock was later.
SELECT (SELECT min(start) FROM batchfs_state WHERE model = ?1 AND start < ?2),
	(SELECT max(start) FROM batchfs_state WHERE model = ?1 AND start >= ?3)

-- name: clear_counted
-- In FILE, so that a count commits with the rows that it is of: the refresh, rows outside, rows without an event time.
SELECT value FROM batchfs_meta WHERE key = ?

-- name: clear_count
INSERT INTO batchfs_meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value
