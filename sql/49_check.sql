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

CREATE FUNCTION tenantguard.assert_guarded(schema regnamespace DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	found		record;
BEGIN
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
	'Returns when check() has no critical finding in the schema (NULL: in the database), which includes that every relation is classified. For the end of a migration. Raises 42501 (not_guarded) with up to 20 findings.';
