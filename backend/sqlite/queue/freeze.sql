-- SPDX-License-Identifier: Apache-2.0
-- What is frozen (freeze.c). A row without a range protects the model.

-- name: freeze_columns
range_start, range_end, uid, command, at

-- name: freeze_find
-- ?1 model, ?2 a window's start
SELECT {freeze_columns} FROM freeze WHERE model = ?1 AND range_start <= ?2 AND range_end > ?2

-- name: freezes_count
SELECT count(*) FROM freeze WHERE model = ?

-- name: freezes_of
SELECT {freeze_columns} FROM freeze WHERE model = ? ORDER BY range_start

-- name: running_in
SELECT start FROM state WHERE model = ? AND run = 1 AND start >= ? AND start < ? ORDER BY start

-- Of the changes: ?1 model, ?2 start, ?3 end, ?4 uid, ?5 command, ?6 at.

-- name: freeze_add
-- What is frozen already keeps who did it: only the gaps are new.
INSERT INTO freeze (model, {freeze_columns})
SELECT ?1, a, b, ?4, ?5, ?6 FROM (
	SELECT max(lag(hi, 1, ?2) OVER (ORDER BY lo), ?2) AS a, lo AS b FROM (
		SELECT range_start AS lo, range_end AS hi FROM freeze
		WHERE model = ?1 AND range_start < ?3 AND range_end > ?2
		UNION ALL SELECT ?3, ?3))
WHERE a < b

-- name: thaw_split
-- A thaw cuts what it meets: first what goes on behind it.
INSERT INTO freeze (model, {freeze_columns})
SELECT model, ?3, range_end, uid, command, at FROM freeze WHERE model = ?1 AND range_start < ?3 AND range_end > ?3

-- name: thaw_shorten
UPDATE freeze SET range_end = ?2 WHERE model = ?1 AND range_start < ?2 AND range_end > ?2

-- name: thaw_within
DELETE FROM freeze WHERE model = ?1 AND range_start >= ?2 AND range_start < ?3

-- name: protect
INSERT INTO freeze (model, {freeze_columns}) SELECT ?1, NULL, NULL, ?4, ?5, ?6
WHERE NOT EXISTS (SELECT 1 FROM freeze WHERE model = ?1 AND range_start IS NULL)

-- name: unprotect
DELETE FROM freeze WHERE model = ?1 AND range_start IS NULL
