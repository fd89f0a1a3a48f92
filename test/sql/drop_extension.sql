-- drop_extension.sql: dropping the extension loses no row, says what is no
-- longer guarded, and opens nothing to roles that row security binds.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_drop_owner;
CREATE ROLE regress_drop_app;
CREATE SCHEMA dropping AUTHORIZATION regress_drop_owner;
SET search_path = dropping, public;
SET ROLE regress_drop_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL DEFAULT 7 REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE policied (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE countries (code text);
INSERT INTO orgs VALUES (1), (2);
INSERT INTO docs SELECT o, i FROM generate_series(1, 2) AS o, generate_series(1, 3) AS i;
INSERT INTO policied SELECT org_id, id FROM docs;
GRANT USAGE ON SCHEMA dropping TO regress_drop_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dropping TO regress_drop_app;
ALTER TABLE policied ENABLE ROW LEVEL SECURITY;
CREATE POLICY first_only ON policied USING (id = 1);
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('dropping');
SELECT FROM tenantguard.share('countries');
PREPARE p AS SELECT org_id, count(*) FROM docs GROUP BY org_id ORDER BY org_id;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; COMMIT;

-- Not by accident: policies depend on it. Not by the owner of the tables.
SET ROLE regress_drop_owner;
DROP EXTENSION tenantguard CASCADE;
RESET ROLE;
\set VERBOSITY terse
DROP EXTENSION tenantguard;
\set VERBOSITY default
-- Undone by a rollback, the guard is what it was.
SET client_min_messages = error;
BEGIN; DROP EXTENSION tenantguard CASCADE; SELECT count(*) FROM docs; ROLLBACK;
SET client_min_messages = warning;
SELECT count(*) FROM docs;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; COMMIT;

DROP EXTENSION tenantguard CASCADE;
-- Every row is there; who is not bound by row security sees them all.
EXECUTE p;
SELECT count(*) FROM docs;
-- Row security is still enabled and forced: without a permissive policy
-- ordinary roles see nothing; the user's own policies decide where they exist.
SELECT relname, relrowsecurity, relforcerowsecurity, (SELECT string_agg(polname, ', ' ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid) AS policies
FROM pg_class AS c WHERE relnamespace = 'dropping'::regnamespace AND relkind = 'r' ORDER BY relname;
SET ROLE regress_drop_app;
SELECT count(*) FROM docs;
SELECT count(*) FROM orgs;
SELECT * FROM policied ORDER BY 1, 2;
INSERT INTO docs VALUES (1, 9);
SET ROLE regress_drop_owner;
SELECT count(*) FROM docs;
RESET ROLE;
-- The default that was the extension's is gone, and so are the triggers.
SELECT column_default FROM information_schema.columns WHERE table_schema = 'dropping' AND table_name = 'docs' AND column_name = 'org_id';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orgs'::regclass AND NOT tgisinternal;
-- The setting is still there, and means nothing to anybody.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM docs; COMMIT;
-- Installed and told again, all is guarded as before.
CREATE EXTENSION tenantguard;
SELECT count(*) FROM docs;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('dropping');
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE p; SET LOCAL ROLE regress_drop_app; EXECUTE p; SELECT * FROM policied; COMMIT;
\set VERBOSITY sqlstate
EXECUTE p;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA dropping CASCADE;
DROP ROLE regress_drop_owner, regress_drop_app;
