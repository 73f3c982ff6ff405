-- SPDX-License-Identifier: Apache-2.0
-- Validation: what is recorded of a model, and the questions about its tables (validate.c).

-- name: validate_states
-- What was built, and with how many rows. A batch of another size that was built into the same window since has changed
-- the number: then it is not known. ?1 table_id, ?2 the start of the first batch, ?3 the end of the last one, ?4 the
-- length of one as a modifier.
SELECT s.start, CASE WHEN NOT s.adopted AND NOT EXISTS (
	SELECT 1 FROM batchfs_model m
	JOIN batchfs_model o ON o.target_table = m.target_table AND o.id <> m.id
	JOIN batchfs_state x ON x.model = o.id AND NOT x.adopted AND x.finished > s.finished
		AND x.start < strftime('%s', s.start / 1000000, 'unixepoch', ?4) * 1000000
		AND strftime('%s', x.start / 1000000, 'unixepoch', '+1 ' || o.batch_size) * 1000000 > s.start
	WHERE m.id = s.model) THEN s.rows_inserted END
FROM batchfs_state s WHERE s.model = ?1 AND s.start >= ?2 AND s.start < ?3

-- name: validate_unique
-- Whether the table cannot hold two rows that are alike in these columns (lower case, a line each).
SELECT 1 FROM pragma_index_list(?1) l WHERE l."unique" AND l.partial = 0 AND NOT EXISTS (
	SELECT 1 FROM pragma_index_info(l.name) i
	WHERE i.name IS NULL OR instr(?2, char(10) || lower(i.name) || char(10)) = 0)

-- name: validate_window
-- event_time, event_time; ?1 the start of the first window, ?2 the end of the last one
 WHERE (%s) >= ?1 AND (%s) < ?2
