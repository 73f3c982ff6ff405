-- SPDX-License-Identifier: Apache-2.0
-- Attempts that have ended (history.c, prune.c).

-- name: tried_history
-- ?1 the last id that was read, ?2 model (0: all), ?3 how many at most
SELECT id, model, start, attempt, outcome, at, seconds, request, rows_deleted, rows_inserted, sqlstate,
	message, last, cancelled_uid, cancelled_command
FROM (SELECT * FROM attempt WHERE id > ?1 AND (?2 = 0 OR model = ?2) ORDER BY id DESC LIMIT ?3)
ORDER BY id

-- name: who_asked
SELECT uid, command, reason FROM request WHERE id = ?

-- name: tried_delete
-- ?1 model, ?2 how many stay, less one, ?3 what is younger stays, ?4 at once
DELETE FROM attempt WHERE id IN (
	SELECT id FROM attempt
	WHERE model = ?1 AND at < ?3
	AND id < (SELECT id FROM attempt WHERE model = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
	LIMIT ?4)

-- name: requests_delete
-- ?4 the first request that attempts elsewhere name: ids rise. What a freeze was asked for by stays in force.
DELETE FROM request
WHERE model = ?1 AND NOT open AND kind IN ('build', 'cancel', 'full') AND at < ?3 AND id < ?4
AND id NOT IN (SELECT request FROM refresh WHERE model = ?1)
AND id NOT IN (SELECT request FROM state WHERE model = ?1)
AND id NOT IN (SELECT request FROM attempt WHERE model = ?1 AND request IS NOT NULL)
AND id NOT IN (SELECT request FROM answer WHERE model = ?1)
