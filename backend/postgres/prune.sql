-- SPDX-License-Identifier: Apache-2.0

-- An adoption's row (window_start null) stays: it voids what a mount knows, however late that looks.
-- name: prune_attempts
delete from batchfs.attempt where ctid = any (array(
	select o.ctid from batchfs.attempt o
	where o.model = $1::int and o.window_start is not null and o.at < $3::timestamptz
	and o.xid < (
		select x.xid from batchfs.attempt x
		where x.model = $1::int and {history_rows}
		order by x.xid desc offset $2::bigint limit 1)
	limit $4::bigint for update skip locked))
returning 1

-- Of other kinds than a build some stay in force. That of a model's last full refresh says who asked for it.
-- name: prune_requests
delete from batchfs.request r
where r.model = $1::int and not r.open and r.kind in ('build', 'full') and r.at < $2::timestamptz
and not exists (select from batchfs.refresh x where x.model = $1::int and x.request = r.id)
and not exists (select from batchfs.state s where s.model = $1::int and s.request = r.id)
and not exists (select from batchfs.attempt a where a.model = $1::int and a.request = r.id)
and not exists (select from batchfs.answer k where k.model = $1::int and k.request = r.id)
