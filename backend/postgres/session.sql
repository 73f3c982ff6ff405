-- SPDX-License-Identifier: Apache-2.0
-- Sessions: what every one of ours has (conn.c), and the one in which a model's SQL runs (session.c).

-- Nothing here changes what a model's SQL yields. Sessions outlive neither a dead client nor a dead network by more
-- than some seconds (facts/postgres.md §4: without these up to two hours). On Citus, batches of one distributed
-- table do not wait for each other's shards until their lock_timeout: no batch writes rows of another's window.
-- Through a pooler ($1 is the pid that libpq was told) nothing is set: whoever gets that session next would have it.
-- What a server does not know is passed over.
-- name: session_alive
select pg_catalog.set_config(s.name, s.value, false)
from (values ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '3'), ('tcp_keepalives_count', '3'),
	('tcp_user_timeout', '20000'), ('idle_in_transaction_session_timeout', '60s'), ('idle_session_timeout', '0'),
	('citus.all_modifications_commutative', 'on')) as s (name, value)
where pg_catalog.pg_backend_pid() = $1::int and pg_catalog.current_setting(s.name, true) is not null

-- Alone: some platforms know it and refuse it.
-- name: session_checks_client
select pg_catalog.set_config('client_connection_check_interval', '1000', false)
where pg_catalog.pg_backend_pid() = $1::int
and pg_catalog.current_setting('client_connection_check_interval', true) is not null

-- The pid, and whether this may be a node of a Citus cluster.
-- name: session_server
select pg_catalog.pg_backend_pid(), pg_catalog.to_regclass('pg_catalog.pg_dist_local_group') is not null

-- The coordinator's is 0. (A server that Citus runs on and that is in no cluster is its own coordinator.)
-- name: session_citus_group
select coalesce((select groupid from pg_catalog.pg_dist_local_group limit 1), 0)

-- A model's SQL runs in the session that the role gets, but for what we cannot do without: a lock is not waited for
-- for ever, the compiled text is read as the lexer reads it, and a temporary table hides no other one. Our own
-- statements name their schemas, our literals their zone: neither needs anything else.
-- name: session_of_models
select pg_catalog.set_config('lock_timeout', '5s', false),
	pg_catalog.set_config('standard_conforming_strings', 'on', false),
	pg_catalog.set_config('client_min_messages', 'warning', false),
	pg_catalog.set_config('search_path',
		case when pg_catalog.current_setting('search_path') like '%pg_temp%'
		then pg_catalog.current_setting('search_path')
		else pg_catalog.concat_ws(', ', nullif(pg_catalog.current_setting('search_path'), ''), 'pg_temp') end,
		false)
