-- 43_check_roles.sql: rules TG301 to TG399, who could get past the guard and
-- what was granted to whom. Roles belong to the whole server, so these do not
-- end at a schema; privileges are judged in the schema that is asked for.

INSERT INTO tenantguard.check_rule (code, severity, title) VALUES
	('TG301', 'notice', 'a superuser can log in'),
	('TG302', 'warning', 'a role with BYPASSRLS can log in'),
	('TG303', 'notice', 'a bypass grant has no end'),
	('TG304', 'warning', 'a bypass grant reaches the members of a role'),
	('TG305', 'warning', 'a standing bypass of a role that owns no guarded table'),
	('TG306', 'warning', 'a role for backups or replication may write guarded tables'),
	('TG307', 'notice', 'a bypass grant is of no use any more'),
	('TG308', 'warning', 'nobody but the owner may use the guarded tables'),
	('TG309', 'notice', 'a role may become the owner of guarded tables'),
	('TG310', 'warning', 'TRIGGER, REFERENCES, TRUNCATE or MAINTAIN on a guarded relation'),
	('TG311', 'warning', 'PUBLIC has privileges on a guarded relation'),
	('TG312', 'warning', 'privileges on a guarded relation can be passed on'),
	('TG313', 'warning', 'PUBLIC may create objects in a schema'),
	('TG314', 'notice', 'PUBLIC may create temporary tables'),
	('TG315', 'warning', 'default privileges grant too much'),
	('TG316', 'warning', 'a role reaches files or programs of the server'),
	('TG317', 'notice', 'a role reads, writes or maintains every table'),
	('TG318', 'notice', 'a role sees or disturbs other sessions'),
	('TG319', 'warning', 'a role with REPLICATION can log in'),
	('TG320', 'warning', 'a role with CREATEROLE can log in'),
	('TG321', 'critical', 'a stored setting switches the guard to reports'),
	('TG322', 'notice', 'a stored setting has tenants count for a session'),
	('TG323', 'notice', 'a stored setting shows no rows instead of an error'),
	('TG324', 'warning', 'a tenant is stored with a role, database or function'),
	('TG325', 'warning', 'a stored setting switches triggers off'),
	('TG326', 'warning', 'privileges on the extension''s own objects were granted'),
	('TG327', 'critical', 'an object of the extension has another owner');

CREATE FUNCTION tenantguard.known_bypass_grants()
RETURNS TABLE (grantee oid, purpose text, until timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pg_catalog.has_table_privilege('tenantguard.bypass_grant', 'SELECT') THEN
		RETURN QUERY SELECT g.grantee::oid, g.purpose, g.until FROM tenantguard.bypass_grant AS g;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.known_bypass_grants() IS
	'The bypass grants, for those who may read them; no row for others.';

CREATE FUNCTION tenantguard.check_grants()
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH given AS MATERIALIZED (
		SELECT g.grantee, g.purpose, g.until, r.rolname, r.rolsuper,
			pg_catalog.format('role %s, purpose %s',
				COALESCE(pg_catalog.quote_ident(r.rolname), g.grantee::text), g.purpose) AS object,
			CASE WHEN r.oid IS NULL
				THEN tenantguard.under_bypass('its role is gone', pg_catalog.format(
					'DELETE FROM tenantguard.bypass_grant WHERE grantee = %s;', g.grantee))
				ELSE pg_catalog.format('SELECT tenantguard.revoke_bypass(%L, %L);',
					pg_catalog.quote_ident(r.rolname), g.purpose) END AS revocation
		FROM tenantguard.known_bypass_grants() AS g
		LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
	),
	held AS MATERIALIZED (
		SELECT c.oid, c.relowner, c.relacl
		FROM tenantguard.guarded_relation AS g
		JOIN pg_catalog.pg_class AS c ON c.oid = g.relid
		WHERE g.mode <> 'exempt'
	)
	SELECT 'TG303', g.object,
		'it stands until somebody thinks of it.',
		pg_catalog.format('SELECT tenantguard.grant_bypass(%L, %L, pg_catalog.now() + %L);',
			pg_catalog.quote_ident(g.rolname), g.purpose, '30 days')
	FROM given AS g
	WHERE g.rolname IS NOT NULL AND g.until IS NULL AND g.purpose NOT IN ('backup', 'replication')
	UNION ALL
	SELECT 'TG304', g.object,
		pg_catalog.format('each member may call begin_bypass(): %s.', m.list), NULL
	FROM given AS g
	JOIN (
		SELECT a.roleid, pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(r.rolname), ', ') AS list
		FROM pg_catalog.pg_auth_members AS a
		JOIN pg_catalog.pg_roles AS r ON r.oid = a.member AND NOT r.rolsuper
		GROUP BY a.roleid
	) AS m ON m.roleid = g.grantee
	WHERE g.until IS NULL OR g.until > pg_catalog.now()
	UNION ALL
	SELECT 'TG305', g.object,
		'every statement of its that sets no tenant sees all of them; it owns no guarded table, as a migration tool does.',
		g.revocation
	FROM given AS g
	WHERE g.purpose IN ('migration', 'test') AND NOT g.rolsuper
		AND (g.until IS NULL OR g.until > pg_catalog.now())
		AND EXISTS (SELECT 1 FROM held AS h)
		AND NOT EXISTS (
			SELECT 1
			FROM (SELECT DISTINCT h.relowner FROM held AS h) AS o
			WHERE pg_catalog.pg_has_role(g.grantee, o.relowner, 'MEMBER'))
	UNION ALL
	SELECT 'TG306', g.object,
		pg_catalog.format('it needs to read, and has INSERT, UPDATE or DELETE on %s guarded relations.', w.relations),
		g.revocation
	FROM given AS g
	JOIN (
		SELECT x.grantee, pg_catalog.count(DISTINCT h.oid) AS relations
		FROM held AS h
		CROSS JOIN LATERAL pg_catalog.aclexplode(h.relacl) AS x
		WHERE x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
		GROUP BY x.grantee
	) AS w ON w.grantee = g.grantee
	WHERE g.purpose IN ('backup', 'replication') AND NOT g.rolsuper
	UNION ALL
	SELECT 'TG307', g.object,
		CASE WHEN g.rolname IS NULL THEN 'its role is gone; another one could get the number.'
			ELSE pg_catalog.format('it ended at %s.', g.until) END,
		g.revocation
	FROM given AS g
	WHERE g.rolname IS NULL OR g.until <= pg_catalog.now()
$$;
COMMENT ON FUNCTION tenantguard.check_grants() IS
	'Findings TG303 to TG307, grants of a bypass; none for a caller who may not read the grants.';

CREATE FUNCTION tenantguard.check_stored_settings()
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH stored AS MATERIALIZED (
		SELECT 'function ' || p.oid::pg_catalog.regprocedure AS holder,
			pg_catalog.format('ALTER ROUTINE %s RESET', p.oid::pg_catalog.regprocedure) AS command, p.proconfig AS settings
		FROM pg_catalog.pg_proc AS p
		WHERE p.proconfig IS NOT NULL
		UNION ALL
		SELECT pg_catalog.concat_ws(' in ',
				CASE WHEN s.setrole <> 0 THEN pg_catalog.format('role %I', pg_catalog.pg_get_userbyid(s.setrole)) END,
				CASE WHEN s.setdatabase <> 0 THEN pg_catalog.format('database %I', d.datname) END,
				CASE WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'all roles' END),
			CASE
				WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN pg_catalog.format('ALTER DATABASE %I RESET', d.datname)
				ELSE pg_catalog.concat('ALTER ROLE ',
					CASE s.setrole WHEN 0 THEN 'ALL' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) END,
					CASE WHEN s.setdatabase <> 0 THEN pg_catalog.format(' IN DATABASE %I', d.datname) END,
					' RESET')
			END,
			s.setconfig
		FROM pg_catalog.pg_db_role_setting AS s
		LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
		-- What is stored for other databases is theirs to check.
		WHERE s.setdatabase = 0 OR d.datname = pg_catalog.current_database()
	),
	setting AS (
		SELECT s.holder, s.command,
			pg_catalog.lower(pg_catalog.split_part(c.setting, '=', 1)) AS name,
			pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) AS value
		FROM stored AS s
		CROSS JOIN LATERAL pg_catalog.unnest(s.settings) AS c (setting)
	)
	SELECT k.code, s.holder, pg_catalog.format(k.detail, s.name, s.value),
		pg_catalog.format('%s %s;', s.command, s.name)
	FROM setting AS s
	JOIN (VALUES
		('TG321', 'tenantguard.enforce', 'log', '%s = %s: there nothing is filtered or refused.'),
		('TG322', 'tenantguard.context_scope', 'session',
			'%s = %s: a tenant counts until it is set again; no pool may hand such a session on.'),
		('TG323', 'tenantguard.missing_context', 'empty',
			'%s = %s: a transaction that forgot its tenant looks like one without rows.'),
		('TG324', 'app.current_org_id', NULL, '%s = %s: it does not count, and without the library it is everybody''s tenant.'),
		('TG325', 'session_replication_role', 'replica', '%s = %s: foreign keys and triggers do not fire there.')
	) AS k (code, name, value, detail)
		ON k.name = s.name AND pg_catalog.lower(s.value) = COALESCE(k.value, pg_catalog.lower(s.value))
$$;
COMMENT ON FUNCTION tenantguard.check_stored_settings() IS
	'Findings TG321 to TG325: settings stored with roles, this database and functions that weaken the guard.';

CREATE FUNCTION tenantguard.check_privileges(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH rel AS MATERIALIZED (
		SELECT r.relid, r.name, r.relowner
		FROM tenantguard.checked_relations(check_privileges.schema) AS r
		WHERE r.mode <> 'exempt'
	),
	privilege AS MATERIALIZED (
		SELECT r.relid, r.name, r.relowner, g.grantee, g.privilege_type AS word, g.is_grantable,
			CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END AS holder
		FROM rel AS r
		JOIN (
			SELECT c.oid AS relid, x.grantee, x.privilege_type, x.is_grantable
			FROM pg_catalog.pg_class AS c
			CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS x
			WHERE c.relacl IS NOT NULL
			UNION
			SELECT a.attrelid, x.grantee, x.privilege_type, x.is_grantable
			FROM pg_catalog.pg_attribute AS a
			CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS x
			WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
		) AS g ON g.relid = r.relid
		WHERE g.grantee <> r.relowner
	),
	-- Per relation and holder, so that one REVOKE takes it all.
	excess AS (
		SELECT p.name, p.holder, pg_catalog.string_agg(DISTINCT p.word, ', ') AS words
		FROM privilege AS p
		WHERE p.word IN ('TRIGGER', 'REFERENCES', 'TRUNCATE', 'MAINTAIN')
		GROUP BY p.name, p.holder
	),
	schema_used AS (
		SELECT n.oid, n.nspname, n.nspacl, n.nspowner
		FROM pg_catalog.pg_namespace AS n
		WHERE n.oid = check_privileges.schema
			OR (check_privileges.schema IS NULL AND NOT pg_catalog.starts_with(n.nspname::text, 'pg_')
				AND n.nspname <> 'information_schema')
	)
	SELECT 'TG308', pg_catalog.format('role %I', o.rolname),
		pg_catalog.format('it owns %s guarded relations that no other role has a privilege on: the application logs in as their owner.',
			pg_catalog.count(*)),
		NULL
	FROM rel AS r
	JOIN pg_catalog.pg_roles AS o ON o.oid = r.relowner AND o.rolcanlogin
	-- A join, since IN would be asked row by row where there are many.
	LEFT JOIN (SELECT DISTINCT p.relid FROM privilege AS p) AS g ON g.relid = r.relid
	GROUP BY o.oid, o.rolname
	HAVING pg_catalog.count(g.relid) = 0
	UNION ALL
	SELECT 'TG309', pg_catalog.format('role %I', m.rolname),
		pg_catalog.format('by SET ROLE it is %s, which owns guarded relations and may run DDL on them.', o.rolname),
		pg_catalog.format('REVOKE %I FROM %I;', o.rolname, m.rolname)
	FROM (SELECT DISTINCT r.relowner FROM rel AS r) AS w
	JOIN pg_catalog.pg_roles AS o ON o.oid = w.relowner
	-- From PostgreSQL 16 on a member may lack the right to SET ROLE.
	JOIN pg_catalog.pg_auth_members AS a ON a.roleid = o.oid
		AND COALESCE(pg_catalog.to_jsonb(a) ->> 'set_option', 'true') = 'true'
	JOIN pg_catalog.pg_roles AS m ON m.oid = a.member AND m.rolcanlogin AND NOT m.rolsuper
	UNION ALL
	SELECT 'TG310', e.name,
		pg_catalog.format('granted: %s.', pg_catalog.string_agg(pg_catalog.format('%s to %s', e.words, e.holder), '; ' ORDER BY e.holder)),
		pg_catalog.string_agg(pg_catalog.format('REVOKE %s ON TABLE %s FROM %s CASCADE;', e.words, e.name, e.holder), ' ' ORDER BY e.holder)
	FROM excess AS e
	GROUP BY e.name
	UNION ALL
	SELECT 'TG311', p.name,
		pg_catalog.format('every role of the server has %s.', pg_catalog.string_agg(DISTINCT p.word, ', ')),
		pg_catalog.format('REVOKE ALL ON TABLE %s FROM PUBLIC;', p.name)
	FROM privilege AS p
	WHERE p.grantee = 0
	GROUP BY p.name
	UNION ALL
	SELECT 'TG312', p.name,
		pg_catalog.format('%s may grant %s to others.', p.holder, pg_catalog.string_agg(DISTINCT p.word, ', ')),
		pg_catalog.format('REVOKE GRANT OPTION FOR %s ON TABLE %s FROM %s CASCADE;',
			pg_catalog.string_agg(DISTINCT p.word, ', '), p.name, p.holder)
	FROM privilege AS p
	WHERE p.is_grantable
	GROUP BY p.name, p.holder
	UNION ALL
	SELECT 'TG313', pg_catalog.format('schema %I', n.nspname),
		'a function or table of the same name put there is found before, or instead of, the one that is meant.',
		pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC;', n.nspname)
	FROM schema_used AS n
	CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS x
	WHERE x.grantee = 0 AND x.privilege_type = 'CREATE'
	UNION ALL
	SELECT 'TG314', pg_catalog.format('database %I', d.datname),
		'a temporary table outlives the transaction that filled it: the next tenant on the connection reads it.',
		pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC;', d.datname)
	FROM pg_catalog.pg_database AS d
	CROSS JOIN LATERAL pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS x
	WHERE d.datname = pg_catalog.current_database() AND x.grantee = 0 AND x.privilege_type = 'TEMPORARY'
	UNION ALL
	SELECT 'TG315', pg_catalog.concat(pg_catalog.format('default privileges of role %I', pg_catalog.pg_get_userbyid(d.defaclrole)),
			' in schema ' || pg_catalog.quote_ident(n.nspname)),
		pg_catalog.format('new tables grant %s to %s.', pg_catalog.string_agg(DISTINCT x.privilege_type, ', '), h.holder),
		pg_catalog.concat(pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I', pg_catalog.pg_get_userbyid(d.defaclrole)),
			' IN SCHEMA ' || pg_catalog.quote_ident(n.nspname),
			pg_catalog.format(' REVOKE %s ON TABLES FROM %s;', pg_catalog.string_agg(DISTINCT x.privilege_type, ', '), h.holder))
	FROM pg_catalog.pg_default_acl AS d
	LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
	CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS x
	CROSS JOIN LATERAL (SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC'
		ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS holder) AS h
	WHERE d.defaclobjtype = 'r' AND x.grantee <> d.defaclrole
		AND x.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE', 'MAINTAIN')
		AND (check_privileges.schema IS NULL OR d.defaclnamespace IN (0, check_privileges.schema))
	GROUP BY d.defaclrole, n.nspname, h.holder
$$;
COMMENT ON FUNCTION tenantguard.check_privileges(regnamespace) IS
	'Findings TG308 to TG315: owners of and privileges on the guarded relations of the schema (NULL: of all), on schemas, and of PUBLIC.';

CREATE FUNCTION tenantguard.check_own_objects()
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH ext AS (
		SELECT e.oid, e.extowner FROM pg_catalog.pg_extension AS e WHERE e.extname = 'tenantguard'
	),
	member AS MATERIALIZED (
		SELECT d.classid, d.objid, e.extowner
		FROM ext AS e
		JOIN pg_catalog.pg_depend AS d
			ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
	),
	object AS MATERIALIZED (
		SELECT m.classid, p.oid, m.extowner, p.proowner AS owner, 'FUNCTION ' || p.oid::pg_catalog.regprocedure AS name, p.proacl AS acl
		FROM member AS m
		JOIN pg_catalog.pg_proc AS p ON m.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = m.objid
		UNION ALL
		SELECT m.classid, c.oid, m.extowner, c.relowner,
			CASE c.relkind WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass, c.relacl
		FROM member AS m
		JOIN pg_catalog.pg_class AS c ON m.classid = 'pg_catalog.pg_class'::regclass AND c.oid = m.objid
		WHERE c.relkind IN ('r', 'v')
		UNION ALL
		SELECT 'pg_catalog.pg_namespace'::regclass, n.oid, e.extowner, n.nspowner, 'SCHEMA tenantguard', n.nspacl
		FROM pg_catalog.pg_namespace AS n
		CROSS JOIN ext AS e
		WHERE n.nspname = 'tenantguard'
	),
	-- What the extension's script granted is remembered by the server.
	added AS (
		SELECT o.name, x.grantee, x.privilege_type
		FROM object AS o
		LEFT JOIN pg_catalog.pg_init_privs AS i
			ON i.classoid = o.classid AND i.objoid = o.oid AND i.objsubid = 0
		CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) AS x
		WHERE x.grantee <> o.owner
			AND NOT EXISTS (
				SELECT 1
				FROM pg_catalog.aclexplode(i.initprivs) AS s
				WHERE s.grantee = x.grantee AND s.privilege_type = x.privilege_type)
	)
	SELECT 'TG326', pg_catalog.lower(pg_catalog.split_part(a.name, ' ', 1)) || pg_catalog.substr(a.name, pg_catalog.strpos(a.name, ' ')),
		pg_catalog.format('%s has %s, which the extension gave to nobody.', h.holder,
			pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
		pg_catalog.format('REVOKE %s ON %s FROM %s CASCADE;',
			pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
			CASE WHEN pg_catalog.starts_with(a.name, 'VIEW') THEN 'TABLE' || pg_catalog.substr(a.name, 5) ELSE a.name END,
			h.holder)
	FROM added AS a
	CROSS JOIN LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC'
		ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS holder) AS h
	GROUP BY a.name, h.holder
	UNION ALL
	SELECT 'TG327', pg_catalog.lower(pg_catalog.split_part(o.name, ' ', 1)) || pg_catalog.substr(o.name, pg_catalog.strpos(o.name, ' ')),
		pg_catalog.format('role %I could replace or rewrite it.', r.rolname),
		pg_catalog.format('ALTER %s OWNER TO %I;', o.name, pg_catalog.pg_get_userbyid(o.extowner))
	FROM object AS o
	JOIN pg_catalog.pg_roles AS r ON r.oid = o.owner AND NOT r.rolsuper
	WHERE o.owner <> o.extowner
$$;
COMMENT ON FUNCTION tenantguard.check_own_objects() IS
	'Findings TG326 and TG327: privileges on the extension''s own functions, tables and schema that its script did not grant, and owners other than its own that are not superusers.';

CREATE FUNCTION tenantguard.check_roles(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE
	login AS MATERIALIZED (
		SELECT r.*, pg_catalog.format('role %I', r.rolname) AS object
		FROM pg_catalog.pg_roles AS r
		WHERE r.rolcanlogin
	),
	-- Every role that can log in, and what it is a member of.
	member (roleid, login) AS (
		SELECT l.oid, l.oid FROM login AS l WHERE NOT l.rolsuper
		UNION
		SELECT a.roleid, m.login
		FROM member AS m
		JOIN pg_catalog.pg_auth_members AS a ON a.member = m.roleid
	),
	predefined (code, name, detail) AS (
		VALUES
			('TG316', 'pg_read_server_files', 'reads the files that hold every tenant''s rows'),
			('TG316', 'pg_write_server_files', 'overwrites the server''s files'),
			('TG316', 'pg_execute_server_program', 'runs programs as the server'),
			('TG317', 'pg_read_all_data', 'reads every table without a grant on it'),
			('TG317', 'pg_write_all_data', 'writes every table without a grant on it'),
			('TG317', 'pg_maintain', 'runs index expressions over every tenant''s rows'),
			('TG318', 'pg_monitor', 'sees the statements of every session'),
			('TG318', 'pg_read_all_stats', 'sees the statements of every session'),
			('TG318', 'pg_signal_backend', 'ends the sessions of others')
	)
	SELECT 'TG301', l.object,
		'the library alone binds it, and it can switch the library off.',
		CASE WHEN l.oid <> 10 AND l.rolname <> current_user THEN pg_catalog.format('ALTER ROLE %I NOSUPERUSER;', l.rolname) END
	FROM login AS l
	WHERE l.rolsuper
	UNION ALL
	SELECT 'TG302', l.object,
		'no policy binds it: without the library it sees every tenant.',
		pg_catalog.format('ALTER ROLE %I NOBYPASSRLS;', l.rolname)
	FROM login AS l
	WHERE l.rolbypassrls AND NOT l.rolsuper
		-- pg_dump needs it.
		AND NOT EXISTS (
			SELECT 1 FROM tenantguard.known_bypass_grants() AS g
			WHERE g.grantee = l.oid AND g.purpose = 'backup' AND (g.until IS NULL OR g.until > pg_catalog.now()))
	UNION ALL
	SELECT p.code, pg_catalog.format('role %I', d.rolname),
		pg_catalog.string_agg(DISTINCT pg_catalog.format('%s %s', p.name, p.detail), '; ') || '.',
		pg_catalog.format('REVOKE %s FROM %I;', pg_catalog.string_agg(DISTINCT p.name, ', '), d.rolname)
	FROM predefined AS p
	JOIN pg_catalog.pg_roles AS g ON g.rolname = p.name
	JOIN pg_catalog.pg_auth_members AS a ON a.roleid = g.oid
	JOIN pg_catalog.pg_roles AS d ON d.oid = a.member AND NOT pg_catalog.starts_with(d.rolname::text, 'pg_')
	WHERE EXISTS (SELECT 1 FROM member AS m WHERE m.roleid = d.oid)
	GROUP BY p.code, d.rolname
	UNION ALL
	SELECT 'TG319', l.object,
		'it copies the whole server, and reads changes of every tenant.',
		pg_catalog.format('ALTER ROLE %I NOREPLICATION;', l.rolname)
	FROM login AS l
	WHERE l.rolreplication AND NOT l.rolsuper
		AND NOT EXISTS (
			SELECT 1 FROM tenantguard.known_bypass_grants() AS g
			WHERE g.grantee = l.oid AND g.purpose = 'replication' AND (g.until IS NULL OR g.until > pg_catalog.now()))
	UNION ALL
	SELECT 'TG320', l.object,
		'it makes roles and members of roles; before PostgreSQL 16 also of itself, in every role that is no superuser.',
		pg_catalog.format('ALTER ROLE %I NOCREATEROLE;', l.rolname)
	FROM login AS l
	WHERE l.rolcreaterole AND NOT l.rolsuper
	UNION ALL
	SELECT * FROM tenantguard.check_grants()
	UNION ALL
	SELECT * FROM tenantguard.check_privileges(check_roles.schema)
	UNION ALL
	SELECT * FROM tenantguard.check_stored_settings()
	UNION ALL
	SELECT * FROM tenantguard.check_own_objects()
$$;
COMMENT ON FUNCTION tenantguard.check_roles(regnamespace) IS
	'Findings TG301 to TG399: roles of the server, their grants and stored settings, and privileges in the schema (NULL: in all).';
