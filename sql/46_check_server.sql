-- 46_check_server.sql: rules TG601 to TG699, the server and its settings.

INSERT INTO tenantguard.check_rule (code, severity, title) VALUES
	('TG601', 'critical', 'the library is not preloaded'),
	('TG602', 'critical', 'the next start of the server does not load the library'),
	('TG603', 'critical', 'the guard only reports'),
	('TG604', 'warning', 'a tenant counts for whole sessions'),
	('TG605', 'notice', 'a missing tenant shows as an empty answer'),
	('TG606', 'warning', 'row_security is off'),
	('TG607', 'critical', 'foreign keys and triggers are off'),
	('TG608', 'warning', 'the system catalogs are open to changes'),
	('TG609', 'warning', 'large objects are open to every role'),
	('TG610', 'critical', 'a role may change a setting that holds the guard'),
	('TG611', 'notice', 'a logical replication slot reads all tenants'),
	('TG612', 'warning', 'the extension is older than its library'),
	('TG613', 'warning', 'a strange object is in the schema of the extension');

CREATE FUNCTION tenantguard.next_start_libraries()
RETURNS TABLE (libraries text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')
		AND pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') THEN
		RETURN QUERY
			SELECT COALESCE((
				SELECT f.setting
				FROM pg_catalog.pg_file_settings AS f
				WHERE f.name = 'shared_preload_libraries'
				ORDER BY f.seqno DESC
				LIMIT 1), '')
			WHERE NOT EXISTS (
				SELECT 1 FROM pg_catalog.pg_settings AS s
				WHERE s.name = 'shared_preload_libraries' AND s.source = 'command line');
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.next_start_libraries() IS
	'What the configuration files say about shared_preload_libraries now; no row where the caller may not read them, and where the command line decides.';

CREATE FUNCTION tenantguard.stored_settings()
RETURNS TABLE (holder text, command text, stored boolean, name text, value text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.concat_ws(' in ',
			CASE WHEN s.setrole <> 0 THEN pg_catalog.format('role %I', pg_catalog.pg_get_userbyid(s.setrole)) END,
			CASE WHEN s.setdatabase <> 0 THEN pg_catalog.format('database %I', d.datname) END,
			CASE WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'all roles' END),
		CASE
			WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'ALTER ROLE ALL'
			WHEN s.setrole = 0 THEN pg_catalog.format('ALTER DATABASE %I', d.datname)
			WHEN s.setdatabase = 0 THEN pg_catalog.format('ALTER ROLE %I', pg_catalog.pg_get_userbyid(s.setrole))
			ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I', pg_catalog.pg_get_userbyid(s.setrole), d.datname) END,
		true,
		pg_catalog.lower(pg_catalog.split_part(c.setting, '=', 1)),
		pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1)
	FROM pg_catalog.pg_db_role_setting AS s
	CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (setting)
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
	WHERE s.setdatabase = 0 OR d.datname = pg_catalog.current_database()
	UNION ALL
	-- What this session has from elsewhere. A value of the files is left by
	-- stating the other one in postgresql.auto.conf, which is read last.
	SELECT CASE WHEN s.source IN ('session', 'client') THEN 'this session' ELSE 'the server' END,
		CASE WHEN s.source IN ('session', 'client') THEN 'SET' ELSE 'ALTER SYSTEM SET' END,
		false, s.name, s.setting
	FROM pg_catalog.pg_settings AS s
	WHERE s.source IN ('session', 'client', 'configuration file', 'command line', 'environment variable')
$$;
COMMENT ON FUNCTION tenantguard.stored_settings() IS
	'Settings that sessions of this database start with, as stored with roles and databases or in the server''s configuration, and what this session has set itself: who has it, the command that changes it there, whether a role or database keeps it.';

CREATE FUNCTION tenantguard.check_settings()
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- What weakens the guard and is stored with a role is told by TG321 to TG325.
	WITH opens (name, value, code, stored, detail) AS (
		VALUES
			('tenantguard.enforce', 'log', 'TG603', false, 'every tenant''s rows are shown and changed as if nothing were guarded.'),
			('tenantguard.context_scope', 'session', 'TG604', false, 'a tenant that a pooled connection was left with counts for whoever gets the connection next.'),
			('tenantguard.missing_context', 'empty', 'TG605', false, 'code that forgets the tenant sees no rows and no error.'),
			('row_security', 'off', 'TG606', true, 'ordinary roles get errors from guarded tables; without the library, others see every tenant.'),
			('session_replication_role', 'replica', 'TG607', false, 'references are not checked and triggers do not fire: rows can point at any tenant''s.'),
			('session_replication_role', 'local', 'TG607', false, 'it is meant for replication tools; triggers of mode REPLICA do not fire.'),
			('allow_system_table_mods', 'on', 'TG608', true, 'a superuser''s UPDATE of a catalog takes a table''s row security away without a word.'),
			('lo_compat_privileges', 'on', 'TG609', true, 'every role reads and writes every large object.')
	)
	SELECT o.code, pg_catalog.format('%s of %s', s.name, s.holder), o.detail,
		CASE WHEN s.stored THEN pg_catalog.format('%s RESET %s;', s.command, s.name)
			ELSE pg_catalog.format('%s %s = %L;', s.command, s.name, b.boot_val) END
	FROM tenantguard.stored_settings() AS s
	JOIN opens AS o ON o.name = s.name AND (o.stored OR NOT s.stored)
		AND o.value = CASE WHEN s.value IN ('false', '0', 'no') THEN 'off' WHEN s.value IN ('true', '1', 'yes') THEN 'on'
			ELSE pg_catalog.lower(s.value) END
	LEFT JOIN pg_catalog.pg_settings AS b ON b.name = s.name
	UNION ALL
	SELECT 'TG610', pg_catalog.format('%s of %s', p.parname, g.grantee),
		CASE a.privilege_type WHEN 'SET' THEN 'it switches the guard off for its own sessions.'
			ELSE 'it switches the guard off for the whole server.' END,
		pg_catalog.format('REVOKE %s ON PARAMETER %s FROM %s;', a.privilege_type, p.parname, g.grantee)
	FROM pg_catalog.pg_parameter_acl AS p
	CROSS JOIN LATERAL pg_catalog.aclexplode(p.paracl) AS a
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
	CROSS JOIN LATERAL (
		SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END AS grantee
	) AS g
	WHERE NOT COALESCE(r.rolsuper, false)
		AND p.parname IN ('tenantguard.enforce', 'tenantguard.context_scope', 'tenantguard.missing_context',
						  'session_replication_role', 'allow_system_table_mods', 'lo_compat_privileges',
						  'shared_preload_libraries')
$$;
COMMENT ON FUNCTION tenantguard.check_settings() IS
	'Findings TG603 to TG610: settings of the server, of this database, of roles and of this session that open the guard, and roles that may change them.';

CREATE FUNCTION tenantguard.check_server()
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH
	extension AS (
		SELECT e.* FROM pg_catalog.pg_extension AS e WHERE e.extname = 'tenantguard'
	),
	object (classid, objid) AS (
		SELECT 'pg_catalog.pg_class'::regclass::oid, c.oid
		FROM pg_catalog.pg_class AS c, extension AS e
		WHERE c.relnamespace = e.extnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
		UNION ALL
		SELECT 'pg_catalog.pg_proc'::regclass, p.oid
		FROM pg_catalog.pg_proc AS p, extension AS e WHERE p.pronamespace = e.extnamespace
		UNION ALL
		SELECT 'pg_catalog.pg_operator'::regclass, o.oid
		FROM pg_catalog.pg_operator AS o, extension AS e WHERE o.oprnamespace = e.extnamespace
	)
	SELECT 'TG601', 'shared_preload_libraries',
		'policies alone hold: superusers and BYPASSRLS roles see every tenant, and nothing is verified or filled in.',
		(SELECT pg_catalog.format('ALTER SYSTEM SET shared_preload_libraries = %s;',
				pg_catalog.string_agg(pg_catalog.quote_literal(l.name), ', ' ORDER BY l.position))
		 FROM pg_catalog.pg_settings AS s
		 CROSS JOIN LATERAL pg_catalog.unnest(
			'tenantguard'::text || pg_catalog.array_remove(pg_catalog.regexp_split_to_array(s.setting, '\s*,\s*'), ''))
			WITH ORDINALITY AS l (name, position)
		 WHERE s.name = 'shared_preload_libraries')
	WHERE NOT tenantguard.preloaded()
	UNION ALL
	SELECT 'TG602', 'shared_preload_libraries',
		pg_catalog.format('the configuration files say %L: after a restart only policies hold.', n.libraries),
		(SELECT pg_catalog.format('ALTER SYSTEM SET shared_preload_libraries = %s;',
				pg_catalog.string_agg(pg_catalog.quote_literal(l.name), ', ' ORDER BY l.position))
		 FROM pg_catalog.unnest(
			'tenantguard'::text || pg_catalog.array_remove(pg_catalog.regexp_split_to_array(n.libraries, '\s*,\s*'), ''))
			WITH ORDINALITY AS l (name, position))
	FROM tenantguard.next_start_libraries() AS n
	WHERE tenantguard.preloaded() AND n.libraries !~ '\mtenantguard\M'
	UNION ALL
	SELECT 'TG611', pg_catalog.format('slot %I', s.slot_name),
		'whoever may use it decodes what all tenants write.', NULL
	FROM pg_catalog.pg_replication_slots AS s
	WHERE s.slot_type = 'logical' AND s.database = pg_catalog.current_database()
	UNION ALL
	SELECT 'TG612', 'extension tenantguard',
		pg_catalog.format('it has version %s, the library comes with %s.', e.extversion, a.default_version),
		'ALTER EXTENSION tenantguard UPDATE;'
	FROM extension AS e
	JOIN pg_catalog.pg_available_extensions AS a ON a.name = e.extname
	WHERE a.default_version <> e.extversion
	UNION ALL
	SELECT 'TG613', i.identity,
		'it is not part of the extension: a look-alike could be called in place of the real function.',
		pg_catalog.format('DROP %s %s;', pg_catalog.upper(i.type), i.identity)
	FROM object AS o
	CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, 0) AS i
	WHERE NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_depend AS d
		WHERE d.classid = o.classid AND d.objid = o.objid
			AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION tenantguard.check_server() IS
	'Findings TG601, TG602 and TG611 to TG613: how the server loads the library, logical slots, and the state of the extension itself.';
