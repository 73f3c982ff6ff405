-- SPDX-License-Identifier: Apache-2.0
-- Validations that were asked for, and what they have found (validations.c). first_start null: of the whole table.

-- name: validation_columns
x.id, x.model, x.first_start, x.end_start, x.state, x.asked_at, x.owner, x.at, x.looked_start, x.looked_end, x.batches,
x.pending, x.found, x.findings, x.message

-- name: validation_ask
insert into batchfs.validation (model, first_start, end_start, asked_at, owner, origin)
values ($1::int, $2::timestamptz, $3::timestamptz, $4::timestamptz, $5::bigint, $5::bigint)
returning id

-- Nothing where it has ended already: it was cancelled.
-- name: validation_end
update batchfs.validation set state = $2, at = $3::timestamptz, looked_start = $4::timestamptz,
	looked_end = $5::timestamptz, batches = $6::bigint, pending = $7::bigint, found = $8::bigint, findings = $9,
	message = $10, origin = $11::bigint, xid = pg_catalog.pg_current_xact_id()
where id = $1::bigint and state = 'asked'
returning id

-- What nobody reads any more: what did not come to its end, what another one has replaced, what is too much. Nothing
-- that is younger than $2: another mount may not have read it yet.
-- name: validation_prune
delete from batchfs.validation v
where v.model = $1::int and v.state <> 'asked' and coalesce(v.at, v.asked_at) < $2::timestamptz
and (v.state <> 'done'
	or exists (
		select from batchfs.validation n
		where n.model = v.model and n.state = 'done' and n.id > v.id and (n.first_start is null
			or n.first_start <= v.first_start and n.end_start >= v.end_start))
	or v.id <= (
		select n.id from batchfs.validation n where n.model = v.model and n.state = 'done'
		order by n.id desc limit 1 offset $3::int))

-- Of a table that was there before the present one nothing is known.
-- name: load_validations
select {validation_columns} from batchfs.validation x join batchfs.model m on m.id = x.model
where x.model = any ($1::int[]) and (x.state = 'asked' or x.state = 'done'
	and x.at >= coalesce(m.adopted_at, '-infinity'))
order by x.id

-- name: follow_validations
select {validation_columns} from batchfs.validation x where {news} order by x.id

-- What was asked for on a mount that is no more. $1 our number, $2 that of the session, $3 the models.
-- name: validation_take_over
update batchfs.validation x set owner = $1::bigint, origin = $2::bigint, xid = pg_catalog.pg_current_xact_id()
where x.state = 'asked' and x.model = any ($3::int[]) and x.owner <> $1::bigint
and not exists (select from batchfs.owner o where o.id = x.owner)
returning {validation_columns}
