-- 42_check_policies.sql: rules TG201 to TG299, row security policies: ours,
-- the user's beside ours, and those written by hand where nothing is recorded.

INSERT INTO tenantguard.check_rule (code, severity, title) VALUES
	('TG201', 'warning', 'a policy of the guard is missing'),
	('TG202', 'warning', 'a policy of the guard was changed'),
	('TG203', 'notice', 'no policy lets anybody reach a guarded table'),
	('TG204', 'warning', 'the partner policy makes a policy of the user void'),
	('TG205', 'notice', 'a policy lets every row of the tenant through'),
	('TG206', 'warning', 'a policy asks a setting'),
	('TG207', 'warning', 'a policy calls a volatile function'),
	('TG208', 'notice', 'policies leave out a command'),
	('TG209', 'warning', 'row security written by hand does not bind the owner'),
	('TG210', 'warning', 'policies are written and row security is off'),
	('TG211', 'warning', 'a policy written by hand lets any row be written'),
	('TG212', 'notice', 'row security is on without a permissive policy'),
	('TG213', 'notice', 'a policy reads another table'),
	('TG214', 'warning', 'policies of the guard without a record'),
	('TG215', 'warning', 'a policy carries the name of the guard');

CREATE FUNCTION tenantguard.own_policies()
RETURNS TABLE (mode text, name name, command "char", condition text, write_condition text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- The conditions are functions of the tenant column, or of the whole row
	-- where there is none; '-' stands for the constant of mode shared, NULL for
	-- none.
	VALUES
		('tenant', 'tenantguard_tenant'::name, '*'::"char", 'visible', 'visible'),
		('root', 'tenantguard_tenant', '*', 'visible', 'visible'),
		('tenant_or_shared', 'tenantguard_tenant', '*', 'visible_or_shared', 'visible'),
		('tenant_or_shared', 'tenantguard_update', 'w', 'visible', NULL),
		('tenant_or_shared', 'tenantguard_delete', 'd', 'visible', NULL),
		('derived', 'tenantguard_tenant', '*', 'visible_by_links', 'visible_by_links'),
		('shared', 'tenantguard_insert', 'a', NULL, '-'),
		('shared', 'tenantguard_update', 'w', '-', NULL),
		('shared', 'tenantguard_delete', 'd', '-', NULL)
$$;
COMMENT ON FUNCTION tenantguard.own_policies() IS
	'The restrictive policies that a table of each mode carries: name, command as in pg_policy, and the functions in their conditions.';

CREATE FUNCTION tenantguard.check_policies(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH rel AS MATERIALIZED (
		SELECT r.*, r.mode IS NOT NULL AND r.mode <> 'exempt' AS guarded,
			pg_catalog.format(CASE r.mode WHEN 'shared' THEN 'SELECT tenantguard.share(%L);'
				ELSE 'SELECT tenantguard.protect(%L);' END, COALESCE(d.top::regclass::text, r.name)) AS repair
		FROM tenantguard.checked_relations(check_policies.schema) AS r
		LEFT JOIN tenantguard.guarded_descendants() AS d ON d.relid = r.relid
		WHERE r.relkind IN ('r', 'p') AND r.persistence <> 't'
	),
	pol AS MATERIALIZED (
		SELECT p.oid, p.polrelid AS relid, p.polname AS name, p.polcmd AS command, p.polpermissive AS permissive,
			p.polroles AS roles,
			pg_catalog.starts_with(p.polname::text, 'tenantguard_') AS ours,
			pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS condition,
			pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS write_condition
		FROM pg_catalog.pg_policy AS p
		JOIN rel AS r ON r.relid = p.polrelid
	),
	-- Per table: what the user's policies and the partner let through.
	allowed AS MATERIALIZED (
		SELECT p.relid,
			pg_catalog.count(*) FILTER (WHERE NOT p.ours) AS users,
			pg_catalog.count(*) FILTER (WHERE NOT p.ours AND p.permissive) AS users_permissive,
			pg_catalog.count(*) FILTER (WHERE p.name = 'tenantguard_partner') AS partners,
			pg_catalog.count(*) FILTER (WHERE NOT p.permissive) AS restrictive,
			pg_catalog.array_agg(p.command) FILTER (WHERE p.permissive) AS commands
		FROM pol AS p
		GROUP BY p.relid
	),
	wanted AS MATERIALIZED (
		SELECT r.relid, r.name AS relation, r.repair, r.mode, o.name,
			p.oid IS NULL AS missing,
			p.permissive OR p.command <> o.command OR p.roles <> '{0}'::oid[]
				OR NOT CASE
					WHEN o.condition IS NULL THEN p.condition IS NULL
					WHEN o.condition = '-' THEN COALESCE(p.condition = 'tenantguard.visible(NULL::text)', false)
					WHEN r.mode = 'derived' THEN COALESCE(p.condition = pg_catalog.format('tenantguard.%s(%I.*)', o.condition, r.relname), false)
					WHEN p.condition = pg_catalog.format('tenantguard.%s(%I)', o.condition, r.tenant_column) THEN true
					ELSE tenantguard.is_our_condition(p.condition, o.condition, r.tenant_column) END
				OR NOT CASE
					WHEN o.write_condition IS NULL THEN p.write_condition IS NULL
					WHEN o.write_condition = '-' THEN COALESCE(p.write_condition = 'tenantguard.visible(NULL::text)', false)
					WHEN r.mode = 'derived' THEN COALESCE(p.write_condition = pg_catalog.format('tenantguard.%s(%I.*)', o.write_condition, r.relname), false)
					WHEN p.write_condition = pg_catalog.format('tenantguard.%s(%I)', o.write_condition, r.tenant_column) THEN true
					ELSE tenantguard.is_our_condition(p.write_condition, o.write_condition, r.tenant_column) END
			AS changed
		FROM rel AS r
		JOIN tenantguard.own_policies() AS o ON o.mode = r.mode
		LEFT JOIN pol AS p ON p.relid = r.relid AND p.name = o.name
	)
	SELECT 'TG201', w.relation,
		pg_catalog.format('without the library %s: %s.',
			CASE w.mode WHEN 'shared' THEN 'tenants write here' ELSE 'rows of other tenants can be reached' END,
			pg_catalog.string_agg(w.name::text, ', ' ORDER BY w.name)),
		w.repair
	FROM wanted AS w
	WHERE w.missing
	GROUP BY w.relation, w.mode, w.repair
	UNION ALL
	SELECT 'TG202', pg_catalog.format('policy %I on %s', w.name, w.relation),
		'its condition, command, kind or roles are no longer those that were generated.',
		tenantguard.under_bypass('repair of a policy',
			pg_catalog.format('DROP POLICY %I ON %s; %s', w.name, w.relation, w.repair))
	FROM wanted AS w
	WHERE w.changed AND NOT w.missing
	UNION ALL
	SELECT 'TG203', r.name,
		'no policy is permissive: nobody but superusers and BYPASSRLS roles reaches a row.',
		pg_catalog.format('CREATE POLICY tenantguard_partner ON %s AS PERMISSIVE FOR ALL TO PUBLIC USING (tenantguard.any_row());', r.name)
	FROM rel AS r
	LEFT JOIN allowed AS a ON a.relid = r.relid
	WHERE r.guarded AND r.row_security AND a.commands IS NULL
	UNION ALL
	SELECT 'TG204', r.name,
		pg_catalog.format('%s: tenantguard_partner lets through what they do not.', u.list),
		tenantguard.under_bypass('policies of our own',
			pg_catalog.format('DROP POLICY tenantguard_partner ON %s;', r.name))
	FROM rel AS r
	JOIN allowed AS a ON a.relid = r.relid AND a.partners > 0 AND a.users_permissive > 0
	JOIN (
		SELECT p.relid, pg_catalog.string_agg(pg_catalog.quote_ident(p.name), ', ' ORDER BY p.name) AS list
		FROM pol AS p
		WHERE NOT p.ours AND p.permissive
		GROUP BY p.relid
	) AS u ON u.relid = r.relid
	WHERE r.guarded
	UNION ALL
	SELECT 'TG205', pg_catalog.format('policy %I on %s', p.name, r.name),
		'its condition is true: it holds nothing, and every role has all rows of its tenant.', NULL
	FROM rel AS r
	JOIN pol AS p ON p.relid = r.relid AND NOT p.ours AND p.permissive AND p.roles = '{0}'::oid[]
	WHERE r.guarded AND r.row_security
		AND p.command IN ('*', 'r') AND p.condition = 'true'
	UNION ALL
	SELECT 'TG206', pg_catalog.format('policy %I on %s', p.name, r.name),
		pg_catalog.format('whoever can run a statement sets %s; unset it is NULL or '''', which many types refuse (22P02).',
			COALESCE(s.setting[1], 'what it asks')),
		NULL
	FROM rel AS r
	JOIN pol AS p ON p.relid = r.relid AND NOT p.ours
	CROSS JOIN LATERAL (
		SELECT pg_catalog.regexp_match(pg_catalog.concat(p.condition, p.write_condition),
			'current_setting\(''([^'']*)''') AS setting
	) AS s
	WHERE pg_catalog.concat(p.condition, ' ', p.write_condition) ~ '\mcurrent_setting\('
	UNION ALL
	SELECT 'TG207', pg_catalog.format('policy %I on %s', p.name, r.name),
		pg_catalog.format('%s is called for every row, and no index helps.', f.list),
		f.fix
	FROM rel AS r
	JOIN pol AS p ON p.relid = r.relid AND NOT p.ours
	JOIN (
		SELECT d.objid AS policy,
			pg_catalog.string_agg(DISTINCT x.oid::pg_catalog.regprocedure::text, ', ') AS list,
			CASE WHEN pg_catalog.bool_and(x.prolang <> (SELECT l.oid FROM pg_catalog.pg_language AS l WHERE l.lanname = 'c')) THEN
				pg_catalog.string_agg(DISTINCT pg_catalog.format('ALTER FUNCTION %s STABLE;', x.oid::pg_catalog.regprocedure), ' ') END AS fix
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_proc AS x ON x.oid = d.refobjid AND x.provolatile = 'v'
		WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.refclassid = 'pg_catalog.pg_proc'::regclass
		GROUP BY d.objid
	) AS f ON f.policy = p.oid
	UNION ALL
	SELECT 'TG208', r.name,
		pg_catalog.format('no permissive policy is for %s, which is refused or finds no row.', m.list),
		NULL
	FROM rel AS r
	JOIN allowed AS a ON a.relid = r.relid
	CROSS JOIN LATERAL (
		SELECT pg_catalog.string_agg(c.word, ', ' ORDER BY c.position) AS list
		FROM (VALUES (1, 'r'::"char", 'SELECT'), (2, 'a', 'INSERT'), (3, 'w', 'UPDATE'), (4, 'd', 'DELETE'))
			AS c (position, command, word)
		-- Nobody writes a shared table anyway.
		WHERE c.command <> ALL (a.commands) AND (r.mode IS DISTINCT FROM 'shared' OR c.command = 'r')
	) AS m
	WHERE r.guarded AND r.row_security AND '*'::"char" <> ALL (a.commands) AND m.list IS NOT NULL
	UNION ALL
	SELECT 'TG209', r.name,
		pg_catalog.format('nothing is recorded about it, and its owner %I passes its policies.',
			pg_catalog.pg_get_userbyid(r.relowner)),
		pg_catalog.format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.name)
	FROM rel AS r
	JOIN allowed AS a ON a.relid = r.relid AND a.users > 0
	WHERE r.mode IS NULL AND r.row_security AND NOT r.forced
	UNION ALL
	SELECT 'TG210', r.name,
		'its policies hold nobody.',
		pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.name)
	FROM rel AS r
	JOIN allowed AS a ON a.relid = r.relid AND a.users > 0
	WHERE NOT r.guarded AND NOT r.row_security
	UNION ALL
	SELECT 'TG211', pg_catalog.format('policy %I on %s', p.name, r.name),
		'nothing is recorded about the table, and any row may be written, also under another tenant''s key.', NULL
	FROM rel AS r
	JOIN allowed AS a ON a.relid = r.relid AND a.restrictive = 0
	JOIN pol AS p ON p.relid = r.relid AND NOT p.ours AND p.permissive
	WHERE r.mode IS NULL AND r.row_security AND p.command IN ('*', 'a', 'w')
		AND COALESCE(p.write_condition, p.condition) = 'true'
	UNION ALL
	SELECT 'TG212', r.name,
		'nobody reads or writes it but its owner, superusers and BYPASSRLS roles.', NULL
	FROM rel AS r
	LEFT JOIN allowed AS a ON a.relid = r.relid
	WHERE NOT r.guarded AND r.row_security AND a.commands IS NULL
	UNION ALL
	SELECT 'TG213', pg_catalog.format('policy %I on %s', p.name, r.name),
		pg_catalog.format('it reads %s for every query; whoever can write there changes who sees what here.', t.list), NULL
	FROM rel AS r
	JOIN pol AS p ON p.relid = r.relid AND NOT p.ours
	JOIN (
		SELECT d.objid AS policy, p.polrelid,
			pg_catalog.string_agg(DISTINCT d.refobjid::regclass::text, ', ') AS list
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_policy AS p ON p.oid = d.objid
		WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
			AND d.refobjid <> p.polrelid
		GROUP BY d.objid, p.polrelid
	) AS t ON t.policy = p.oid
	WHERE r.guarded
	UNION ALL
	SELECT 'TG214', r.name,
		pg_catalog.format('%s: %s.', o.list, CASE r.mode WHEN 'exempt' THEN 'it is recorded as exempt'
			ELSE 'the record was lost, as after a schema-only dump, and they alone say how it is guarded' END),
		CASE
			WHEN r.mode = 'exempt' THEN pg_catalog.concat(o.drops,
				CASE WHEN a.users = 0 THEN pg_catalog.format(' ALTER TABLE %s DISABLE ROW LEVEL SECURITY;', r.name) END)
			WHEN o.shared THEN tenantguard.under_bypass('the record was lost',
				pg_catalog.format('SELECT tenantguard.share(%L);', r.name))
			WHEN s.candidates = 1 THEN tenantguard.under_bypass('the record was lost',
				pg_catalog.format('SELECT tenantguard.protect(%L, %L);', r.name, s.attname))
		END
	FROM rel AS r
	JOIN (
		SELECT p.relid, pg_catalog.string_agg(p.name::text, ', ' ORDER BY p.name) AS list,
			pg_catalog.string_agg(pg_catalog.format('DROP POLICY %I ON %s;', p.name, p.relid::regclass), ' ' ORDER BY p.name) AS drops,
			pg_catalog.bool_or(p.name = 'tenantguard_insert') AS shared
		FROM pol AS p
		WHERE p.ours
		GROUP BY p.relid
	) AS o ON o.relid = r.relid
	JOIN allowed AS a ON a.relid = r.relid
	LEFT JOIN tenantguard.supposed_columns(check_policies.schema) AS s ON s.relid = r.relid
	WHERE NOT r.guarded
		AND NOT EXISTS (SELECT 1 FROM tenantguard.guarded_descendants() AS d WHERE d.relid = r.relid)
	UNION ALL
	SELECT 'TG215', pg_catalog.format('policy %I on %s', p.name, r.name),
		'it is not one of the guard''s, and protect() takes it for one: a partner may stand beside it.',
		tenantguard.under_bypass('a name of its own', pg_catalog.format('ALTER POLICY %I ON %s RENAME TO %I;',
			p.name, r.name, pg_catalog.substr(p.name::text, pg_catalog.length('tenantguard_') + 1)))
	FROM rel AS r
	JOIN pol AS p ON p.relid = r.relid AND p.ours
	WHERE r.guarded AND p.name <> 'tenantguard_partner'
		AND NOT EXISTS (SELECT 1 FROM tenantguard.own_policies() AS o WHERE o.mode = r.mode AND o.name = p.name)
$$;
COMMENT ON FUNCTION tenantguard.check_policies(regnamespace) IS
	'Findings TG201 to TG299 in the schema (NULL: in all): the guard''s policies and the user''s beside them, and row security written by hand.';
