-- SPDX-License-Identifier: Apache-2.0
-- What a file says of itself (meta.c).

-- name: meta_make
CREATE TABLE batchfs_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO batchfs_meta VALUES ('version', 1);

-- name: meta_present
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'batchfs_meta'

-- name: meta_get
SELECT value FROM batchfs_meta WHERE key = ?

-- name: meta_set_version
UPDATE batchfs_meta SET value = ? WHERE key = 'version'
