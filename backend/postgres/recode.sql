-- SPDX-License-Identifier: Apache-2.0

-- The new xid makes it news for the other mounts. That of a full refresh is opened later.
-- name: recode
with live as materialized ({live_owners}),
r as (
	update batchfs.request r set code = $3, xid = pg_catalog.pg_current_xact_id(), origin = $5::bigint
	where r.model = $1::int and r.code = $2
	and (r.open and r.kind = 'build' or r.kind = 'full' and exists (
		select from batchfs.refresh x where x.model = $1::int and x.request = r.id and x.phase <> ''))
	and (r.origin = any ($4::bigint[]) or not exists (
		select from batchfs.owner o
		where o.id in (select id from live) and o.id <> $6::bigint and (o.codes is null or $2 = any (o.codes))))
	returning r.*)
select {request_columns} from r
