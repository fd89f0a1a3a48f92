-- null_arguments.sql: NULL for any argument of any function is nothing to do,
-- or an error that says so in words: 22023, or a refusal (42501).
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_null_role;
CREATE SCHEMA nulls;
CREATE TABLE nulls.orgs (id bigint PRIMARY KEY, status text);
CREATE TABLE nulls.items (org_id bigint PRIMARY KEY REFERENCES nulls.orgs);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('nulls.orgs', 'id', 'status');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('nulls.items');

-- A call with NULL for the arguments that are marked, and something for others.
CREATE FUNCTION nulls.outcome(f regprocedure, nulls boolean[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE call text;
BEGIN
	SELECT format('SELECT * FROM %s(%s)', p.oid::regproc, string_agg(
		CASE WHEN p.provariadic <> 0 AND a.position = p.pronargs THEN 'VARIADIC ' ELSE '' END ||
		CASE WHEN nulls[a.position] THEN 'NULL' ELSE CASE a.type::regtype::text
			WHEN 'regclass' THEN quote_literal('nulls.items') WHEN 'oid' THEN quote_literal('nulls.items'::regclass::oid)
			WHEN 'text' THEN quote_literal('x') WHEN 'name' THEN quote_literal('org_id') WHEN 'boolean' THEN 'false'
			WHEN 'regnamespace' THEN quote_literal('nulls') WHEN 'integer' THEN '1' WHEN 'bigint' THEN '1'
			WHEN 'regrole' THEN quote_literal('regress_null_role') WHEN 'text[]' THEN quote_literal('{}') ELSE 'NULL' END END
			|| '::' || a.type::regtype, ', ' ORDER BY a.position))
	INTO call
	FROM pg_proc AS p CROSS JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
	WHERE p.oid = f GROUP BY p.oid;
	EXECUTE call;
	RAISE EXCEPTION USING ERRCODE = 'YY000';	-- undo it
EXCEPTION
	WHEN SQLSTATE 'YY000' THEN RETURN 'ok';
	WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE VIEW nulls.called AS
	SELECT p.oid::regprocedure AS function, pattern.which, nulls.outcome(p.oid, pattern.nulls) AS outcome
	FROM pg_proc AS p
	CROSS JOIN LATERAL (
		SELECT i::text AS which, array_agg(k = i ORDER BY k) AS nulls
		FROM generate_series(1, p.pronargs) AS i, generate_series(1, p.pronargs) AS k GROUP BY i
		UNION ALL
		SELECT 'all', array_fill(true, ARRAY[p.pronargs])
	) AS pattern
	WHERE p.pronamespace = 'tenantguard'::regnamespace AND p.pronargs > 0 AND p.prokind = 'f'
		AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype) AND NOT p.proargtypes::oid[] && ARRAY['anyelement'::regtype, '"any"'::regtype]::oid[];
SELECT count(DISTINCT function) > 60 AS many, count(*) > count(DISTINCT function) AS each_argument FROM nulls.called;
SELECT * FROM nulls.called WHERE outcome !~ '^(ok|22023 |42501 )' OR outcome ~ '\(null\)';
BEGIN; SELECT FROM tenantguard.begin_bypass('all of them');
SELECT * FROM nulls.called WHERE outcome !~ '^(ok|22023 |42501 )' OR outcome ~ '\(null\)';
ROLLBACK;
-- procedures, which commit
CALL tenantguard.backfill_tenant_column(NULL);
CALL tenantguard.finish_tenant_column(NULL);
-- nothing to do is done without a word
SET client_min_messages = notice;
SELECT tenantguard.meet_relation(NULL, NULL, NULL);
SELECT tenantguard.meet_relation(0::regclass, '{}', true);
SELECT tenantguard.meet_relation('nulls.items', NULL, NULL);
SELECT * FROM tenantguard.run_statements(NULL);
SELECT * FROM tenantguard.run_statements(ARRAY[NULL, 'SELECT 1']);
SELECT tenantguard.forget_relation(NULL);
SELECT tenantguard.lock_relation(NULL);

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA nulls CASCADE;
DROP ROLE regress_null_role;
