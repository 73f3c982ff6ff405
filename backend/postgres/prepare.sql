-- SPDX-License-Identifier: Apache-2.0

-- name: prepare_known
select coalesce(target_oid, 0) from batchfs.model where id = $1::int
