-- SPDX-License-Identifier: Apache-2.0
-- The tables of the queue (schema.c).

-- name: queue_version_1
CREATE TABLE model(id INTEGER PRIMARY KEY, target_table TEXT NOT NULL COLLATE NOCASE, batch_size TEXT NOT NULL,
	seq INTEGER NOT NULL, table_id INTEGER NOT NULL, UNIQUE (target_table, batch_size));
CREATE TABLE request(id INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL UNIQUE, model INTEGER NOT NULL,
	seq INTEGER NOT NULL, kind TEXT NOT NULL, range_start INTEGER NOT NULL, range_end INTEGER NOT NULL,
	expected INTEGER, uid INTEGER NOT NULL, command TEXT NOT NULL, reason TEXT, code TEXT NOT NULL,
	at INTEGER NOT NULL, open INTEGER NOT NULL DEFAULT 1);
CREATE INDEX request_open ON request(model, seq) WHERE open;
-- Intervals, none overlapping another; without a start: the model is protected against a full refresh.
CREATE TABLE freeze(model INTEGER NOT NULL, range_start INTEGER, range_end INTEGER, uid INTEGER NOT NULL,
	command TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX freeze_model ON freeze(model, range_start);
CREATE TABLE state(model INTEGER NOT NULL, start INTEGER NOT NULL, table_id INTEGER NOT NULL,
	run INTEGER NOT NULL, attempt INTEGER NOT NULL, running_since INTEGER NOT NULL, owner INTEGER NOT NULL,
	request INTEGER NOT NULL, served INTEGER NOT NULL, interruptions INTEGER NOT NULL DEFAULT 0,
	outcome INTEGER NOT NULL DEFAULT 0, outcome_attempt INTEGER NOT NULL DEFAULT 0,
	started INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0, sqlstate TEXT NOT NULL DEFAULT '',
	message TEXT NOT NULL DEFAULT '', PRIMARY KEY (model, start)) WITHOUT ROWID;
CREATE INDEX state_running ON state(model) WHERE run = 1;
CREATE TABLE attempt(id INTEGER PRIMARY KEY, model INTEGER NOT NULL, start INTEGER NOT NULL,
	attempt INTEGER NOT NULL, outcome TEXT NOT NULL, at INTEGER NOT NULL, seconds REAL, request INTEGER,
	sqlstate TEXT NOT NULL, message TEXT NOT NULL);
CREATE INDEX attempt_model ON attempt(model);
-- Invariant 5 of queue.h.
INSERT INTO sqlite_sequence VALUES ('request', CAST(strftime('%s', 'now') AS INTEGER) << 20);

-- name: queue_version_2
-- What is done may be recorded here, too. identity: of this file, random; no other has it.
INSERT INTO batchfs_meta VALUES ('identity', lower(hex(randomblob(16))));
ALTER TABLE state ADD COLUMN built INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN code TEXT NOT NULL DEFAULT '';
ALTER TABLE state ADD COLUMN rows_deleted INTEGER;
ALTER TABLE state ADD COLUMN rows_inserted INTEGER;
ALTER TABLE state ADD COLUMN rows_outside INTEGER;
ALTER TABLE attempt ADD COLUMN rows_deleted INTEGER;
ALTER TABLE attempt ADD COLUMN rows_inserted INTEGER;

-- name: queue_version_3
-- Ranges that were answered without being built, skipped or cancelled, as one row each; their lines in the history
-- are ranges, too. table_id: of the table of then.
CREATE TABLE answer(id INTEGER PRIMARY KEY AUTOINCREMENT, model INTEGER NOT NULL, range_start INTEGER NOT NULL,
	range_end INTEGER NOT NULL, table_id INTEGER NOT NULL, skipped INTEGER NOT NULL, served INTEGER NOT NULL,
	at INTEGER NOT NULL, request INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX answer_model ON answer(model, range_start);
ALTER TABLE attempt ADD COLUMN last INTEGER;

-- name: queue_version_4
-- Who cancelled what was cancelled. A cancel is a request, too, which is never open.
ALTER TABLE attempt ADD COLUMN cancelled_uid INTEGER;
ALTER TABLE attempt ADD COLUMN cancelled_command TEXT;
CREATE INDEX request_cancel ON request(model, at) WHERE kind = 'cancel';

-- name: queue_version_5
-- The models' SQL as dbt compiled it, for manifests that come without.
CREATE TABLE compiled(unique_id TEXT NOT NULL, made_of TEXT NOT NULL, relation TEXT NOT NULL, sql TEXT NOT NULL,
	compiled_at INTEGER NOT NULL, used_at INTEGER NOT NULL, PRIMARY KEY (unique_id, made_of));

-- name: queue_version_6
-- Full refreshes, a row a model: the one that is under way (phase '': none is), and how the last one ended.
CREATE TABLE refresh(model INTEGER PRIMARY KEY, request INTEGER NOT NULL, phase TEXT NOT NULL,
	range_start INTEGER NOT NULL, range_end INTEGER NOT NULL, since INTEGER NOT NULL,
	build_at INTEGER NOT NULL DEFAULT 0, rows_outside INTEGER NOT NULL DEFAULT 0,
	rows_without_event_time INTEGER NOT NULL DEFAULT 0,
	result TEXT, finished_at INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '');

-- name: queue_version_7
-- Validations that were asked for (state 0), and what they have found in the table of then. Without a start: of the
-- whole table.
CREATE TABLE validation(id INTEGER PRIMARY KEY AUTOINCREMENT, model INTEGER NOT NULL, range_start INTEGER,
	range_end INTEGER, state INTEGER NOT NULL, asked_at INTEGER NOT NULL, table_id INTEGER, at INTEGER,
	looked_start INTEGER, looked_end INTEGER, batches INTEGER, pending INTEGER, found INTEGER, findings TEXT, message TEXT);
CREATE INDEX validation_model ON validation(model);

-- name: queue_version_8
-- A range may have failed without being built: answer.skipped says that batches show the answer, outcome which outcome.
-- Since when (seconds, the system's clock) no mount has the SQL of a request.
ALTER TABLE answer ADD COLUMN outcome INTEGER NOT NULL DEFAULT 3;
ALTER TABLE request ADD COLUMN orphan_since INTEGER;
CREATE INDEX request_orphans ON request(model, code) WHERE orphan_since IS NOT NULL;

-- name: queue_version_9
-- Of a table that is elsewhere: whether it was looked at (model), and which batches somebody else has built.
ALTER TABLE model ADD COLUMN looked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;

-- name: queue_version_10
-- A full refresh may make a table anew, in phase 'first'; model.looked may be -1 (it was looked at, and is another one now,
-- perhaps) and more than 1 (when it was made anew). The tables stay as they are: an older program, which would take
-- the phase for the end and the table for known, is kept out.
SELECT 1;

-- name: mount_put
-- Whose commits count: who finds another number here is not the mount that writes any more.
INSERT INTO batchfs_meta VALUES ('mount', ?) ON CONFLICT DO UPDATE SET value = excluded.value

-- name: mount_is
SELECT 1 FROM batchfs_meta WHERE key = 'mount' AND value = ?

-- name: model_find
-- While it is made anew, the table may be the former one or the new one.
SELECT id, table_id, looked > 0 AND NOT EXISTS (SELECT 1 FROM refresh WHERE model = id AND phase = 'first'),
	looked <> 0 OR EXISTS (SELECT 1 FROM refresh WHERE model = id)
FROM model WHERE target_table = ? AND batch_size = ?

-- name: model_add
INSERT INTO model (target_table, batch_size, seq, table_id) VALUES (?, ?, ?, ?)
