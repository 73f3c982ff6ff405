-- SPDX-License-Identifier: Apache-2.0
-- Claims (claim.c).

-- name: model_seq
SELECT seq FROM model WHERE id = ?

-- name: state_drop
-- A damaged row, before it is claimed: it is written anew.
DELETE FROM state WHERE model = ? AND start = ?

-- name: claim
-- ?1 model, ?2 start, ?3 table_id, ?4 attempt, ?5 now, ?6 owner, ?7 request, ?8 served, ?9 interruptions.
-- An outcome of another table under this name is void; of this one it stays until the next.
INSERT INTO state (model, start, table_id, attempt, running_since, owner, request, served, interruptions, run)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)
ON CONFLICT DO UPDATE SET table_id = ?3, attempt = ?4, running_since = ?5, owner = ?6, request = ?7, served = ?8,
	interruptions = ?9, run = 1, outcome = CASE WHEN table_id = ?3 THEN outcome ELSE 0 END,
	built = CASE WHEN table_id = ?3 THEN built ELSE 0 END
