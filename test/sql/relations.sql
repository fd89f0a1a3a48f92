-- relations.sql: a person decides which relation is guarded, and how. What
-- was there before is kept, a repetition changes nothing, less takes a bypass.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_relations_owner;
CREATE ROLE regress_relations_app;
CREATE SCHEMA rels AUTHORIZATION regress_relations_owner;
SET search_path = rels, public;
SET ROLE regress_relations_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE certain (org_id bigint NOT NULL DEFAULT 42 REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE composite (o bigint NOT NULL, id int NOT NULL, parent int, PRIMARY KEY (o, id), FOREIGN KEY (o, parent) REFERENCES certain);
CREATE TABLE by_name (org_id bigint NOT NULL, id int);
CREATE TABLE "Camel" ("orgId" bigint NOT NULL REFERENCES orgs, id int);
CREATE TABLE two (org_id bigint REFERENCES orgs, partner_id bigint REFERENCES orgs);
CREATE TABLE derived (id int, certain_id int);
CREATE TABLE nullable (org_id bigint REFERENCES orgs, id int);
CREATE TABLE countries (code text PRIMARY KEY);
CREATE TABLE schema_migrations (version text);
CREATE VIEW a_view AS SELECT * FROM certain;
INSERT INTO orgs VALUES (1), (2), (42);
INSERT INTO certain SELECT o, 1 FROM generate_series(1, 2) AS o;
GRANT USAGE ON SCHEMA rels TO regress_relations_app;
GRANT ALL ON ALL TABLES IN SCHEMA rels TO regress_relations_app;
SELECT tenantguard.propose('rels');
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SET ROLE regress_relations_owner;
SELECT * FROM tenantguard.propose('rels');
-- as a dry run, then in earnest, then again
SELECT relation, action FROM tenantguard.protect_all('rels', dry_run => true);
SELECT relation, mode FROM tenantguard.relations;
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('rels');
SELECT relation, action FROM tenantguard.protect_all('rels') WHERE action <> 'already';
SELECT relation, mode, tenant_column, enforced, reason FROM tenantguard.relations ORDER BY relation::text;
-- The statements of one table; none the second time.
SELECT * FROM tenantguard.protect('by_name', dry_run => true);
SELECT count(*) FROM tenantguard.relations WHERE relation = 'by_name'::regclass;
SELECT replace(s, ', MAINTAIN', '') AS protect FROM tenantguard.protect('by_name', 'org_id') AS s;
SELECT * FROM tenantguard.protect('by_name', 'org_id');
-- A default that invented a tenant was replaced, and comes back with unprotect().
SELECT column_default FROM information_schema.columns WHERE table_schema = 'rels' AND table_name = 'certain' AND column_name = 'org_id';
-- A default that came later is noted by a repair, and that one comes back.
ALTER TABLE certain ALTER org_id SET DEFAULT 8;
SET client_min_messages = error;
SELECT * FROM tenantguard.protect('certain');
SET client_min_messages = warning;
SELECT * FROM tenantguard.protect('certain');
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT s FROM tenantguard.unprotect('certain', 'look') AS s WHERE s ~ 'DEFAULT'; ROLLBACK;
-- What a row needs is said in words.
SELECT tenantguard.protect('derived');
SELECT tenantguard.protect('two');
SELECT tenantguard.protect('a_view');
SELECT tenantguard.protect('no_such_table');
SELECT tenantguard.exempt('derived', '');
SELECT tenantguard.exempt('derived', NULL);
SELECT FROM tenantguard.exempt('derived', 'goes with certain, read through its key only');
SELECT FROM tenantguard.exempt('schema_migrations', 'no tenant');
SELECT FROM tenantguard.share('countries');
SELECT relation, mode, reason FROM tenantguard.relations WHERE mode IN ('exempt', 'shared') ORDER BY relation::text;
-- Less, or otherwise, takes a bypass.
\set VERBOSITY sqlstate
SELECT tenantguard.exempt('certain', 'in a hurry');
SELECT tenantguard.share('certain');
\set VERBOSITY default
SELECT tenantguard.unprotect('certain', 'in a hurry');
SELECT tenantguard.protect('certain', 'id');
RESET ROLE;
BEGIN;
SELECT FROM tenantguard.begin_bypass('change of mind');
SELECT * FROM tenantguard.unprotect('certain', 'moved elsewhere');
SELECT column_default FROM information_schema.columns WHERE table_schema = 'rels' AND table_name = 'certain' AND column_name = 'org_id';
SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies FROM pg_class AS c WHERE oid = 'certain'::regclass;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM certain; COMMIT;
-- Others than the owner decide nothing.
SET ROLE regress_relations_app;
\set VERBOSITY sqlstate
SELECT tenantguard.protect('rels.nullable');
SELECT tenantguard.share('rels.nullable');
SELECT tenantguard.exempt('rels.nullable', 'no');
SELECT tenantguard.unprotect('rels.nullable', 'no');
INSERT INTO tenantguard.guarded_relation (relid, mode) VALUES ('rels.nullable', 'exempt');
\set VERBOSITY default
RESET ROLE;

-- The user's own policies keep their meaning, within the tenant.
SET ROLE regress_relations_owner;
CREATE TABLE policied (org_id bigint NOT NULL REFERENCES orgs, id int, author text);
CREATE INDEX ON policied (org_id);
INSERT INTO policied SELECT o, i, CASE i WHEN 1 THEN 'regress_relations_app' ELSE 'another' END FROM generate_series(1, 2) AS o, generate_series(1, 2) AS i;
GRANT SELECT, INSERT, UPDATE, DELETE ON policied TO regress_relations_app;
ALTER TABLE policied ENABLE ROW LEVEL SECURITY;
CREATE POLICY authors ON policied FOR SELECT USING (author = current_user);
SELECT * FROM tenantguard.protect('policied');
SELECT polname, polpermissive FROM pg_policy WHERE polrelid = 'policied'::regclass ORDER BY 1;
RESET ROLE;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_relations_app; SELECT * FROM policied; UPDATE policied SET id = 9; DELETE FROM policied; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_relations_app; INSERT INTO policied VALUES (1, 3, 'x'); ROLLBACK;
\set VERBOSITY default
-- A permissive policy that comes later sends the partner home.
SET ROLE regress_relations_owner;
SET client_min_messages = notice;
CREATE POLICY strict ON by_name AS RESTRICTIVE USING (id > 0);
SELECT polname, polpermissive FROM pg_policy WHERE polrelid = 'by_name'::regclass ORDER BY 1;
CREATE POLICY mine ON by_name USING (id < 10);
SELECT polname, polpermissive FROM pg_policy WHERE polrelid = 'by_name'::regclass ORDER BY 1;
SELECT * FROM tenantguard.protect('by_name');
-- and so does a USING (true) that would have opened the table
CREATE POLICY open ON "Camel" USING (true) WITH CHECK (true);
SET client_min_messages = warning;
RESET ROLE;
INSERT INTO "Camel" VALUES (1, 1);
BEGIN; SELECT FROM tenantguard.begin_bypass('load'); INSERT INTO "Camel" VALUES (1, 1), (2, 1); INSERT INTO by_name VALUES (1, 1), (2, 1), (1, 20); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_relations_app; SELECT * FROM "Camel"; SELECT * FROM by_name; COMMIT;

-- A policy of ours that was changed behind the guard's back is repaired.
BEGIN; SELECT FROM tenantguard.begin_bypass('an accident'); ALTER POLICY tenantguard_tenant ON composite USING (true); ALTER TABLE composite NO FORCE ROW LEVEL SECURITY; SELECT * FROM tenantguard.protect('composite'); COMMIT;
SELECT * FROM tenantguard.protect('composite');

-- Names change, the guard stays.
ALTER TABLE certain RENAME TO renamed;
ALTER TABLE renamed RENAME COLUMN org_id TO tenant;
ALTER TABLE renamed SET SCHEMA public;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM public.renamed; INSERT INTO public.renamed (id) VALUES (5) RETURNING *; ROLLBACK;
SELECT relation, tenant_column FROM tenantguard.relations WHERE relation = 'public.renamed'::regclass;
ALTER TABLE public.renamed SET SCHEMA rels;
ALTER TABLE renamed RENAME COLUMN tenant TO org_id;
-- Dropped and made again, it is another table: not guarded until protect().
DROP TABLE by_name;
CREATE TABLE by_name (org_id bigint NOT NULL, id int);
INSERT INTO by_name VALUES (1, 1), (2, 2);
SELECT * FROM by_name;
SELECT count(*) FROM tenantguard.guarded_relation AS g LEFT JOIN pg_class AS c ON c.oid = g.relid WHERE c.oid IS NULL;
-- Protected in a transaction that is rolled back, it was never guarded; in a savepoint the same.
BEGIN; SELECT count(*) > 0 FROM tenantguard.protect('by_name', 'org_id'); SAVEPOINT s; SELECT * FROM by_name; ROLLBACK TO s; ROLLBACK;
SELECT * FROM by_name;
BEGIN; SAVEPOINT s; SELECT count(*) > 0 FROM tenantguard.protect('by_name', 'org_id'); ROLLBACK TO s; SELECT * FROM by_name; COMMIT;
BEGIN; DROP TABLE renamed CASCADE; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM renamed; COMMIT;
-- The registry goes under a bypass, with all that refers to it.
BEGIN; SELECT FROM tenantguard.begin_bypass('start again'); SET LOCAL client_min_messages = error; DROP TABLE orgs CASCADE; SELECT count(*) FROM tenantguard.registry; ROLLBACK;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA rels CASCADE;
DROP ROLE regress_relations_owner, regress_relations_app;
