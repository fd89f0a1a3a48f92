-- bypass.sql: the declared way out: who opens it, how far it reaches, and
-- that it ends when it should.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_bypass_app;
CREATE ROLE regress_bypass_support;
CREATE ROLE regress_bypass_migration;
CREATE ROLE regress_bypass_test;
CREATE ROLE regress_bypass_dump BYPASSRLS;
CREATE SCHEMA bypass;
SET search_path = bypass, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO docs SELECT o, i FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('bypass');
GRANT USAGE ON SCHEMA bypass TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON docs, orgs TO PUBLIC;
CREATE FUNCTION whose() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(DISTINCT org_id::text, ',') FROM bypass.docs $$;

-- It needs a reason, a transaction block or an end, and a right to it.
SELECT tenantguard.begin_bypass('outside of a block');
BEGIN; SELECT tenantguard.begin_bypass(''); ROLLBACK;
BEGIN; SELECT tenantguard.begin_bypass(NULL); ROLLBACK;
BEGIN; SELECT tenantguard.begin_bypass('x', 'forever'); ROLLBACK;
SELECT tenantguard.begin_bypass('x', 'session');
SELECT tenantguard.begin_bypass('x', 'session', now() - interval '1 second');
BEGIN; SELECT tenantguard.begin_bypass('x', until => now() - interval '1 second'); ROLLBACK;
SET SESSION AUTHORIZATION regress_bypass_app;
BEGIN; SELECT tenantguard.begin_bypass('please'); ROLLBACK;
SELECT tenantguard.grant_bypass('regress_bypass_app', 'support');
SELECT * FROM tenantguard.bypass_grant;
INSERT INTO tenantguard.bypass_grant VALUES ('regress_bypass_app', 'support');
SELECT tenantguard.current_bypass() IS NULL AS none, tenantguard.end_bypass() AS was_open;
RESET SESSION AUTHORIZATION;

-- Opened: everybody's rows, read and written, until the transaction ends.
BEGIN;
SELECT FROM tenantguard.begin_bypass('ticket 4711');
SELECT tenantguard.current_bypass(), whose();
UPDATE docs SET id = id + 10 RETURNING org_id, id;
INSERT INTO docs VALUES (3, 1);
SELECT tenantguard.end_bypass();
SELECT tenantguard.current_bypass() IS NULL AS closed;
SELECT whose();
ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); COMMIT;
SELECT tenantguard.current_bypass() IS NULL AS closed;
SELECT whose();
-- Under it nothing is filled in: a row without a tenant is an error.
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); INSERT INTO docs (id) VALUES (9); ROLLBACK;
-- Not after a tenant was worked for; a tenant that was only set gives way.
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(); SELECT tenantguard.begin_bypass('x'); ROLLBACK;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT FROM tenantguard.begin_bypass('x'); SELECT whose(); SELECT tenantguard.end_bypass(); SELECT whose(); COMMIT;
-- Savepoints: rolled back, it is closed; released, it stays.
BEGIN; SAVEPOINT s; SELECT FROM tenantguard.begin_bypass('x'); SELECT whose(); ROLLBACK TO s; SELECT tenantguard.current_bypass() IS NULL AS closed; SELECT whose(); ROLLBACK;
BEGIN; SAVEPOINT s; SELECT FROM tenantguard.begin_bypass('x'); RELEASE s; SELECT whose(); COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); SAVEPOINT s; SELECT 1 / 0; ROLLBACK TO s; SELECT whose(); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); SELECT 1 / 0; ROLLBACK;
SELECT whose();

-- Not from a SECURITY DEFINER function: its caller would get it.
CREATE FUNCTION helper() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ SELECT tenantguard.begin_bypass('for whoever calls') $$;
CREATE FUNCTION indirect() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE 'SELECT tenantguard.begin_bypass(''x'')'; END $$;
CREATE FUNCTION invoker() RETURNS void LANGUAGE sql AS $$ SELECT tenantguard.begin_bypass('x') $$;
SET SESSION AUTHORIZATION regress_bypass_app;
BEGIN; SELECT bypass.helper(); ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SELECT bypass.indirect(); ROLLBACK;
BEGIN; SELECT bypass.invoker(); ROLLBACK;
RESET SESSION AUTHORIZATION;
BEGIN; SELECT helper(); ROLLBACK;
-- nor as another current role: the session's user is judged
SET SESSION AUTHORIZATION regress_bypass_app;
BEGIN; SET LOCAL ROLE regress_bypass_app; SELECT tenantguard.begin_bypass('x'); ROLLBACK;
\set VERBOSITY default
RESET SESSION AUTHORIZATION;
BEGIN; SET LOCAL ROLE regress_bypass_app; SELECT FROM tenantguard.begin_bypass('a superuser as another role'); SELECT bypass.whose(); ROLLBACK;

-- enter() narrows it, again and again; NULL returns to the whole.
BEGIN;
SELECT FROM tenantguard.begin_bypass('one after the other');
SELECT FROM tenantguard.enter(1); SELECT whose();
INSERT INTO docs (id) VALUES (50) RETURNING org_id, id;
SELECT FROM tenantguard.enter(2); SELECT whose();
SAVEPOINT s; INSERT INTO docs VALUES (1, 51); ROLLBACK TO s;
SELECT FROM tenantguard.enter(NULL::text); SELECT whose(), tenantguard.current_bypass();
SELECT FROM tenantguard.enter(3); SELECT whose(), tenantguard.current_bypass();
ROLLBACK;
DO $$
DECLARE seen text := '';
BEGIN
	PERFORM tenantguard.begin_bypass('a worker');
	FOR o IN 1..3 LOOP PERFORM tenantguard.enter(o); seen := seen || bypass.whose(); END LOOP;
	RAISE WARNING 'saw %', seen;
END $$;
BEGIN;
SELECT FROM tenantguard.begin_bypass('a worker');
DO $$
DECLARE seen text := '';
BEGIN
	FOR o IN 1..3 LOOP PERFORM tenantguard.enter(o); seen := seen || bypass.whose(); END LOOP;
	RAISE WARNING 'saw %', seen;
END $$;
COMMIT;

-- A savepoint that is rolled back takes its visits back, whatever they were.
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); SELECT FROM tenantguard.enter(1); SAVEPOINT s; SELECT FROM tenantguard.enter(NULL::text); SELECT bypass.whose(); ROLLBACK TO s; SELECT tenantguard.current_tenant(), bypass.whose(); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); SELECT FROM tenantguard.enter(1); SAVEPOINT s; SELECT FROM tenantguard.enter(2); SAVEPOINT t; SELECT FROM tenantguard.enter(NULL::text); RELEASE t; SELECT bypass.whose(); ROLLBACK TO s; SELECT tenantguard.current_tenant(), bypass.whose(); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); SAVEPOINT s; SELECT FROM tenantguard.enter(1); SELECT bypass.whose(); ROLLBACK TO s; SELECT tenantguard.current_tenant(), bypass.whose(); SELECT FROM tenantguard.enter(2); RELEASE s; SELECT bypass.whose(); ROLLBACK;
-- A cursor opened under it dies with it; none is held.
BEGIN;
SELECT FROM tenantguard.begin_bypass('x');
DECLARE c CURSOR FOR SELECT org_id, id FROM docs ORDER BY 1, 2;
FETCH 1 FROM c;
SELECT tenantguard.end_bypass();
FETCH 1 FROM c;
ROLLBACK;
\set VERBOSITY sqlstate
-- A visit to a tenant does not end it: a loop over tenants goes on.
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); DECLARE c CURSOR FOR SELECT * FROM docs; SELECT FROM tenantguard.enter(1); FETCH 1 FROM c; ROLLBACK;
BEGIN; SAVEPOINT s; SELECT FROM tenantguard.begin_bypass('x'); ROLLBACK TO s; SET LOCAL app.current_org_id = '1'; DECLARE c CURSOR FOR SELECT * FROM docs; FETCH 1 FROM c; SELECT tenantguard.begin_bypass('y'); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); DECLARE c CURSOR WITH HOLD FOR SELECT * FROM docs; ROLLBACK;
-- a loop that is left open while the bypass closes
CREATE FUNCTION closes_in_loop() RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int := 0; d bypass.docs;
BEGIN
	FOR d IN SELECT * FROM bypass.docs LOOP n := n + 1; PERFORM tenantguard.end_bypass(); END LOOP;
	RETURN n;
END $$;
BEGIN; SELECT FROM tenantguard.begin_bypass('x'); SELECT closes_in_loop(); ROLLBACK;
\set VERBOSITY default

-- For a session: until the time given, over transactions and errors.
SELECT FROM tenantguard.begin_bypass('psql', 'session', now() + interval '1 hour');
SELECT whose(), tenantguard.current_bypass();
SELECT 1 / 0;
BEGIN; SELECT 1 / 0; ROLLBACK;
SELECT whose();
BEGIN; SELECT FROM tenantguard.enter(2); SELECT whose(); COMMIT;
SELECT whose();
SELECT tenantguard.end_bypass(), tenantguard.end_bypass();
SELECT whose();
-- opened in a transaction that fails, it was never open
BEGIN; SELECT FROM tenantguard.begin_bypass('x', 'session', now() + interval '1 hour'); ROLLBACK;
SELECT tenantguard.current_bypass() IS NULL AS closed;
-- when its time has come it is over
SELECT FROM tenantguard.begin_bypass('short', 'session', clock_timestamp() + interval '100 milliseconds');
SELECT pg_sleep(0.3);
SELECT tenantguard.current_bypass() IS NULL AS closed;
SELECT whose();

-- Grants. For support: a right to begin one, and no more.
SELECT FROM tenantguard.grant_bypass('regress_bypass_support', 'support');
SELECT FROM tenantguard.grant_bypass('regress_bypass_migration', 'migration');
SELECT FROM tenantguard.grant_bypass('regress_bypass_test', 'test', now() + interval '1 hour');
SELECT tenantguard.grant_bypass('regress_bypass_app', 'fun');
SELECT tenantguard.grant_bypass('regress_bypass_app', 'test', '2000-01-01');
SELECT tenantguard.grant_bypass('regress_bypass_app', 'backup');
SELECT FROM tenantguard.grant_bypass('regress_bypass_dump', 'backup');
SELECT grantee, purpose, until IS NOT NULL AS ends FROM tenantguard.bypass_grant ORDER BY grantee::text COLLATE "C";
SET SESSION AUTHORIZATION regress_bypass_support;
SELECT bypass.whose();
BEGIN; SELECT FROM tenantguard.begin_bypass('ticket 1'); SELECT bypass.whose(), tenantguard.current_bypass(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT bypass.whose(); SELECT tenantguard.begin_bypass('x'); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('ticket 2'); SELECT FROM tenantguard.enter(1); SELECT bypass.whose(); ROLLBACK;
-- Standing: whenever no tenant is set; a tenant that is set wins.
SET SESSION AUTHORIZATION regress_bypass_migration;
SELECT bypass.whose(), tenantguard.current_bypass();
UPDATE bypass.docs SET id = id;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT bypass.whose(), tenantguard.current_bypass() IS NULL AS none; SELECT tenantguard.begin_bypass('x'); ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO bypass.docs VALUES (2, 99); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT bypass.whose(); RESET app.current_org_id; SELECT bypass.whose(); ROLLBACK;
\set VERBOSITY default
-- A whole test in one transaction, for one tenant after the other.
SET SESSION AUTHORIZATION regress_bypass_test;
BEGIN;
SELECT FROM tenantguard.enter(1); SELECT bypass.whose();
SELECT FROM tenantguard.enter(2); SELECT bypass.whose();
INSERT INTO bypass.docs (id) VALUES (60) RETURNING org_id, id;
SELECT FROM tenantguard.enter(NULL::text); SELECT bypass.whose();
ROLLBACK;
SET SESSION AUTHORIZATION regress_bypass_dump;
SELECT bypass.whose(), tenantguard.current_bypass();
-- A standing grant is its grantee's alone: a member of that role has a right
-- to begin a bypass, and no bypass until then.
RESET SESSION AUTHORIZATION;
GRANT regress_bypass_migration TO regress_bypass_app;
SET SESSION AUTHORIZATION regress_bypass_app;
SELECT tenantguard.current_bypass() IS NULL AS none;
SELECT bypass.whose();
SET ROLE regress_bypass_migration;
SELECT tenantguard.current_bypass() IS NULL AS none;
BEGIN; SELECT FROM tenantguard.begin_bypass('as a member'); SELECT bypass.whose(); COMMIT;
RESET SESSION AUTHORIZATION;
REVOKE regress_bypass_migration FROM regress_bypass_app;
-- Taken away, it is over at once, with the plans that were cached.
SET SESSION AUTHORIZATION regress_bypass_migration;
PREPARE p AS SELECT string_agg(DISTINCT org_id::text, ',') FROM bypass.docs;
EXECUTE p;
RESET SESSION AUTHORIZATION;
SELECT FROM tenantguard.revoke_bypass('regress_bypass_migration');
SET SESSION AUTHORIZATION regress_bypass_migration;
\set VERBOSITY sqlstate
EXECUTE p;
SELECT bypass.whose();
\set VERBOSITY default
RESET SESSION AUTHORIZATION;
SET client_min_messages = notice;
SELECT FROM tenantguard.revoke_bypass('regress_bypass_migration');
SELECT FROM tenantguard.revoke_bypass('regress_bypass_test', 'migration');

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA bypass CASCADE;
DROP ROLE regress_bypass_app, regress_bypass_support, regress_bypass_migration, regress_bypass_test, regress_bypass_dump;
