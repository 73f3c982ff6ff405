-- SPDX-License-Identifier: Apache-2.0
-- Outcomes (settle.c). ?1 model, ?2 start, ?3 attempt, ?4 the table of now, ?5 started, ?6 finished, ?7 sqlstate,
-- ?8 message, ?9 wanted, ?10 request, ?11 to ?13 rows deleted, inserted and outside, ?14 code.
-- A table that was adopted since the claim has voided what was tried before, but not what is put back here.

-- name: here
WHERE model = ?1 AND start = ?2 AND attempt = ?3 AND run = 1

-- name: keep
outcome = CASE WHEN table_id = ?4 THEN outcome ELSE 0 END, {keep_built}

-- name: keep_built
built = CASE WHEN table_id = ?4 THEN built ELSE 0 END, table_id = ?4

-- name: settle_done
UPDATE state SET run = 0, interruptions = 0, outcome = 1, outcome_attempt = attempt, started = ?5, finished = ?6,
	sqlstate = '', message = '', rows_deleted = ?11, rows_inserted = ?12, rows_outside = ?13, built = ?6, code = ?14, adopted = 0,
	table_id = ?4 {here}

-- name: settle_failed
UPDATE state SET run = 0, interruptions = 0, outcome = 2, outcome_attempt = attempt, started = ?5, finished = ?6,
	sqlstate = ?7, message = ?8, {keep_built} {here}

-- name: settle_retracted
UPDATE state SET outcome = 2, started = ?5, finished = ?6, sqlstate = ?7, message = ?8, built = 0, code = ''
WHERE model = ?1 AND start = ?2 AND attempt = ?3 AND run = 0 AND outcome = 1 AND outcome_attempt = ?3

-- name: settle_requeued
UPDATE state SET run = 2, {keep} {here}

-- name: settle_interrupted
-- A mount that ends in order is not the batch's fault: only kills are counted.
UPDATE state SET run = 2, {keep} {here}

-- name: settle_unstarted
UPDATE state SET run = 2, attempt = attempt - 1, {keep} {here}

-- name: settle_skipped
-- Skipped, or failed without an attempt (?11). ?3: the last attempt there was. This comes after it, so it counts as
-- its outcome.
INSERT INTO state (model, start, table_id, run, attempt, running_since, owner, request, served, outcome,
	outcome_attempt, started, finished, message)
VALUES (?1, ?2, ?4, 0, ?3, 0, 0, ?10, ?9, ?11, ?3, ?6, ?6, ?8)
ON CONFLICT DO UPDATE SET run = 0, interruptions = 0, outcome = excluded.outcome, attempt = ?3, outcome_attempt = ?3, started = ?6,
	finished = ?6, sqlstate = '', message = ?8, request = CASE WHEN ?10 THEN ?10 ELSE request END,
	served = max(served, ?9), {keep_built}

-- name: settle_cancelled
UPDATE state SET run = 0, interruptions = 0, served = max(served, ?9), {keep} {here}

-- name: settle_dropped
-- Cancelled while it was only queued. ?3 as for what is skipped.
INSERT INTO state (model, start, table_id, run, attempt, running_since, owner, request, served)
VALUES (?1, ?2, ?4, 0, ?3, 0, 0, 0, ?9)
ON CONFLICT DO UPDATE SET run = 0, interruptions = 0, served = max(served, ?9), {keep}

-- name: attempt_ended
-- ?3 attempt, ?4 outcome, ?5 at, ?6 us, ?7 sqlstate, ?8 message, ?9 request, 0: the row's, ?10 and ?11 rows deleted and
-- inserted
INSERT INTO attempt (model, start, attempt, outcome, at, seconds, request, sqlstate, message, rows_deleted,
	rows_inserted, cancelled_uid, cancelled_command)
SELECT model, start, ?3, ?4, ?5, ?6 / 1e6, CASE WHEN ?9 THEN ?9 ELSE request END, ?7, ?8, ?10, ?11, who.uid, who.command
FROM state {cancelled_by} ON ?4 = 'cancelled'
WHERE model = ?1 AND start = ?2

-- name: cancelled_by
-- Who cancelled the window last: by a cancel or by a freeze.
LEFT JOIN (SELECT uid, command FROM (
	SELECT at, uid, command FROM request
	WHERE model = ?1 AND kind = 'cancel' AND range_start <= ?2 AND range_end > ?2
	UNION ALL SELECT at, uid, command FROM freeze
	WHERE model = ?1 AND range_start <= ?2 AND range_end > ?2) ORDER BY at DESC LIMIT 1) who
