-- 49_check.sql: every rule at once, and the question whether that is all.
-- Without jit: to compile such queries takes longer than to run them.

CREATE FUNCTION tenantguard.check(schema regnamespace DEFAULT NULL, with_suppressed boolean DEFAULT false)
RETURNS TABLE (code text, severity text, object text, detail text, fix text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT f.code, r.severity, f.object, f.detail, f.fix
	FROM (
		SELECT * FROM tenantguard.check_relations("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_policies("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_roles("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_functions("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_triggers("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_expressions("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_outlets("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_foreign_keys("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_unique_keys("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_indexes("check".schema)
		UNION ALL
		SELECT * FROM tenantguard.check_settings()
		UNION ALL
		SELECT * FROM tenantguard.check_server()
	) AS f
	JOIN tenantguard.check_rule AS r ON r.code = f.code
	WHERE "check".with_suppressed
		OR NOT EXISTS (
			SELECT 1
			FROM tenantguard.check_suppression AS s
			WHERE s.code = f.code AND s.object = f.object
				AND (s.until IS NULL OR s.until > pg_catalog.now()))
	ORDER BY pg_catalog.array_position('{critical,warning,notice}'::text[], r.severity), f.code, f.object COLLATE "C"
$$;
COMMENT ON FUNCTION tenantguard.check(regnamespace, boolean) IS
	'One row for each thing that weakens isolation in the schema (NULL: in the whole database), the worst first: stable code, severity (critical, warning, notice), object, what was found, and the SQL that fixes it. Findings accepted by suppress_finding() are left out unless with_suppressed. Changes nothing.';

CREATE FUNCTION tenantguard.require_tenants()
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	lost	text;
BEGIN
	-- Dropped while the library was not loaded, it has left its record.
	SELECT pg_catalog.format('table %s was dropped by role "%s" at %s', l.name, l.dropped_by, l.since) INTO lost
	FROM tenantguard.lost_registry AS l
	UNION ALL
	SELECT pg_catalog.format('table %s does not exist any more', r.registry::oid)
	FROM tenantguard.registry AS r
	WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c WHERE c.oid = r.registry)
	LIMIT 1;
	IF lost IS NOT NULL THEN
		RAISE EXCEPTION 'the registry of tenants is gone'
			USING ERRCODE = '42501', CONSTRAINT = 'tenantguard_no_registry',
				DETAIL = pg_catalog.format('no_registry: %s.', lost),
				HINT = 'Restore it, then use tenantguard.adopt_registry() and tenantguard.protect_all().';
	ELSIF NOT EXISTS (SELECT 1 FROM tenantguard.registry)
		AND NOT EXISTS (SELECT 1 FROM tenantguard.guarded_relation AS g WHERE g.mode <> 'exempt') THEN
		RAISE EXCEPTION 'nothing is guarded in this database'
			USING ERRCODE = '42501', CONSTRAINT = 'tenantguard_no_registry',
				DETAIL = 'no_registry: no registry of tenants is adopted, and no relation is protected or shared.',
				HINT = 'Use SELECT tenantguard.adopt_registry(''public.organizations'', ''id''), then tenantguard.protect_all().';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_tenants() IS
	'Returns where a registry is adopted, or where relations are guarded without one. Raises 42501 (no_registry) after it was dropped, and where nothing is guarded at all.';

CREATE FUNCTION tenantguard.assert_guarded(schema regnamespace DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	found		record;
BEGIN
	PERFORM tenantguard.require_tenants();
	SELECT pg_catalog.count(*) AS findings,
		pg_catalog.string_agg(pg_catalog.format('%s %s: %s', c.code, c.object, c.detail), E'\n' ORDER BY c.position)
			FILTER (WHERE c.position <= 20) AS list
	INTO found
	FROM tenantguard.check(schema) WITH ORDINALITY
		AS c (code, severity, object, detail, fix, position)
	WHERE c.severity = 'critical';
	IF found.findings > 0 THEN
		RAISE EXCEPTION 'the % is not guarded: % critical findings', COALESCE('schema ' || schema::text, 'database'), found.findings
			USING ERRCODE = '42501', CONSTRAINT = 'tenantguard_not_guarded',
				DETAIL = 'not_guarded: ' || found.list,
				HINT = 'Use SELECT * FROM tenantguard.check() and run what it says under fix.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.assert_guarded(regnamespace) IS
	'Returns when check() has no critical finding in the schema (NULL: in the database), which includes that every relation is classified. For the end of a migration. Raises 42501 (not_guarded) with up to 20 findings, and (no_registry) where the registry was dropped or nothing is guarded at all.';
