-- SPDX-License-Identifier: Apache-2.0
-- State and request rows as load and follow read them (row.c). News add whether a batch was cancelled.

-- name: state_columns
s.model, s.window_start, s.run, s.outcome, s.attempt,
case when s.run = 1 then s.running_since else s.started end, s.finished, s.built,
s.rows_deleted, s.rows_inserted, s.rows_outside, s.adopted, s.code, s.request, s.served,
s.sqlstate, s.message, s.owner

-- name: request_columns
r.id, r.seq, r.model, r.first_start, r.end_start, r.uid, r.command, r.reason, r.code, r.at, r.open, r.kind

-- name: answer_columns
x.id, x.model, x.skipped, x.first_start, x.end_start, x.served, x.request, x.at, x.message,
case when x.skipped then x.outcome else 0 end
