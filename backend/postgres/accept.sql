-- SPDX-License-Identifier: Apache-2.0

-- name: accept
update batchfs.model m set target_oid = u.oid
from unnest($1::int[], $2::oid[]) as u (id, oid)
where m.id = u.id and m.target_oid is null
