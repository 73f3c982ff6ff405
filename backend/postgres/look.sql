-- SPDX-License-Identifier: Apache-2.0
-- What a look finds in a target, and how it is told (windows.c, look.c).

-- Of the statement that windows.c writes, one descent of the index a window.
-- name: skip_scan_end
) from batchfs_w where batchfs_w.t is not null)
select (extract(epoch from t) * 1000000)::bigint from batchfs_w where t is not null order by 1

-- Lines of .history, and what other mounts hear of it: neighbours are one row.
-- name: look_told
insert into batchfs.attempt (model, window_start, last_start, attempt, origin, outcome, at)
select $1::int, w.first, nullif(w.last, w.first), w.attempt, $2::bigint, $3, $4::timestamptz
from unnest($5::timestamptz[], $6::timestamptz[], $7::int[]) as w (first, last, attempt)
