-- 44_check_code.sql: rules TG401 to TG499, code that runs beside the guard and
-- objects that carry rows past it.

INSERT INTO tenantguard.check_rule (code, severity, title) VALUES
	('TG401', 'warning', 'a SECURITY DEFINER function has no search_path of its own'),
	('TG402', 'warning', 'the search_path of a SECURITY DEFINER function can be shadowed'),
	('TG403', 'warning', 'a SECURITY DEFINER function of a privileged role reaches guarded tables'),
	('TG404', 'critical', 'a function of a superuser names a setting that holds the guard'),
	('TG405', 'warning', 'everybody may call a function that opens a bypass'),
	('TG406', 'warning', 'a function is marked LEAKPROOF'),
	('TG407', 'warning', 'a trigger of a guarded table runs another role''s function'),
	('TG408', 'critical', 'a foreign key of a guarded table is switched off'),
	('TG409', 'notice', 'a trigger of a guarded table is switched off'),
	('TG411', 'warning', 'a rule rewrites statements on a guarded table'),
	('TG412', 'warning', 'an event trigger runs the function of a role that is no superuser'),
	('TG413', 'warning', 'another role''s function runs over the rows of all tenants'),
	('TG414', 'notice', 'a function of the owner runs over the rows of all tenants'),
	('TG415', 'warning', 'others may reset the sequence of a guarded table'),
	('TG416', 'notice', 'others may read the sequence of a guarded table'),
	('TG417', 'warning', 'a publication sends the rows of all tenants'),
	('TG418', 'notice', 'a subscription writes into guarded tables'),
	('TG419', 'warning', 'others may use the server of a guarded foreign table'),
	('TG420', 'notice', 'large objects belong to no tenant'),
	('TG421', 'warning', 'a view over guarded tables belongs to a privileged role'),
	('TG422', 'warning', 'a view takes your own policies away');

CREATE FUNCTION tenantguard.checked_functions(schema regnamespace)
RETURNS TABLE (
	funcid oid, name text, owner oid, privileged boolean, superuser boolean, definer boolean,
	leakproof boolean, source text, settings text[], is_trigger boolean, public_execute boolean, other_execute boolean
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p.oid, p.oid::pg_catalog.regprocedure::text, p.proowner,
		o.rolsuper OR o.rolbypassrls, o.rolsuper, p.prosecdef, p.proleakproof, p.prosrc, p.proconfig,
		p.prorettype IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype),
		x.by_public, x.by_other
	FROM pg_catalog.pg_proc AS p
	JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
	JOIN pg_catalog.pg_roles AS o ON o.oid = p.proowner
	CROSS JOIN LATERAL (
		SELECT COALESCE(pg_catalog.bool_or(a.grantee = 0), false) AS by_public,
			COALESCE(pg_catalog.bool_or(a.grantee <> p.proowner), false) AS by_other
		FROM pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a
	) AS x
	WHERE p.prokind <> 'a'
		AND (p.pronamespace = checked_functions.schema
			 OR (checked_functions.schema IS NULL AND n.nspname <> 'information_schema'
				 AND NOT pg_catalog.starts_with(n.nspname::text, 'pg_')))
		AND NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_depend AS d
			WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
				AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION tenantguard.checked_functions(regnamespace) IS
	'Every function and procedure of the schema (NULL: of all but the system''s) that belongs to no extension: signature, owner and whether row security does not hold that role, and who may call it.';

CREATE FUNCTION tenantguard.check_functions(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH fun AS MATERIALIZED (
		SELECT f.*,
			(SELECT pg_catalog.substr(s.setting, 13)
			 FROM pg_catalog.unnest(f.settings) AS s (setting)
			 WHERE pg_catalog.starts_with(s.setting, 'search_path=')) AS path
		FROM tenantguard.checked_functions(check_functions.schema) AS f
	),
	rel AS MATERIALIZED (
		SELECT r.* FROM tenantguard.checked_relations(NULL) AS r WHERE r.attnum IS NOT NULL
	),
	-- Words of the source that could name a table, as written or in quotes;
	-- of a body that was parsed when it was created, the tables themselves.
	reached AS (
		SELECT f.funcid, r.relid
		FROM fun AS f
		CROSS JOIN LATERAL pg_catalog.regexp_matches(f.source,
			'"((?:[^"]|"")+)"|([[:alpha:]_][[:alnum:]_$]*)', 'g') AS w (word)
		JOIN rel AS r ON r.relname = COALESCE(pg_catalog.replace(w.word[1], '""', '"'), pg_catalog.lower(w.word[2]))
		WHERE f.definer AND f.privileged AND (f.other_execute OR f.is_trigger)
		UNION
		SELECT f.funcid, r.relid
		FROM fun AS f
		JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = f.funcid
			AND d.refclassid = 'pg_catalog.pg_class'::regclass
		JOIN rel AS r ON r.relid = d.refobjid
		WHERE f.definer AND f.privileged AND (f.other_execute OR f.is_trigger)
	)
	SELECT 'TG401', f.name,
		'whoever calls it decides which tables, functions and operators its text means.',
		pg_catalog.format('ALTER ROUTINE %s SET search_path = pg_catalog, %s, pg_temp;', f.name, p.pronamespace::pg_catalog.regnamespace)
	FROM fun AS f
	JOIN pg_catalog.pg_proc AS p ON p.oid = f.funcid
	WHERE f.definer AND f.path IS NULL
	UNION ALL
	SELECT 'TG402', f.name,
		pg_catalog.concat_ws(' ', CASE WHEN s.temp_first THEN 'a temporary table of the caller comes before the table that is meant.' END,
			CASE WHEN s.writable IS NOT NULL THEN pg_catalog.format('everybody may create objects in %s.', s.writable) END),
		CASE WHEN s.writable IS NULL
			THEN pg_catalog.format('ALTER ROUTINE %s SET search_path = %s, pg_temp;', f.name, s.others) END
	FROM fun AS f
	CROSS JOIN LATERAL (
		SELECT pg_catalog.string_agg(i.item, ', ' ORDER BY i.position) FILTER (WHERE i.item <> 'pg_temp') AS others,
			COALESCE(pg_catalog.max(i.position) FILTER (WHERE i.item = 'pg_temp'), 0)
				< pg_catalog.max(i.position) AS temp_first,
			pg_catalog.string_agg(i.item, ', ' ORDER BY i.position)
				FILTER (WHERE pg_catalog.has_schema_privilege('public', n.oid, 'CREATE')) AS writable
		FROM pg_catalog.unnest(pg_catalog.regexp_split_to_array(f.path, '\s*,\s*')) WITH ORDINALITY AS i (item, position)
		LEFT JOIN pg_catalog.pg_namespace AS n ON pg_catalog.quote_ident(n.nspname) = i.item
	) AS s
	WHERE f.definer AND f.path NOT IN ('', '""') AND (s.temp_first OR s.writable IS NOT NULL)
	UNION ALL
	SELECT 'TG403', f.name,
		pg_catalog.format('role %I owns it, whom row security does not hold, and it names %s: your own policies do not count in it, and without the library it shows every tenant.',
			pg_catalog.pg_get_userbyid(f.owner), t.names),
		CASE WHEN t.heir IS NOT NULL THEN pg_catalog.format('ALTER ROUTINE %s OWNER TO %I;', f.name, t.heir) END
	FROM fun AS f
	JOIN (
		SELECT x.funcid, pg_catalog.string_agg(r.name, ', ' ORDER BY r.name) AS names,
			pg_catalog.min(o.rolname) FILTER (WHERE NOT o.rolsuper AND NOT o.rolbypassrls) AS heir
		FROM reached AS x
		JOIN rel AS r ON r.relid = x.relid
		JOIN pg_catalog.pg_roles AS o ON o.oid = r.relowner
		GROUP BY x.funcid
	) AS t ON t.funcid = f.funcid
	UNION ALL
	SELECT 'TG404', f.name,
		'whoever may call it can have it changed, although only superusers may.',
		pg_catalog.format('ALTER ROUTINE %s SECURITY INVOKER;', f.name)
	FROM fun AS f
	WHERE f.definer AND f.superuser
		AND f.source ~* '\m(tenantguard\.(enforce|missing_context|context_scope)|session_replication_role)\M'
	UNION ALL
	SELECT 'TG405', f.name,
		'a superuser or a member of a role with a grant who calls it works across tenants from then on.',
		pg_catalog.format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC;', f.name)
	FROM fun AS f
	WHERE f.public_execute AND NOT f.is_trigger AND f.source ~* '\mbegin_bypass\s*\('
	UNION ALL
	SELECT 'TG406', f.name,
		'the planner may run it on rows that a policy is about to hide.',
		pg_catalog.format('ALTER FUNCTION %s NOT LEAKPROOF;', f.name)
	FROM fun AS f
	WHERE f.leakproof
	UNION ALL
	-- What people mark to get their search indexes back; none ships so.
	SELECT 'TG406', p.oid::pg_catalog.regprocedure::text,
		'it is no longer as PostgreSQL ships it: its errors and its timing tell what it compared.',
		pg_catalog.format('ALTER FUNCTION %s NOT LEAKPROOF;', p.oid::pg_catalog.regprocedure)
	FROM pg_catalog.pg_proc AS p
	WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.proleakproof
		AND p.proname IN ('textlike', 'textnlike', 'texticlike', 'texticnlike', 'textregexeq', 'texticregexeq',
						  'ts_match_vq', 'ts_match_qv', 'jsonb_contains', 'jsonb_exists', 'arraycontains', 'arrayoverlap')
$$;
COMMENT ON FUNCTION tenantguard.check_functions(regnamespace) IS
	'Findings TG401 to TG406: functions of the schema (NULL: of all) that run with others'' rights or leak. What a function reaches is read from its text.';

CREATE FUNCTION tenantguard.check_triggers(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH rel AS MATERIALIZED (
		SELECT r.* FROM tenantguard.checked_relations(check_triggers.schema) AS r WHERE r.attnum IS NOT NULL
	),
	-- Partitions have a trigger of their own for each of their parent's: one
	-- that stands as the parent's does is the parent's finding.
	trig AS MATERIALIZED (
		SELECT t.oid, t.tgname, t.tgfoid, t.tgtype, t.tgenabled, t.tgisinternal, t.tgconstraint, r.name, r.relowner,
			pg_catalog.format('%I on %s', t.tgname, r.name) AS object,
			t.tgenabled IN ('D', 'R') AS off
		FROM rel AS r
		JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.relid
		-- Most have no parent: OR keeps the planner from joining them all.
		WHERE (NOT t.tgisinternal OR t.tgenabled IN ('D', 'R'))
			AND (t.tgparentid = 0 OR NOT EXISTS (
				SELECT 1 FROM pg_catalog.pg_trigger AS p WHERE p.oid = t.tgparentid AND p.tgenabled = t.tgenabled))
	)
	SELECT 'TG407', t.object,
		pg_catalog.format('role %I, who owns %s, gets to see every row that is written.',
			o.rolname, p.oid::pg_catalog.regprocedure),
		pg_catalog.format('ALTER FUNCTION %s OWNER TO %I;', p.oid::pg_catalog.regprocedure,
			pg_catalog.pg_get_userbyid(t.relowner))
	FROM trig AS t
	JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
	JOIN pg_catalog.pg_roles AS o ON o.oid = p.proowner
	WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND p.proowner <> t.relowner AND NOT o.rolsuper
		AND NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_depend AS d
			WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
				AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
	UNION ALL
	SELECT 'TG408', pg_catalog.format('%I on %s', c.conname, t.name),
		'references are neither checked nor followed: a row can point at any tenant''s.',
		pg_catalog.string_agg(pg_catalog.format('ALTER TABLE %s ENABLE TRIGGER %I;', t.name, t.tgname), ' ' ORDER BY t.oid)
	FROM trig AS t
	JOIN pg_catalog.pg_constraint AS c ON c.oid = t.tgconstraint AND c.contype = 'f'
	WHERE t.tgisinternal AND t.off
	GROUP BY c.oid, c.conname, t.name
	UNION ALL
	SELECT 'TG409', t.object,
		CASE t.tgenabled WHEN 'R' THEN 'it fires in sessions with session_replication_role = replica only.'
			ELSE 'what it did for every written row is not done.' END,
		pg_catalog.format('ALTER TABLE %s ENABLE TRIGGER %I;', t.name, t.tgname)
	FROM trig AS t
	WHERE NOT t.tgisinternal AND t.off AND NOT pg_catalog.starts_with(t.tgname::text, 'tenantguard_')
	UNION ALL
	-- tgtype: 1 FOR EACH ROW, 2 BEFORE, 4 INSERT
	SELECT 'TG411', pg_catalog.format('%I on %s', w.rulename, r.name),
		'it runs with the rights of the table''s owner, and puts other statements beside or in place of what was asked.',
		pg_catalog.format('ALTER TABLE %s DISABLE RULE %I;', r.name, w.rulename)
	FROM rel AS r
	JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = r.relid
	WHERE w.rulename <> '_RETURN' AND w.ev_enabled <> 'D'
	UNION ALL
	SELECT 'TG412', pg_catalog.format('event trigger %I', e.evtname),
		pg_catalog.format('role %I, who owns %s, runs what it likes as whoever does DDL: superusers, and migrations under a bypass.',
			o.rolname, p.oid::pg_catalog.regprocedure),
		pg_catalog.format('ALTER FUNCTION %s OWNER TO %I;', p.oid::pg_catalog.regprocedure, pg_catalog.pg_get_userbyid(e.evtowner))
	FROM pg_catalog.pg_event_trigger AS e
	JOIN pg_catalog.pg_proc AS p ON p.oid = e.evtfoid
	JOIN pg_catalog.pg_roles AS o ON o.oid = p.proowner
	WHERE e.evtenabled <> 'D' AND NOT o.rolsuper
		AND (check_triggers.schema IS NULL OR p.pronamespace = check_triggers.schema)
$$;
COMMENT ON FUNCTION tenantguard.check_triggers(regnamespace) IS
	'Findings TG407 to TG412: triggers and rules of guarded relations of the schema (NULL: of all), and event triggers.';

CREATE FUNCTION tenantguard.check_expressions(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH rel AS MATERIALIZED (
		SELECT r.*
		FROM tenantguard.checked_relations(check_expressions.schema) AS r
		WHERE r.attnum IS NOT NULL AND r.parent IS NULL
	),
	-- What holds an expression over a table's rows.
	holder (classid, objid, relid, what) AS (
		SELECT 'pg_catalog.pg_class'::regclass::oid, i.indexrelid, i.indrelid, 'an index' FROM pg_catalog.pg_index AS i
		UNION ALL
		SELECT 'pg_catalog.pg_constraint'::regclass, c.oid, c.conrelid, 'a CHECK constraint'
		FROM pg_catalog.pg_constraint AS c WHERE c.contype = 'c'
		UNION ALL
		SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, d.adrelid, 'a generated column'
		FROM pg_catalog.pg_attrdef AS d
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
		WHERE a.attgenerated <> ''
		UNION ALL
		SELECT 'pg_catalog.pg_policy'::regclass, p.oid, p.polrelid, 'a policy' FROM pg_catalog.pg_policy AS p
		UNION ALL
		SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid, s.stxrelid, 'extended statistics' FROM pg_catalog.pg_statistic_ext AS s
	),
	used AS (
		SELECT r.relid, r.name, r.relowner, d.refobjid AS funcid,
			pg_catalog.string_agg(DISTINCT h.what, ', ' ORDER BY h.what) AS places
		FROM rel AS r
		JOIN holder AS h ON h.relid = r.relid
		JOIN pg_catalog.pg_depend AS d ON d.classid = h.classid AND d.objid = h.objid
			AND d.refclassid = 'pg_catalog.pg_proc'::regclass
		GROUP BY r.relid, r.name, r.relowner, d.refobjid
	)
	SELECT CASE WHEN s.foreign_owner THEN 'TG413' ELSE 'TG414' END,
		pg_catalog.format('%s on %s', u.funcid::pg_catalog.regprocedure, u.name),
		CASE WHEN s.foreign_owner
			THEN pg_catalog.format('called by %s; role %I owns it, and the next REINDEX, ANALYZE or rewrite hands it every tenant''s rows.', u.places, o.rolname)
			ELSE pg_catalog.format('called by %s: REINDEX, ANALYZE or a rewrite hands it every tenant''s rows.', u.places) END,
		CASE WHEN s.foreign_owner
			THEN tenantguard.under_bypass('TG413', pg_catalog.format('ALTER FUNCTION %s OWNER TO %I;',
				u.funcid::pg_catalog.regprocedure, pg_catalog.pg_get_userbyid(u.relowner))) END
	FROM used AS u
	JOIN pg_catalog.pg_proc AS p ON p.oid = u.funcid
	JOIN pg_catalog.pg_roles AS o ON o.oid = p.proowner
	CROSS JOIN LATERAL (SELECT p.proowner <> u.relowner AND NOT o.rolsuper AS foreign_owner) AS s
	-- A function without arguments is handed no row.
	WHERE p.pronargs > 0 AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
		AND NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_depend AS d
			WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
				AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION tenantguard.check_expressions(regnamespace) IS
	'Findings TG413 and TG414: functions that indexes, CHECK constraints, generated columns, policies and statistics of guarded relations of the schema (NULL: of all) call.';

CREATE FUNCTION tenantguard.check_outlets(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH rel AS MATERIALIZED (
		SELECT r.* FROM tenantguard.checked_relations(check_outlets.schema) AS r WHERE r.attnum IS NOT NULL
	),
	seq AS (
		SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, r.name AS of_table,
			a.privilege_type AS privilege,
			pg_catalog.string_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(g.rolname) END, ', '
				ORDER BY g.rolname) AS grantees
		FROM rel AS r
		JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.relid
			AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
		JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
		LEFT JOIN pg_catalog.pg_roles AS g ON g.oid = a.grantee
		WHERE a.grantee <> c.relowner AND a.privilege_type IN ('UPDATE', 'SELECT')
			-- Whoever dumps the database reads them.
			AND NOT COALESCE(g.rolsuper OR g.rolbypassrls, false)
		GROUP BY c.oid, n.nspname, c.relname, r.name, a.privilege_type
	)
	SELECT CASE s.privilege WHEN 'UPDATE' THEN 'TG415' ELSE 'TG416' END, s.name,
		CASE s.privilege
			WHEN 'UPDATE' THEN pg_catalog.format('setval() by %s makes the next INSERTs of every tenant into %s fail.', s.grantees, s.of_table)
			ELSE pg_catalog.format('its last value tells %s how many rows all tenants insert into %s.', s.grantees, s.of_table) END,
		CASE s.privilege
			WHEN 'UPDATE' THEN pg_catalog.format('GRANT USAGE ON SEQUENCE %1$s TO %2$s; REVOKE UPDATE ON SEQUENCE %1$s FROM %2$s;', s.name, s.grantees)
			ELSE pg_catalog.format('REVOKE SELECT ON SEQUENCE %s FROM %s;', s.name, s.grantees) END
	FROM seq AS s
	UNION ALL
	SELECT 'TG417', pg_catalog.format('publication %I', p.pubname),
		pg_catalog.format('without a row filter for a tenant it sends (%s): %s.', t.tables, t.names),
		NULL
	FROM pg_catalog.pg_publication AS p
	CROSS JOIN LATERAL (
		SELECT pg_catalog.count(*) AS tables,
			pg_catalog.string_agg(m.name, ', ') FILTER (WHERE m.position <= 3)
				|| CASE WHEN pg_catalog.count(*) > 3 THEN ', ...' ELSE '' END AS names
		FROM (
			SELECT r.name, pg_catalog.row_number() OVER (ORDER BY r.name) AS position
			FROM rel AS r
			JOIN pg_catalog.pg_class AS c ON c.oid = r.relid
			WHERE r.relkind IN ('r', 'p') AND r.persistence = 'p'
				-- All tables, or a schema's: a partition goes with its parent.
				AND ((p.puballtables AND r.parent IS NULL)
					 OR EXISTS (
						SELECT 1 FROM pg_catalog.pg_publication_rel AS x
						WHERE x.prpubid = p.oid AND x.prrelid = r.relid
							AND COALESCE(pg_catalog.strpos(pg_catalog.pg_get_expr(x.prqual, x.prrelid), pg_catalog.quote_ident(r.tenant_column)), 0) = 0)
					 OR EXISTS (
						SELECT 1 FROM pg_catalog.pg_publication_namespace AS x
						WHERE x.pnpubid = p.oid AND x.pnnspid = c.relnamespace AND r.parent IS NULL))
		) AS m
	) AS t
	WHERE t.tables > 0
	UNION ALL
	SELECT 'TG418', pg_catalog.format('subscription %I', s.subname),
		pg_catalog.format('what the other server sends is written as it comes, whatever tenant it names, into %s.',
			pg_catalog.string_agg(r.name, ', ' ORDER BY r.name)),
		NULL
	FROM pg_catalog.pg_subscription AS s
	JOIN pg_catalog.pg_subscription_rel AS x ON x.srsubid = s.oid
	JOIN rel AS r ON r.relid = x.srrelid
	GROUP BY s.oid, s.subname
	UNION ALL
	SELECT 'TG419', pg_catalog.format('server %I', s.srvname),
		pg_catalog.format('with it %s can make a foreign table of their own for the rows behind %s, which nothing guards.', g.grantees,
			(SELECT pg_catalog.string_agg(r.name, ', ' ORDER BY r.name)
			 FROM rel AS r
			 JOIN pg_catalog.pg_foreign_table AS f ON f.ftrelid = r.relid
			 WHERE f.ftserver = s.oid)),
		pg_catalog.format('REVOKE USAGE ON FOREIGN SERVER %I FROM %s CASCADE;', s.srvname, g.grantees)
	FROM pg_catalog.pg_foreign_server AS s
	CROSS JOIN LATERAL (
		SELECT pg_catalog.string_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC'
			ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END, ', ' ORDER BY a.grantee) AS grantees
		FROM pg_catalog.aclexplode(s.srvacl) AS a
		WHERE a.grantee <> s.srvowner
	) AS g
	WHERE g.grantees IS NOT NULL
		AND EXISTS (
			SELECT 1
			FROM pg_catalog.pg_foreign_table AS f
			JOIN rel AS r ON r.relid = f.ftrelid
			WHERE f.ftserver = s.oid)
	UNION ALL
	SELECT 'TG420', pg_catalog.format('large objects of %I', o.rolname),
		'no tenant reaches them: they are read and written under a bypass only.', NULL
	FROM (
		SELECT m.lomowner, pg_catalog.bool_or(m.lomacl IS NOT NULL) AS granted
		FROM pg_catalog.pg_largeobject_metadata AS m
		GROUP BY m.lomowner
	) AS l
	JOIN pg_catalog.pg_roles AS o ON o.oid = l.lomowner
	WHERE check_outlets.schema IS NULL AND (l.granted OR NOT o.rolsuper)
	UNION ALL
	SELECT CASE WHEN v.privileged THEN 'TG421' ELSE 'TG422' END, v.name,
		CASE WHEN v.privileged
			THEN pg_catalog.format('it reads as role %I, whom row security does not hold: without the library it shows every tenant.', v.owner)
			ELSE pg_catalog.format('it reads as role %I: policies that you made for its readers do not count.', v.owner) END,
		pg_catalog.format('ALTER VIEW %s SET (security_invoker = true);', v.name)
	FROM (
		SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, o.rolname AS owner,
			o.rolsuper OR o.rolbypassrls AS privileged,
			pg_catalog.bool_or(p.polname IS NOT NULL) AS policies
		FROM rel AS r
		JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.relid
			AND d.classid = 'pg_catalog.pg_rewrite'::regclass
		JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid
		JOIN pg_catalog.pg_class AS c ON c.oid = w.ev_class AND c.relkind = 'v'
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_roles AS o ON o.oid = c.relowner
		LEFT JOIN pg_catalog.pg_policy AS p ON p.polrelid = r.relid
			AND NOT pg_catalog.starts_with(p.polname::text, 'tenantguard_')
		WHERE NOT EXISTS (
				SELECT 1 FROM pg_catalog.pg_options_to_table(c.reloptions) AS t
				WHERE t.option_name = 'security_invoker' AND t.option_value::boolean)
			AND NOT EXISTS (
				SELECT 1
				FROM pg_catalog.pg_depend AS e
				WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid
					AND e.refclassid = 'pg_catalog.pg_extension'::regclass AND e.deptype = 'e')
		GROUP BY c.oid, n.nspname, c.relname, o.rolname, o.rolsuper, o.rolbypassrls
	) AS v
	WHERE v.privileged OR v.policies
$$;
COMMENT ON FUNCTION tenantguard.check_outlets(regnamespace) IS
	'Findings TG415 to TG422: sequences, publications, subscriptions, foreign servers, large objects and views through which rows of guarded relations of the schema (NULL: of all) leave or arrive.';
