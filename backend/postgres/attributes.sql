-- SPDX-License-Identifier: Apache-2.0
-- What is to be said of a target besides its rows; a row is a statement, and there is none where all is said.

-- $1: the target's oid; $2: its name; $3, $4: privileges and roles as the config writes them, a role for each privilege.
-- What is granted already counts whoever has granted it; only what this role has granted is taken away.
-- name: attributes_grants
with want as (
	select w.privilege, w.role, lower(w.privilege) as low_privilege, lower(btrim(w.role, '"')) as low_role
	from unnest($3::text[], $4::text[]) as w (privilege, role)
), has as (
	select lower(a.privilege_type) as privilege, coalesce(r.rolname::text, 'public') as role, a.grantor
	from pg_catalog.pg_class c
	cross join lateral pg_catalog.aclexplode(c.relacl) a
	left join pg_catalog.pg_roles r on r.oid = a.grantee
	where c.oid = $1::oid and a.grantee <> c.relowner
)
select pg_catalog.format('revoke %s on %s from %s', h.privilege, $2::text,
	case when h.role = 'public' then h.role else quote_ident(h.role) end)
from has h
where h.grantor = (select oid from pg_catalog.pg_roles where rolname = current_user)
and not exists (select from want w where w.low_privilege = h.privilege and w.low_role = lower(h.role))
union all
select pg_catalog.format('grant %s on %s to %s', w.privilege, $2::text, w.role)
from want w
where w.low_role <> lower(current_user)
and not exists (select from has h where w.low_privilege = h.privilege and w.low_role = lower(h.role))

-- $3: the table's comment, or null; $4, $5: columns, as the server has them, and their descriptions.
-- name: attributes_comments
select pg_catalog.format('comment on table %s is %L', $2::text, $3::text)
where $3::text is not null and coalesce(pg_catalog.obj_description($1::oid, 'pg_class'), '') <> $3::text
union all
select pg_catalog.format('comment on column %s.%I is %L', $2::text, a.attname, w.description)
from unnest($4::text[], $5::text[]) as w (name, description)
join pg_catalog.pg_attribute a
	on a.attrelid = $1::oid and a.attname = w.name and a.attnum > 0 and not a.attisdropped
where coalesce(pg_catalog.col_description($1::oid, a.attnum), '') <> w.description
