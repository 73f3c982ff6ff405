-- SPDX-License-Identifier: Apache-2.0

-- The new xid makes it news for the other mounts.
-- name: recode
with live as materialized ({live_owners})
update batchfs.request r set code = $3, xid = pg_catalog.pg_current_xact_id(), origin = $5::bigint
where r.model = $1::int and r.open and r.kind = 'build' and r.code = $2
and (r.origin = any ($4::bigint[]) or not exists (select from live where id <> $6::bigint))
returning {request_columns}

-- name: others
with live as materialized ({live_owners})
select exists (select from live where id <> $1::bigint)
