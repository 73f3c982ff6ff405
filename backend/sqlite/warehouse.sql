-- SPDX-License-Identifier: Apache-2.0
-- The tables of ours in FILE (open.c).

-- name: warehouse_version_1
-- id: random, names this very table (warehouse.h).
CREATE TABLE batchfs_model(id INTEGER PRIMARY KEY, target_table TEXT NOT NULL COLLATE NOCASE,
	batch_size TEXT NOT NULL, known_since INTEGER NOT NULL, UNIQUE (target_table, batch_size));
-- Times are microseconds since 1970 UTC; rows_* is null where it is not known.
CREATE TABLE batchfs_state(model INTEGER NOT NULL, start INTEGER NOT NULL, attempt INTEGER NOT NULL,
	started INTEGER, finished INTEGER, rows_deleted INTEGER, rows_inserted INTEGER, rows_outside INTEGER,
	adopted INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '', PRIMARY KEY (model, start)) WITHOUT ROWID;
CREATE TABLE batchfs_attempt(id INTEGER PRIMARY KEY, model INTEGER NOT NULL, start INTEGER NOT NULL,
	attempt INTEGER NOT NULL, outcome TEXT NOT NULL, at INTEGER NOT NULL, seconds REAL, rows_deleted INTEGER,
	rows_inserted INTEGER, request INTEGER);
CREATE INDEX batchfs_attempt_model ON batchfs_attempt(model);

-- name: warehouse_version_2
-- identity: of this file, random; no other has it.
INSERT INTO batchfs_meta VALUES ('identity', lower(hex(randomblob(16))));

-- name: warehouse_version_3
-- last: of what a look has found, the start of the last of neighbours that are alike.
ALTER TABLE batchfs_attempt ADD COLUMN last INTEGER;
