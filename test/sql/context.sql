-- context.sql: which tenant a transaction works for, and every way to change
-- it once it was read.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_context_app;
CREATE SCHEMA context;
SET search_path = context, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO docs SELECT o, i FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('context');
GRANT USAGE ON SCHEMA context TO regress_context_app;
GRANT SELECT ON docs TO regress_context_app;
CREATE FUNCTION whose() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(DISTINCT org_id::text, ',') FROM context.docs $$;

-- Three ways to state it, and what the accessors say.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); COMMIT;
BEGIN; SELECT set_config('app.current_org_id', '2', true); SELECT whose(); COMMIT;
BEGIN; SELECT tenantguard.enter('3'); SELECT whose(); COMMIT;
BEGIN; SELECT tenantguard.enter(3); SELECT whose(), tenantguard.current_tenant(), tenantguard.current_tenant_integer(), tenantguard.current_tenant_bigint(); COMMIT;
SELECT tenantguard.current_tenant() IS NULL AS none, tenantguard.current_tenant_integer() IS NULL AS none, tenantguard.current_tenant_bigint() IS NULL AS none, tenantguard.current_tenant_uuid() IS NULL AS none;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT tenantguard.current_tenant_uuid(); ROLLBACK;
-- Nothing set: the words, and what helps.
SELECT count(*) FROM docs;
-- '' and unset are one state.
BEGIN; SET LOCAL app.current_org_id = ''; SELECT count(*) FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL app.current_org_id = ''; SELECT tenantguard.current_tenant() IS NULL; SELECT count(*) FROM docs; ROLLBACK;
-- Garbage is refused as it is set, by its name; only one spelling counts.
BEGIN; SET LOCAL app.current_org_id = '1 OR true'; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = ' 1'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1 '; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '01'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '+1'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1.0'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1e0'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '0x1'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '9223372036854775808'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = 'NULL'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1,2'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = 'c56a4180-65aa-42ec-a945-5fd21dec0538'; ROLLBACK;
BEGIN; SELECT set_config('app.current_org_id', repeat('9', 5000), true); ROLLBACK;
BEGIN; SELECT tenantguard.enter('x'); ROLLBACK;
BEGIN; SELECT tenantguard.enter(NULL::text); ROLLBACK;
BEGIN; SELECT tenantguard.enter(''); ROLLBACK;
\set VERBOSITY default
-- A tenant that the registry does not know is refused where it is used.
BEGIN; SET LOCAL app.current_org_id = '4711'; SELECT count(*) FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '-1'; SELECT count(*) FROM docs; ROLLBACK;

-- It counts for one transaction: what is left over is inert.
SET app.current_org_id = '1';
SELECT count(*) FROM docs;
BEGIN; SELECT count(*) FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT whose(); COMMIT;
SELECT tenantguard.current_tenant();
\set VERBOSITY sqlstate
SELECT count(*) FROM docs;
RESET app.current_org_id;
-- SET without LOCAL, inside a block, counts there and no longer.
BEGIN; SET app.current_org_id = '1'; SELECT whose(); COMMIT;
SELECT whose();
RESET app.current_org_id;
-- In one simple query the statements share a transaction.
SET app.current_org_id = '2'\; SELECT whose();
SELECT whose();
RESET app.current_org_id;
\set VERBOSITY default

-- Frozen: once read, it does not change, whatever the way.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SET LOCAL app.current_org_id = '2'; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SET app.current_org_id = '2'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SELECT set_config('app.current_org_id', '2', true); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SELECT tenantguard.enter('2'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SET LOCAL app.current_org_id = ''; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); UPDATE pg_settings SET setting = '2' WHERE name = 'app.current_org_id'; SELECT whose(); ROLLBACK;
-- written, not read
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO docs (id) VALUES (9); SET LOCAL app.current_org_id = '2'; ROLLBACK;
-- even where no row was found
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT FROM docs WHERE false; SET LOCAL app.current_org_id = '2'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT FROM docs WHERE id = -1; SET LOCAL app.current_org_id = '2'; ROLLBACK;
-- in the middle of a statement
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT set_config('app.current_org_id', '2', true), org_id FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT org_id, (SELECT set_config('app.current_org_id', '2', true)) FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; WITH c AS MATERIALIZED (SELECT set_config('app.current_org_id', '2', true)) SELECT * FROM c, docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM docs, LATERAL (SELECT set_config('app.current_org_id', (3 - org_id)::text, true)) AS l; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM (VALUES ('1'), ('2')) AS v (o), LATERAL (SELECT set_config('app.current_org_id', o, true), whose()) AS l; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT string_agg(set_config('app.current_org_id', o::text, true) || whose(), ' ') FROM generate_series(1, 3) AS o; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE docs SET id = id + length(set_config('app.current_org_id', '2', true)); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DO $$ BEGIN PERFORM whose(); PERFORM set_config('app.current_org_id', '2', true); END $$; ROLLBACK;
-- while the statement is planned: a function called IMMUTABLE is run then
CREATE FUNCTION switches() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM set_config('app.current_org_id', '2', true); RETURN true; END $$;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT (SELECT string_agg(DISTINCT org_id::text, ',') FROM docs), string_agg(DISTINCT org_id::text, ',') FROM docs WHERE switches(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SELECT count(*) FROM docs WHERE switches(); ROLLBACK;
-- a cursor that was opened before
BEGIN; SET LOCAL app.current_org_id = '1'; DECLARE c CURSOR FOR SELECT * FROM docs; FETCH 1 FROM c; SET LOCAL app.current_org_id = '2'; ROLLBACK;
-- RESET asks nobody, so the next use finds out
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); RESET app.current_org_id; SELECT whose(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); RESET app.current_org_id; SET LOCAL app.current_org_id = '2'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); RESET ALL; SELECT context.whose(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SELECT set_config('app.current_org_id', NULL, true); SELECT whose(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SET app.current_org_id TO DEFAULT; SELECT whose(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DECLARE c CURSOR FOR SELECT * FROM docs; FETCH 1 FROM c; RESET app.current_org_id; FETCH 1 FROM c; ROLLBACK;
SET search_path = context, public;
-- savepoints restore the setting, never the freedom
BEGIN; SAVEPOINT s; SET LOCAL app.current_org_id = '1'; SELECT whose(); ROLLBACK TO s; SET LOCAL app.current_org_id = '2'; ROLLBACK;
BEGIN; SAVEPOINT s; SET LOCAL app.current_org_id = '1'; SELECT whose(); ROLLBACK TO s; SELECT whose(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; SAVEPOINT s; SET LOCAL app.current_org_id = '1'; SELECT whose(); ROLLBACK TO s; SELECT whose(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SAVEPOINT s; SELECT 1 / 0; ROLLBACK TO s; SET LOCAL app.current_org_id = '2'; ROLLBACK;
DO $$ BEGIN PERFORM set_config('app.current_org_id', '1', true); PERFORM context.whose(); BEGIN PERFORM set_config('app.current_org_id', '2', true); EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'caught'; END; PERFORM set_config('app.current_org_id', '3', true); END $$;
\set VERBOSITY default

-- What is allowed: the same again, another before the first use, a savepoint.
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL app.current_org_id = '1'; SELECT whose(); SET LOCAL app.current_org_id = '1'; SELECT tenantguard.enter(1); SELECT whose(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SAVEPOINT s; SET LOCAL app.current_org_id = '2'; ROLLBACK TO s; SELECT whose(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SAVEPOINT s; SET LOCAL app.current_org_id = '1'; SELECT whose(); RELEASE s; SELECT whose(); COMMIT;
BEGIN; SAVEPOINT s; SET LOCAL app.current_org_id = '1'; SELECT whose(); ROLLBACK TO s; SET LOCAL app.current_org_id = '1'; SELECT whose(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); RESET app.current_org_id; SET LOCAL app.current_org_id = '1'; SELECT whose(); COMMIT;
BEGIN; SELECT 1 / 0; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '3'; SELECT whose(); COMMIT;
-- What does not read guarded rows does not freeze.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT tenantguard.current_tenant(); EXPLAIN (COSTS OFF) SELECT 1; SET LOCAL app.current_org_id = '2'; SELECT whose(); COMMIT;

-- A procedure that commits begins a new transaction, with no tenant.
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
DECLARE seen text := '';
BEGIN
	FOR o IN 1..3 LOOP
		PERFORM set_config('app.current_org_id', o::text, true);
		seen := seen || context.whose();
		COMMIT;
	END LOOP;
	RAISE WARNING 'saw %', seen;
	PERFORM context.whose();
END $$;
CALL commits();
CREATE PROCEDURE rolls_back() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.current_org_id', '1', true); PERFORM context.whose(); ROLLBACK;
	PERFORM set_config('app.current_org_id', '2', true); RAISE WARNING 'saw %', context.whose();
END $$;
CALL rolls_back();

-- A value stored with a function, a role or a database is none.
CREATE FUNCTION carries() RETURNS bigint LANGUAGE sql SET app.current_org_id = '2' AS 'SELECT count(*) FROM context.docs';
ALTER FUNCTION whose() SET app.current_org_id = '2';
ALTER ROLE regress_context_app SET app.current_org_id = '2';
\set VERBOSITY sqlstate
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.current_org_id = ''2''', current_database()); END $$;
\set VERBOSITY default
ALTER SYSTEM SET app.current_org_id = '2';
-- Nor through a function that keeps the setting of its caller.
CREATE FUNCTION keeps() RETURNS text LANGUAGE sql SET app.current_org_id FROM CURRENT AS 'SELECT context.whose()';
-- A function with SET of something else is like any other.
CREATE FUNCTION sets_else() RETURNS text LANGUAGE sql SET work_mem = '1MB' AS 'SELECT context.whose()';
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT sets_else(); COMMIT;
-- It is not in pg_settings, so nobody changes it there.
BEGIN; UPDATE pg_settings SET setting = '2' WHERE name = 'app.current_org_id'; SELECT tenantguard.current_tenant(); COMMIT;
SHOW app.current_org_id;

-- The settings that weaken the guard are not the tenant's to set.
SET ROLE regress_context_app;
SET tenantguard.enforce = log;
SET tenantguard.missing_context = empty;
SET tenantguard.context_scope = session;
SELECT set_config('tenantguard.enforce', 'log', false);
SET tenantguard.no_such_setting = 1;
RESET ROLE;
SET tenantguard.enforce = off;

-- missing_context = empty: no rows instead of an error, and no writes.
SET tenantguard.missing_context = empty;
SELECT count(*) FROM docs;
UPDATE docs SET id = id;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); COMMIT;
SELECT whose() IS NULL AS nobody;
\set VERBOSITY sqlstate
DELETE FROM docs;
INSERT INTO docs VALUES (1, 9);
INSERT INTO docs (id) VALUES (9);
BEGIN; SET LOCAL app.current_org_id = '4711'; SELECT count(*) FROM docs; ROLLBACK;
-- and no way to change the tenant of a transaction
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); RESET app.current_org_id; SELECT whose(); ROLLBACK;
\set VERBOSITY default
RESET tenantguard.missing_context;

-- Session scope: the value stays until it is changed, between transactions.
SET tenantguard.context_scope = session;
SET app.current_org_id = '1';
SELECT whose();
SELECT whose();
SET app.current_org_id = '2';
SELECT whose();
BEGIN; SELECT whose(); SET LOCAL app.current_org_id = '3'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '3'; SELECT whose(); COMMIT;
SELECT whose();
DISCARD ALL;
SET search_path = context, public;
SET tenantguard.context_scope = session;
SELECT whose();
SET app.current_org_id = '2';
SET tenantguard.context_scope = transaction;
SELECT whose();
RESET app.current_org_id;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA context CASCADE;
DROP ROLE regress_context_app;
