-- 31_policies.sql: row security, policies and privileges of one relation, as
-- statements to be run. The calls that decide which follow in 32_relations.sql.

CREATE FUNCTION tenantguard.run_statements(statements text[])
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	statement	text;
BEGIN
	FOREACH statement IN ARRAY COALESCE(statements, '{}') LOOP
		CONTINUE WHEN statement IS NULL;
		EXECUTE statement;
		RETURN NEXT statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.run_statements(text[]) IS
	'Runs the statements in order with the caller''s rights and returns each.';

CREATE FUNCTION tenantguard.recorded_relation(relation regclass)
RETURNS tenantguard.guarded_relation
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
	RETURN (SELECT g FROM tenantguard.guarded_relation AS g WHERE g.relid = recorded_relation.relation);
END
$$;
COMMENT ON FUNCTION tenantguard.recorded_relation(regclass) IS
	'What is recorded about the relation, or NULL.';

CREATE FUNCTION tenantguard.is_our_default(relation oid, column_name name)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
	RETURN EXISTS (
		SELECT 1
		FROM pg_catalog.pg_attrdef AS d
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
		JOIN pg_catalog.pg_depend AS p
			ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
			AND p.refclassid = 'pg_catalog.pg_proc'::regclass
		JOIN pg_catalog.pg_proc AS f ON f.oid = p.refobjid
		WHERE d.adrelid = is_our_default.relation AND a.attname = is_our_default.column_name
			AND f.pronamespace = 'tenantguard'::pg_catalog.regnamespace
			AND f.proname LIKE 'current\_tenant%'
	);
END
$$;
COMMENT ON FUNCTION tenantguard.is_our_default(oid, name) IS
	'Whether the column''s default is one of the current_tenant functions.';

CREATE FUNCTION tenantguard.column_default(relation oid, column_name name)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
	RETURN (
		SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
		FROM pg_catalog.pg_attrdef AS d
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
		WHERE d.adrelid = column_default.relation AND a.attname = column_default.column_name
			AND a.attgenerated = '');
END
$$;
COMMENT ON FUNCTION tenantguard.column_default(oid, name) IS
	'The default of the column as a fully qualified expression, or NULL.';

CREATE FUNCTION tenantguard.user_policies(relation oid)
RETURNS TABLE (name name, permissive boolean)
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
	RETURN QUERY
	SELECT p.polname, p.polpermissive
	FROM pg_catalog.pg_policy AS p
	WHERE p.polrelid = user_policies.relation
		AND NOT pg_catalog.starts_with(p.polname::text, 'tenantguard_')
	ORDER BY p.polname;
END
$$;
COMMENT ON FUNCTION tenantguard.user_policies(oid) IS
	'The policies of the relation that are not ours.';

CREATE FUNCTION tenantguard.has_policy(relation oid, name name)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM pg_catalog.pg_policy AS p
		WHERE p.polrelid = has_policy.relation AND p.polname = has_policy.name);
END
$$;
COMMENT ON FUNCTION tenantguard.has_policy(oid, name) IS
	'Whether the relation has a policy of this name.';

CREATE FUNCTION tenantguard.excess_grantees(relation oid)
RETURNS TABLE (grantee text)
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC'
		ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END
	FROM pg_catalog.pg_class AS c
	CROSS JOIN LATERAL (
		SELECT x.grantee, x.privilege_type
		FROM pg_catalog.aclexplode(c.relacl) AS x
		UNION ALL
		SELECT x.grantee, x.privilege_type
		FROM pg_catalog.pg_attribute AS a
		CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS x
		WHERE a.attrelid = c.oid AND NOT a.attisdropped
	) AS g
	WHERE c.oid = excess_grantees.relation
		AND g.grantee <> c.relowner
		AND g.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE', 'MAINTAIN')
	ORDER BY 1;
END
$$;
COMMENT ON FUNCTION tenantguard.excess_grantees(oid) IS
	'Roles other than the owner that hold TRIGGER, REFERENCES, TRUNCATE or MAINTAIN: with TRIGGER they could run code on every tenant''s rows, with REFERENCES ask which keys exist, with TRUNCATE remove them all, with MAINTAIN (from PostgreSQL 17 on) work over all of them.';

CREATE FUNCTION tenantguard.owners_privileges()
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'TRIGGER, REFERENCES, TRUNCATE' ||
		CASE WHEN pg_catalog.current_setting('server_version_num')::integer >= 170000 THEN ', MAINTAIN' ELSE '' END
$$;
COMMENT ON FUNCTION tenantguard.owners_privileges() IS
	'The privileges on a guarded relation that nobody but its owner has, as REVOKE of this server lists them.';

CREATE FUNCTION tenantguard.revoke_statements(relation oid)
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT pg_catalog.format('REVOKE %s ON TABLE %s FROM %s CASCADE',
		tenantguard.owners_privileges(), f.member::regclass, g.grantees)
	FROM tenantguard.table_family(revoke_statements.relation) AS f
	CROSS JOIN LATERAL (
		SELECT pg_catalog.string_agg(e.grantee, ', ') AS grantees
		FROM tenantguard.excess_grantees(f.member) AS e
	) AS g
	WHERE g.grantees IS NOT NULL;
END
$$;
COMMENT ON FUNCTION tenantguard.revoke_statements(oid) IS
	'The REVOKE statements that leave TRIGGER, REFERENCES, TRUNCATE and MAINTAIN to the owner, for the table and its children.';

CREATE FUNCTION tenantguard.policy_statements(relation oid, column_name name, mode text)
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
	member_name text := relation::regclass::text;
	visible		text := CASE mode WHEN 'tenant_or_shared' THEN 'visible_or_shared' ELSE 'visible' END;
	table_name	name;
	secured		boolean;
	forced		boolean;
	pol			pg_catalog.pg_policy;
	condition	text;
BEGIN
	IF column_name IS NULL AND mode IS DISTINCT FROM 'derived' THEN
		RETURN;
	END IF;
	SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity INTO table_name, secured, forced
	FROM pg_catalog.pg_class AS c WHERE c.oid = policy_statements.relation AND c.relkind IN ('r', 'p');
	IF NOT FOUND THEN
		RETURN;	-- foreign tables and materialized views: the library alone holds
	ELSIF NOT secured THEN
		RETURN NEXT pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', member_name);
	END IF;
	IF NOT forced THEN
		RETURN NEXT pg_catalog.format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', member_name);
	END IF;

	condition := CASE mode
		WHEN 'derived' THEN pg_catalog.format(
			'TO PUBLIC USING (tenantguard.visible_by_links(%1$I.*)) WITH CHECK (tenantguard.visible_by_links(%1$I.*))', table_name)
		ELSE pg_catalog.format(
			'TO PUBLIC USING (tenantguard.%1$s(%2$I)) WITH CHECK (tenantguard.visible(%2$I))', visible, column_name) END;
	SELECT p.* INTO pol
	FROM pg_catalog.pg_policy AS p
	WHERE p.polrelid = policy_statements.relation AND p.polname = 'tenantguard_tenant';

	IF pol.oid IS NOT NULL AND (pol.polpermissive OR pol.polcmd <> '*') THEN
		RETURN NEXT pg_catalog.format('DROP POLICY tenantguard_tenant ON %s', member_name);
		pol := NULL;
	END IF;
	IF pol.oid IS NULL THEN
		RETURN NEXT pg_catalog.format('CREATE POLICY tenantguard_tenant ON %s AS RESTRICTIVE FOR ALL %s',
			member_name, condition);
	ELSIF pol.polroles <> '{0}'::oid[]
		OR NOT (CASE mode
			WHEN 'derived' THEN COALESCE(
				pg_catalog.pg_get_expr(pol.polqual, pol.polrelid) = pg_catalog.format('tenantguard.visible_by_links(%I.*)', table_name)
				AND pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid) = pg_catalog.format('tenantguard.visible_by_links(%I.*)', table_name), false)
			ELSE tenantguard.is_our_condition(pg_catalog.pg_get_expr(pol.polqual, pol.polrelid), visible, column_name)
				AND tenantguard.is_our_condition(pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid), 'visible', column_name) END)
	THEN
		RETURN NEXT pg_catalog.format('ALTER POLICY tenantguard_tenant ON %s %s', member_name, condition);
	END IF;

	-- Rows of no tenant are read by all and written by none.
	IF mode = 'tenant_or_shared' THEN
		RETURN QUERY
		SELECT pg_catalog.format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR %s TO PUBLIC USING (tenantguard.visible(%I))',
			w.name, member_name, w.command, column_name)
		FROM (VALUES ('tenantguard_update', 'UPDATE'), ('tenantguard_delete', 'DELETE')) AS w (name, command)
		WHERE NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_policy AS p
			WHERE p.polrelid = policy_statements.relation AND p.polname = w.name);
	END IF;

	-- Restrictive policies alone show nothing. Where row security was on
	-- already, what the user's own policies allow (or not) must stand.
	IF NOT secured
		AND NOT EXISTS (
			SELECT 1 FROM tenantguard.user_policies(policy_statements.relation) AS u WHERE u.permissive)
		AND NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_policy AS p
			WHERE p.polrelid = policy_statements.relation AND p.polname = 'tenantguard_partner')
	THEN
		RETURN NEXT pg_catalog.format(
			'CREATE POLICY tenantguard_partner ON %s AS PERMISSIVE FOR ALL TO PUBLIC USING (tenantguard.any_row())', member_name);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.policy_statements(oid, name, text) IS
	'The statements that give one table the row security and the policies it misses for a mode of tenant, root, tenant_or_shared or derived.';

CREATE FUNCTION tenantguard.is_our_condition(condition text, function_name text, column_name name)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF column_name IS NULL THEN
		RETURN false;
	END IF;
	-- A varchar or a domain is printed with a cast to the key type.
	RETURN COALESCE(is_our_condition.condition = pg_catalog.format('tenantguard.%s(%I)', function_name, column_name)
		OR is_our_condition.condition = ANY (ARRAY(
			SELECT pg_catalog.format('tenantguard.%s((%I)::%s)', function_name, column_name, t.name)
			FROM (VALUES ('text'), ('integer'), ('bigint'), ('uuid')) AS t (name))), false);
END
$$;
COMMENT ON FUNCTION tenantguard.is_our_condition(text, text, name) IS
	'Whether a policy''s condition, as PostgreSQL prints it, is exactly the generated one.';

CREATE FUNCTION tenantguard.share_statements(relation oid, anew boolean)
RETURNS SETOF text
LANGUAGE sql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
	-- Nobody's row is visible(NULL) without a bypass. Like the other modes this
	-- one is in force only while row security is enabled, which a dump does
	-- after it has restored the rows.
	SELECT s.statement
	FROM pg_catalog.pg_class AS c
	CROSS JOIN LATERAL (VALUES
		(1, pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass),
			anew OR NOT c.relrowsecurity),
		(2, pg_catalog.format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', c.oid::regclass),
			anew OR NOT c.relforcerowsecurity),
		(3, pg_catalog.format('CREATE POLICY tenantguard_insert ON %s AS RESTRICTIVE FOR INSERT TO PUBLIC WITH CHECK (tenantguard.visible(NULL::text))', c.oid::regclass),
			anew OR NOT tenantguard.has_policy(c.oid, 'tenantguard_insert')),
		(4, pg_catalog.format('CREATE POLICY tenantguard_update ON %s AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (tenantguard.visible(NULL::text))', c.oid::regclass),
			anew OR NOT tenantguard.has_policy(c.oid, 'tenantguard_update')),
		(5, pg_catalog.format('CREATE POLICY tenantguard_delete ON %s AS RESTRICTIVE FOR DELETE TO PUBLIC USING (tenantguard.visible(NULL::text))', c.oid::regclass),
			anew OR NOT tenantguard.has_policy(c.oid, 'tenantguard_delete')),
		(6, pg_catalog.format('CREATE POLICY tenantguard_partner ON %s AS PERMISSIVE FOR ALL TO PUBLIC USING (tenantguard.any_row())', c.oid::regclass),
			(anew OR NOT (c.relrowsecurity OR tenantguard.has_policy(c.oid, 'tenantguard_partner')))
			AND NOT EXISTS (SELECT 1 FROM tenantguard.user_policies(c.oid) AS u WHERE u.permissive))
	) AS s (step, statement, missing)
	WHERE c.oid = share_statements.relation AND c.relkind IN ('r', 'p') AND s.missing
	ORDER BY s.step
$$;
COMMENT ON FUNCTION tenantguard.share_statements(oid, boolean) IS
	'The statements that give one table the policies of mode shared: all of them (anew), or those that are missing.';

CREATE FUNCTION tenantguard.member_statements(member regclass, mode text, tenant_column name, anew boolean)
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(member);
	member_mode	text := CASE mode WHEN 'root' THEN 'tenant' ELSE mode END;
BEGIN
	IF member IS NULL OR (mode NOT IN ('shared', 'derived') AND tenant_column IS NULL) THEN
		RETURN;
	END IF;
	IF mode = 'shared' THEN
		RETURN QUERY SELECT s.* FROM tenantguard.share_statements(member, anew) AS s;
	ELSE
		RETURN QUERY SELECT s.* FROM tenantguard.policy_statements(member, tenant_column, mode) AS s;
	END IF;
	IF mode = 'derived' AND NOT EXISTS (SELECT 1 FROM tenantguard.recorded_links(member)) THEN
		RETURN NEXT pg_catalog.format('SELECT tenantguard.inherit_links(%L)', member);
	END IF;
	-- Last, since a recorded table without row security is one that a dump is
	-- still filling.
	IF (recorded.mode, recorded.tenant_column) IS DISTINCT FROM (member_mode, tenant_column)
		AND (SELECT c.relpersistence <> 't' FROM pg_catalog.pg_class AS c WHERE c.oid = member) THEN
		RETURN NEXT pg_catalog.format('SELECT tenantguard.record_relation(%L, %L, %L, NULL, NULL)',
			member, member_mode, tenant_column);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.member_statements(regclass, text, name, boolean) IS
	'The statements that bring a partition or a child to the mode of its parent: row security and policies (of mode shared all anew, or those that are missing), then the record.';

CREATE FUNCTION tenantguard.drop_policy_statements(relation regclass)
RETURNS SETOF text
LANGUAGE sql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT s.statement
	FROM tenantguard.table_family(drop_policy_statements.relation) AS f
	JOIN pg_catalog.pg_class AS c ON c.oid = f.member
	CROSS JOIN LATERAL (
		SELECT 1 AS step, pg_catalog.format('DROP POLICY %I ON %s', p.polname, c.oid::regclass) AS statement
		FROM pg_catalog.pg_policy AS p
		WHERE p.polrelid = c.oid AND pg_catalog.starts_with(p.polname::text, 'tenantguard_')
		UNION ALL
		SELECT 2, pg_catalog.format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', c.oid::regclass)
		WHERE c.relforcerowsecurity
		UNION ALL
		SELECT 3, pg_catalog.format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', c.oid::regclass)
		WHERE c.relrowsecurity AND NOT EXISTS (SELECT 1 FROM tenantguard.user_policies(c.oid) AS u)
	) AS s
	WHERE COALESCE((tenantguard.recorded_relation(drop_policy_statements.relation)).mode <> 'exempt',
		tenantguard.has_policy(drop_policy_statements.relation, 'tenantguard_tenant')
		OR tenantguard.has_policy(drop_policy_statements.relation, 'tenantguard_insert'))
	ORDER BY c.oid, s.step, s.statement
$$;
COMMENT ON FUNCTION tenantguard.drop_policy_statements(regclass) IS
	'The statements that take our policies from a guarded table and its children; row security stays on where the user has policies.';

