-- SPDX-License-Identifier: Apache-2.0
-- SQL that is remembered (compiled.c). used_at: seconds, the system's clock.

-- name: compiled_find
SELECT sql, compiled_at FROM compiled WHERE unique_id = ? AND made_of = ?

-- name: compiled_put
INSERT INTO compiled (unique_id, made_of, relation, sql, compiled_at, used_at)
VALUES (?, ?, ?, ?, ?, CAST(strftime('%s', 'now') AS INTEGER))
ON CONFLICT DO UPDATE SET sql = excluded.sql, compiled_at = excluded.compiled_at, used_at = excluded.used_at
WHERE compiled.compiled_at < excluded.compiled_at
	OR compiled.compiled_at = excluded.compiled_at AND compiled.sql <> excluded.sql
	OR compiled.sql = excluded.sql AND compiled.used_at < excluded.used_at - 86400

-- name: compiled_prune
DELETE FROM compiled WHERE unique_id = ?1 AND relation = ?2 AND made_of NOT IN (
	SELECT made_of FROM compiled WHERE unique_id = ?1 AND relation = ?2
	ORDER BY used_at DESC, compiled_at DESC LIMIT ?3)
