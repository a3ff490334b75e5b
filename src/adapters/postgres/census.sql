-- Everything on a server that might write, in a single answer, because each round trip may be slow.
WITH own AS (
  SELECT r.oid, r.rolname, r.rolsuper, r.rolsuper OR r.rolcreaterole AS creates FROM pg_roles r WHERE r.rolname = current_user
), replicates AS (
  -- Standbys log in with such a role, and before PostgreSQL 16 only a superuser may change it. The fence leaves it alone if it
  -- cannot write: in every database it owns no table and has rights on none, it is a member of no role that has, and what is
  -- granted to PUBLIC in this database lets it write nothing.
  SELECT r.oid FROM pg_roles r WHERE r.rolreplication AND NOT r.rolsuper
    AND NOT EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
      AND d.classid = 'pg_class'::regclass)
    AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'f')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
      AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
    AND NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid
      AND g.rolname NOT IN ('pg_checkpoint', 'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables'))
), logins AS (
  SELECT r.oid, r.rolname, r.rolsuper, CASE
      WHEN own.rolsuper THEN true
      WHEN r.rolsuper OR NOT own.creates THEN false
      WHEN current_setting('server_version_num')::int >= 160000 THEN pg_has_role(own.oid, r.oid, 'MEMBER WITH ADMIN OPTION')
      ELSE NOT r.rolreplication
    END AS alterable
  FROM pg_roles r, own WHERE r.rolcanlogin AND r.oid <> own.oid
)
SELECT jsonb_build_object(
  'replica', pg_is_in_recovery(),
  'own', (SELECT rolname FROM own),
  'superuser', (SELECT rolsuper FROM own),
  'creates', (SELECT creates FROM own),
  'here', current_database(),
  'promotes', (SELECT coalesce(bool_or(has_function_privilege(p.oid, 'EXECUTE')), false) FROM pg_proc p
    WHERE p.proname = 'pg_promote' AND p.pronamespace = 'pg_catalog'::regnamespace),
  'databases', (SELECT jsonb_agg(jsonb_build_object('oid', d.oid::bigint, 'name', d.datname, 'open', d.datallowconn,
      'template', d.datistemplate, 'ours', own.rolsuper OR pg_has_role(own.oid, d.datdba, 'USAGE')) ORDER BY d.datname)
    FROM pg_database d, own),
  'signals', (SELECT rolsuper OR pg_has_role(oid, 'pg_signal_backend', 'USAGE') FROM own),
  'marked', EXISTS (SELECT FROM pg_roles WHERE rolname = 'drctl_fenced'),
  'note', (SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'drctl_fenced'),
  'fenced', (SELECT coalesce(jsonb_agg(r.rolname ORDER BY r.rolname), '[]') FROM pg_auth_members m
    JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member WHERE g.rolname = 'drctl_fenced'),
  'logins', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', rolname, 'superuser', rolsuper, 'alterable', alterable)
    ORDER BY rolname), '[]') FROM logins WHERE oid NOT IN (SELECT oid FROM replicates)),
  'processes', (SELECT coalesce(jsonb_agg(jsonb_build_object('pid', a.pid, 'kind', a.backend_type, 'role', a.usename,
      'application', coalesce(a.application_name, ''), 'state', coalesce(a.state, ''), 'database', a.datname,
      'superuser', coalesce((SELECT rolsuper FROM pg_roles WHERE oid = a.usesysid), false),
      'replicates', coalesce(a.usesysid IN (SELECT oid FROM replicates), false),
      'subscription', (SELECT s.subid::bigint FROM pg_stat_subscription s WHERE s.pid = a.pid LIMIT 1)) ORDER BY a.pid), '[]')
    FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()),
  'subscriptions', (SELECT coalesce(jsonb_agg(jsonb_build_object('oid', s.oid::bigint, 'name', s.subname, 'database', d.datname,
      'owner', o.rolname, 'enabled', s.subenabled, 'ours', pg_has_role(own.oid, s.subowner, 'USAGE')) ORDER BY s.oid), '[]')
    FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid JOIN pg_roles o ON o.oid = s.subowner, own),
  'prepared', (SELECT coalesce(jsonb_agg(jsonb_build_object('gid', p.gid, 'owner', p.owner, 'database', p.database,
      'by', (SELECT coalesce(jsonb_agg(l.rolname ORDER BY l.rolname), '[]') FROM logins l
        WHERE l.rolsuper OR pg_has_role(l.oid, p.owner, 'MEMBER'))) ORDER BY p.gid), '[]') FROM pg_prepared_xacts p),
  'ended', pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
  'open', pg_snapshot_xmin(pg_current_snapshot()) <> pg_snapshot_xmax(pg_current_snapshot()),
  'last', CASE WHEN current_setting('track_commit_timestamp') = 'on' AND NOT pg_is_in_recovery()
    THEN (SELECT (extract(epoch FROM l.timestamp) * 1000)::bigint FROM pg_last_committed_xact() l WHERE l.xid IS NOT NULL) END,
  'now', (extract(epoch FROM clock_timestamp()) * 1000)::bigint
)::text
