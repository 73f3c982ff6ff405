-- SPDX-License-Identifier: Apache-2.0
-- "Running" rows that are put right (sweep.c).

-- name: sweep_next
SELECT {tried_columns} FROM state WHERE model = ? AND run = 1 AND start > ? AND typeof(start) = 'integer'
ORDER BY start LIMIT 1

-- name: sweep_idle
UPDATE state SET run = 0, interruptions = 0, outcome = 0 WHERE model = ? AND start = ?

-- name: sweep_put_back
UPDATE state SET run = 2, interruptions = interruptions + 1 WHERE model = ? AND start = ?

-- name: sweep_fail
UPDATE state SET run = 0, interruptions = 0, outcome = 2, outcome_attempt = attempt, started = running_since,
	finished = ?3, sqlstate = '', message = ?4
WHERE model = ?1 AND start = ?2

-- name: sweep_ended
INSERT INTO attempt (model, start, attempt, outcome, at, request, message, seconds, sqlstate)
VALUES (?, ?, ?, ?, ?, ?, ?, ? / 1e6, '')

-- name: requeue_mine
UPDATE state SET run = 2 WHERE run = 1 AND owner = ?
