-- 00_install.sql: what must be true before anything is created.

\echo Use "CREATE EXTENSION tenantguard" to load this file. \quit

-- A schema that somebody else prepared could hold functions that shadow
-- ours, or stay under that person's control after the installation.
DO $$
DECLARE
	owner_name	name;
	found		text;
BEGIN
	SELECT pg_catalog.pg_get_userbyid(n.nspowner) INTO owner_name
	FROM pg_catalog.pg_namespace AS n
	WHERE n.nspname = 'tenantguard';

	IF owner_name <> current_user THEN
		RAISE EXCEPTION 'schema "tenantguard" belongs to role "%"', owner_name
			USING ERRCODE = '42501',
				DETAIL = 'Its owner could replace the functions that keep tenants apart.',
				HINT = 'Use ALTER SCHEMA tenantguard OWNER TO CURRENT_USER after looking at what it holds, or DROP SCHEMA tenantguard.';
	END IF;

	SELECT o.name INTO found
	FROM (
		SELECT c.relname::text AS name, c.relnamespace AS schema
		FROM pg_catalog.pg_class AS c
		UNION ALL
		SELECT p.proname::text, p.pronamespace FROM pg_catalog.pg_proc AS p
		UNION ALL
		SELECT t.typname::text, t.typnamespace FROM pg_catalog.pg_type AS t
		UNION ALL
		SELECT o.oprname::text, o.oprnamespace FROM pg_catalog.pg_operator AS o
	) AS o
	JOIN pg_catalog.pg_namespace AS n ON n.oid = o.schema
	WHERE n.nspname = 'tenantguard'
	LIMIT 1;

	IF found IS NOT NULL THEN
		RAISE EXCEPTION 'schema "tenantguard" is not empty'
			USING ERRCODE = '42501',
				DETAIL = pg_catalog.format('It already holds "%s".', found),
				HINT = 'Move the objects with ALTER ... SET SCHEMA, or DROP SCHEMA tenantguard, and repeat CREATE EXTENSION.';
	END IF;
END
$$;

REVOKE ALL ON SCHEMA tenantguard FROM PUBLIC;

COMMENT ON SCHEMA tenantguard IS
	'Keeps the tenants of one database apart: the calls, and the record of what is guarded.';
