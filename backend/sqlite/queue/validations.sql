-- SPDX-License-Identifier: Apache-2.0
-- Validations that were asked for, and what they have found (validations.c).

-- name: validation_ask
-- ?2 and ?3 null: of the whole table
INSERT INTO validation (model, range_start, range_end, state, asked_at) VALUES (?, ?, ?, 0, ?)

-- name: validation_end
-- Nothing where it has ended already: it was cancelled.
UPDATE validation SET state = ?2, table_id = ?3, at = ?4, looked_start = ?5, looked_end = ?6, batches = ?7, pending = ?8,
	found = ?9, findings = ?10, message = ?11
WHERE id = ?1 AND state = 0

-- name: validation_prune
-- What did not come to its end, what another one has replaced, what is too much.
DELETE FROM validation AS v WHERE v.model = ?1 AND v.state <> 0 AND (v.state <> 1
	OR EXISTS (SELECT 1 FROM validation n WHERE n.model = v.model AND n.state = 1 AND n.id > v.id
		AND (n.range_start IS NULL OR n.range_start <= v.range_start AND n.range_end >= v.range_end))
	OR v.id <= (SELECT n.id FROM validation n WHERE n.model = v.model AND n.state = 1 ORDER BY n.id DESC LIMIT 1 OFFSET ?2))

-- name: validations_of
-- What was found in another table (?2 is this one) is void.
SELECT id, range_start, range_end, state, asked_at, at, looked_start, looked_end, batches, pending, found, findings, message
FROM validation WHERE model = ?1 AND (state = 0 OR state = 1 AND table_id = ?2) ORDER BY id
