-- SPDX-License-Identifier: Apache-2.0

-- name: load_freezes
select {freeze_columns} from unnest($1::int[]) as m (id)
left join batchfs.freeze f on f.model = m.id
order by m.id, f.first_start

-- name: load_requests
declare batchfs_load cursor for
select {request_columns} from batchfs.request r
where r.model = any ($1::int[]) and (r.open or r.id in (select s.request from batchfs.state s)
	or r.id in (select k.request from batchfs.answer k))
order by r.id

-- name: load_known
select m.id, m.seq, coalesce(max(r.id), 0) from batchfs.model m left join batchfs.request r on r.model = m.id
where m.id = any ($1::int[]) group by 1, 2

-- name: load_states
declare batchfs_load cursor for
select {state_columns} from batchfs.state s where s.model = any ($1::int[])

-- name: load_answers
declare batchfs_load cursor for
select {answer_columns} from batchfs.answer x where x.model = any ($1::int[]) order by x.id
