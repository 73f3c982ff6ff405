-- SPDX-License-Identifier: Apache-2.0
-- What a look at a table that is elsewhere has found (adopt.c). ?1 model, ?2 start, ?3 the table of now.

-- name: adopt_found
-- ?4 now. What runs, and what was built or tried and is known, stays.
INSERT INTO state (model, start, table_id, run, attempt, running_since, owner, request, served, outcome, started,
	finished, built, adopted)
VALUES (?1, ?2, ?3, 0, 0, 0, 0, 0, 0, 1, ?4, ?4, ?4, 1)
ON CONFLICT DO UPDATE SET outcome = 1, outcome_attempt = attempt, started = ?4, finished = ?4, built = ?4, code = '',
	rows_deleted = NULL, rows_inserted = NULL, rows_outside = NULL, adopted = 1, table_id = ?3
WHERE run = 0 AND (table_id <> ?3 OR (outcome = 0 AND built = 0))

-- name: adopt_built
-- What a look that began at ?3 should have found: start and attempt. ?4: the table is there. ?5: the model's first batch.
-- Where that may be another one than was built into (a full refresh whose first batch was tried), what was built with an
-- unknown number of rows counts as built with some.
SELECT start, attempt FROM state s
WHERE model = ?1 AND table_id = ?2 AND run = 0 AND built > 0 AND finished < ?3 AND (NOT ?4 OR adopted OR rows_inserted > 0
	OR (rows_inserted IS NULL AND (EXISTS (SELECT 1 FROM model WHERE id = ?1 AND looked < 0)
		OR EXISTS (SELECT 1 FROM refresh WHERE model = ?1 AND phase = 'first' AND max(range_start, ?5) <> s.start))))
ORDER BY start

-- name: adopt_gone
UPDATE state SET outcome = CASE outcome WHEN 1 THEN 0 ELSE outcome END, built = 0, adopted = 0, code = '',
	rows_deleted = NULL, rows_inserted = NULL, rows_outside = NULL
WHERE model = ?1 AND start = ?2 AND run = 0

-- name: adopt_told
-- ?2 to ?3: neighbours; ?4 attempt, ?5 outcome, ?6 at
INSERT INTO attempt (model, start, last, attempt, outcome, at, sqlstate, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, '', '')

-- name: adopt_looked
-- ?2 when the look began.
UPDATE model SET looked = max(looked, 1) WHERE id = ?1 AND looked < ?2
