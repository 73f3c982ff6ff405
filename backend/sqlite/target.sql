-- SPDX-License-Identifier: Apache-2.0
-- A look at a table as it is (target.c, inputs.c), and its entry among ours (prepare.c).

-- name: table_columns
SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0

-- name: column_type
SELECT type FROM pragma_table_xinfo(?) WHERE name = ? COLLATE NOCASE

-- name: table_kind
SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')

-- name: table_marker
SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ? AND tbl_name = ? COLLATE NOCASE

-- name: table_index
SELECT 1 FROM pragma_index_list(?1) l JOIN pragma_index_info(l.name) i ON i.seqno = 0
WHERE l.partial = 0 AND i.name = ?2 COLLATE NOCASE

-- name: model_id
SELECT id FROM batchfs_model WHERE target_table = ? AND batch_size = ?

-- name: model_other_sizes
-- Of ?1 in other sizes than ?2, those in which something was built.
SELECT group_concat(batch_size, ', ') FROM (
	SELECT m.batch_size FROM batchfs_model m WHERE m.target_table = ?1 AND m.batch_size <> ?2
	AND EXISTS (SELECT 1 FROM batchfs_state s WHERE s.model = m.id AND s.attempt > 0) ORDER BY 1)

-- name: model_register
INSERT INTO batchfs_model (id, target_table, batch_size, known_since) VALUES (?, ?, ?, ?)
ON CONFLICT (target_table, batch_size) DO UPDATE SET id = excluded.id, known_since = excluded.known_since
