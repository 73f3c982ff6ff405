-- SPDX-License-Identifier: Apache-2.0
-- Requests as they come (request.c).

-- name: request_known
SELECT id, seq FROM request WHERE uuid = ?

-- name: next_seq
UPDATE model SET seq = seq + 1 WHERE id = ? RETURNING seq

-- name: request_add
INSERT INTO request (model, seq, range_start, range_end, expected, uid, command, code, at, uuid, reason, kind)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'build')

-- name: request_cancel
INSERT INTO request (model, seq, range_start, range_end, uid, command, code, at, uuid, kind, open)
VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, 'cancel', 0)
ON CONFLICT DO UPDATE SET seq = excluded.seq

-- name: request_spared
-- What of ?2 to ?3 was asked for after the seq ?4, but for the request ?5.
SELECT max(range_start, ?2), min(range_end, ?3) FROM request
WHERE model = ?1 AND kind = 'build' AND seq > ?4 AND id <> ?5 AND range_start < ?3 AND range_end > ?2
ORDER BY range_start

-- name: request_reason
UPDATE request SET reason = ? WHERE uuid = ? RETURNING id, seq

-- name: request_covers
-- Whether a window (?3) is wanted by a request that is not answered for it: ?2 served.
SELECT 1 FROM request WHERE model = ?1 AND open AND seq > ?2 AND range_start <= ?3 AND range_end > ?3 LIMIT 1

-- name: request_recode
-- That of a full refresh is opened later.
UPDATE request SET code = ?3 WHERE model = ?1 AND code = ?2
	AND (open OR kind = 'full' AND id = (SELECT request FROM refresh WHERE model = ?1 AND phase <> ''))

-- name: request_orphan
-- Since when nobody can build it. Out: whether that is a minute ago.
UPDATE request SET orphan_since = coalesce(orphan_since, CAST(strftime('%s', 'now') AS INTEGER)) WHERE id = ?1
RETURNING orphan_since <= CAST(strftime('%s', 'now') AS INTEGER) - 60

-- name: request_unorphan
-- Of what waited for this the minute begins anew when it is missing again.
UPDATE request SET orphan_since = NULL WHERE orphan_since IS NOT NULL AND model = ?1 AND code = ?2

-- name: request_retire
UPDATE request SET open = 0 WHERE id = ?
