-- SPDX-License-Identifier: Apache-2.0
-- Ranges that were answered without being built (answer.c). ?1 model, ?2 a window's start.

-- name: answer_served
SELECT max(served) FROM answer WHERE model = ?1 AND range_start <= ?2 AND range_end > ?2

-- name: answer_skipped
-- ?3 the table of now: what was skipped of another one under this name is void.
SELECT served, at, request, message, outcome FROM answer
WHERE model = ?1 AND range_start <= ?2 AND range_end > ?2 AND skipped AND table_id = ?3
ORDER BY served DESC LIMIT 1

-- name: answer_taken
-- The first batch of ?2 to ?3 that was claimed, put back or answered meanwhile. Of those served up to ?4 or more it is
-- one that still waits for a request that is answered now (?5). A row that was built is "running" until it is swept,
-- with the last attempt there was (?6).
SELECT min(start) FROM (
	SELECT min(s.start) AS start FROM state s
	WHERE s.model = ?1 AND s.start >= ?2 AND s.start < ?3
	AND (s.run = 2 OR s.run = 1 AND s.attempt > ?6 OR s.served >= ?4 AND NOT EXISTS (
		SELECT 1 FROM request r
		WHERE r.model = ?1 AND r.open AND r.kind = 'build' AND r.range_start <= s.start AND r.range_end > s.start
		AND r.seq > s.served AND r.seq <= ?5))
	UNION ALL
	SELECT min(max(range_start, ?2)) FROM answer
	WHERE model = ?1 AND range_start < ?3 AND range_end > ?2 AND served >= ?4)

-- name: answer_until
-- Where what another answer has taken at ?2 ends. ?3 served
SELECT max(range_end) FROM answer WHERE model = ?1 AND range_start <= ?2 AND range_end > ?2 AND served >= ?3

-- name: answer_add
INSERT INTO answer (model, range_start, range_end, table_id, skipped, outcome, served, at, request, message)
VALUES (?1, ?2, ?3, ?4, ?5 > 0, ?5, ?6, ?7, ?8, ?9)

-- name: answer_ended
INSERT INTO attempt (model, start, last, attempt, outcome, at, request, sqlstate, message, cancelled_uid,
	cancelled_command)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), '', ?8, who.uid, who.command
FROM (SELECT 1) {cancelled_by} ON ?5 = 'cancelled'

-- name: answers_of
SELECT id, range_start, range_end, table_id, CASE WHEN skipped THEN outcome ELSE 0 END, served, at, request, message FROM answer WHERE model = ? ORDER BY id

-- name: answer_forget
DELETE FROM answer WHERE id = ?

-- name: answers_over
-- What was cancelled is known by the requests that it answers, until they are closed.
DELETE FROM answer WHERE NOT skipped AND NOT EXISTS (
	SELECT 1 FROM request r
	WHERE r.model = answer.model AND r.open AND r.kind = 'build' AND r.seq <= answer.served
	AND r.range_start < answer.range_end AND r.range_end > answer.range_start)
