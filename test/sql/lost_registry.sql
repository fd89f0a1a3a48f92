-- lost_registry.sql: a database whose registry was dropped is not one that
-- never had tenants.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_lost_owner;
CREATE SCHEMA lost AUTHORIZATION regress_lost_owner;
CREATE SCHEMA kept AUTHORIZATION regress_lost_owner;
SET tenantguard.new_table = protect;
SET client_min_messages = notice;

-- Nothing is guarded: whoever wants to be sure is told.
SELECT tenantguard.assert_guarded();
SELECT tenantguard.assert_guarded('lost');
SELECT code, severity FROM tenantguard.check('lost');
CREATE TABLE kept.exempted (id int);
SELECT count(*) FROM tenantguard.exempt('kept.exempted', 'a queue');
\set VERBOSITY sqlstate
SELECT tenantguard.assert_guarded();
BEGIN; SELECT FROM tenantguard.begin_bypass('nothing at all'); SELECT count(*) FROM tenantguard.unprotect('kept.exempted', 'nothing at all'); DROP TABLE kept.exempted; COMMIT;
CREATE TABLE kept.early (id int);
DROP TABLE kept.early;
\set VERBOSITY default
-- tenants that are registered elsewhere
CREATE TABLE kept.elsewhere (org_id bigint PRIMARY KEY);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('kept.elsewhere', 'org_id');
SELECT tenantguard.assert_guarded('kept');
BEGIN; SELECT FROM tenantguard.begin_bypass('on'); SELECT count(*) > 0 AS unprotected FROM tenantguard.unprotect('kept.elsewhere', 'on'); DROP TABLE kept.elsewhere; COMMIT;

-- A registry, and a tool that makes everything anew.
CREATE TABLE lost."Orgs" (id bigint PRIMARY KEY, active text);
CREATE TABLE lost.items (org_id bigint PRIMARY KEY REFERENCES lost."Orgs");
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('lost."Orgs"', 'id', 'active');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('lost.items');
SELECT tenantguard.assert_guarded();
SELECT count(*) FROM tenantguard.lost_registry;
DROP SCHEMA lost CASCADE;
-- rolled back it is not lost
BEGIN; SELECT FROM tenantguard.begin_bypass('all of it'); SET LOCAL client_min_messages = warning; DROP SCHEMA lost CASCADE; SELECT name, dropped_by = session_user AS by FROM tenantguard.lost_registry; ROLLBACK;
SELECT tenantguard.assert_guarded();
BEGIN; SELECT FROM tenantguard.begin_bypass('all of it'); SET LOCAL client_min_messages = warning; DROP SCHEMA lost CASCADE; COMMIT;
SELECT count(*) FROM tenantguard.guarded_relation;
DO $$ DECLARE found text; BEGIN PERFORM tenantguard.assert_guarded(); EXCEPTION WHEN insufficient_privilege THEN
	GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL; RAISE NOTICE '%, %', SQLERRM, regexp_replace(found, ' by role.*', ''); END $$;
-- in a session that knows nothing of it
\c -
\set SHOW_CONTEXT never
SET tenantguard.new_table = protect;
\set VERBOSITY sqlstate
SELECT tenantguard.assert_guarded('kept');
\set VERBOSITY default
CREATE TABLE kept.fresh (org_id bigint, id int);
SET ROLE regress_lost_owner;
CREATE TABLE kept.by_owner (id int);
DELETE FROM tenantguard.lost_registry;
RESET ROLE;
SET tenantguard.new_table = refuse;
CREATE TABLE kept.refused (id int);
SET tenantguard.new_table = protect;
-- not to be taken back by hand
DELETE FROM tenantguard.lost_registry;
TRUNCATE tenantguard.lost_registry;
UPDATE tenantguard.lost_registry SET name = 'x';
DROP TABLE tenantguard.lost_registry;

-- Adopted again, all is well.
CREATE TABLE kept.orgs (id bigint PRIMARY KEY, status text);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('kept.orgs', 'id', 'status');
SELECT count(*) FROM tenantguard.lost_registry;
CREATE TABLE kept.items (org_id bigint PRIMARY KEY REFERENCES kept.orgs);
DROP TABLE kept.fresh, kept.by_owner;
SELECT tenantguard.assert_guarded('kept');
-- let go on purpose it is not lost
BEGIN; SELECT FROM tenantguard.begin_bypass('no registry here'); DELETE FROM tenantguard.registry; SELECT count(*) > 0 AS unprotected FROM tenantguard.unprotect('kept.orgs', 'no registry here'); COMMIT;
SELECT count(*) FROM tenantguard.lost_registry;
SELECT count(*) FROM tenantguard.exempt('kept.orgs', 'the list of customers');
SELECT tenantguard.assert_guarded('kept');

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA kept CASCADE;
DROP ROLE regress_lost_owner;
