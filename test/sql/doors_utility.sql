-- doors_utility.sql: statements that are not planned: COPY, TRUNCATE, new
-- relations, cursors that are held, and DDL that would open the guard.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_doors_owner;
CREATE ROLE regress_doors_app;
CREATE SCHEMA doors AUTHORIZATION regress_doors_owner;
SET search_path = doors, public;
SET ROLE regress_doors_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY, name text);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (org_id, id));
CREATE TABLE lines (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, doc int NOT NULL, PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, doc) REFERENCES docs);
CREATE TABLE free (id int PRIMARY KEY);
INSERT INTO orgs SELECT o, 'org ' || o FROM generate_series(1, 3) AS o;
INSERT INTO docs SELECT o, i, format('doc %s of %s', i, o) FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
INSERT INTO lines SELECT org_id, id, id FROM docs;
CREATE FUNCTION rows() RETURNS SETOF docs LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT * FROM doors.docs; END $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('doors') WHERE action <> 'listed';
GRANT USAGE, CREATE ON SCHEMA doors TO regress_doors_app;
GRANT ALL ON ALL TABLES IN SCHEMA doors TO regress_doors_app;
SET search_path = doors, public;

-- COPY TO: own rows, whatever the form and the role.
BEGIN; SET LOCAL app.current_org_id = '1';
COPY docs TO stdout;
COPY docs (id, org_id) TO stdout WITH (FORMAT csv, HEADER);
COPY (SELECT body FROM docs ORDER BY id) TO stdout;
COPY (DELETE FROM lines RETURNING org_id, id) TO stdout;
COPY orgs TO stdout;
SET LOCAL ROLE regress_doors_app;
COPY docs TO stdout;
ROLLBACK;
COPY docs TO stdout;
\set VERBOSITY sqlstate
COPY (SELECT * FROM docs) TO stdout;
COPY docs TO PROGRAM 'cat > /dev/null';
\set VERBOSITY default
-- COPY FROM (more in copy_from.sql): own rows only, and none without a tenant.
BEGIN; SET LOCAL app.current_org_id = '1'; COPY docs FROM stdin;
1	10	own
2	10	foreign
\.
ROLLBACK;
\set VERBOSITY sqlstate
COPY docs (id, body) FROM stdin;
\.
COPY docs FROM PROGRAM 'true';
BEGIN; SET LOCAL app.current_org_id = '1'; COPY orgs FROM stdin;
\.
ROLLBACK;
\set VERBOSITY default
BEGIN; SELECT FROM tenantguard.begin_bypass('load'); COPY docs (org_id, id, body) FROM stdin;
3	10	loaded
\.
COPY docs TO stdout;
ROLLBACK;
-- What is not guarded is copied as ever.
COPY free FROM stdin;
1
\.
COPY free TO stdout;

-- TRUNCATE, also by way of a key and of several tables at once.
TRUNCATE docs, lines;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; TRUNCATE lines; ROLLBACK;
TRUNCATE orgs CASCADE;
TRUNCATE free, lines;
SET ROLE regress_doors_owner;
TRUNCATE lines;
RESET ROLE;
\set VERBOSITY default
BEGIN; SELECT FROM tenantguard.begin_bypass('empty'); TRUNCATE docs, lines; SELECT count(*) FROM docs; ROLLBACK;

-- New relations that would keep rows beyond the transaction.
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE copied AS SELECT * FROM docs; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * INTO copied FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TEMP TABLE copied AS SELECT * FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * INTO TEMP copied FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TEMP TABLE copied ON COMMIT DELETE ROWS AS SELECT * FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE UNLOGGED TABLE copied AS SELECT d.* FROM docs AS d, free; ROLLBACK;
PREPARE p AS SELECT * FROM docs;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE copied AS EXECUTE p; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TEMP TABLE copied AS EXECUTE p; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE copied AS SELECT * FROM rows(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; EXPLAIN (ANALYZE) CREATE TABLE copied AS SELECT * FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; EXPLAIN (ANALYZE) CREATE TABLE copied AS EXECUTE p; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE MATERIALIZED VIEW copied AS SELECT * FROM rows(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE MATERIALIZED VIEW copied AS SELECT * FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DO $$ BEGIN CREATE TABLE copied AS SELECT * FROM docs; END $$; ROLLBACK;
CREATE TABLE copied AS SELECT * FROM docs;
CREATE MATERIALIZED VIEW copied AS SELECT * FROM docs;
CREATE MATERIALIZED VIEW copied AS SELECT * FROM docs WITH NO DATA;
REFRESH MATERIALIZED VIEW copied;
DROP MATERIALIZED VIEW copied;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM docs; SELECT org_id, id FROM copied; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; CREATE TEMP TABLE copied ON COMMIT DROP AS EXECUTE p; SELECT org_id, id FROM copied; COMMIT;
SELECT to_regclass('copied') IS NULL AS gone;
BEGIN; SELECT FROM tenantguard.begin_bypass('all'); CREATE MATERIALIZED VIEW all_docs AS SELECT * FROM docs; REFRESH MATERIALIZED VIEW all_docs; SELECT count(*) FROM all_docs; DROP MATERIALIZED VIEW all_docs; COMMIT;
CREATE TABLE copied_free AS SELECT * FROM free;

-- Cursors that are held would be read by whoever comes next.
BEGIN; SET LOCAL app.current_org_id = '1'; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM docs; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM rows(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DECLARE c CURSOR WITH HOLD FOR SELECT (SELECT count(*) FROM rows()); FETCH ALL FROM c; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DO $$ BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM doors.docs'; END $$; COMMIT;
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM docs;
FETCH ALL FROM c;
\set VERBOSITY default
BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM free; COMMIT;
FETCH ALL FROM c;
CLOSE c;

-- DDL that would open the guard: not for the owner, nor for a superuser.
SET ROLE regress_doors_owner;
ALTER TABLE docs DISABLE ROW LEVEL SECURITY;
ALTER TABLE docs NO FORCE ROW LEVEL SECURITY;
ALTER TABLE docs DROP COLUMN org_id CASCADE;
DROP POLICY tenantguard_tenant ON docs;
\set VERBOSITY sqlstate
ALTER TABLE docs ALTER COLUMN org_id TYPE text;
ALTER TABLE docs ADD COLUMN x int, NO FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS tenantguard_partner ON docs;
ALTER POLICY tenantguard_tenant ON docs USING (true);
ALTER POLICY tenantguard_tenant ON docs TO regress_doors_app;
ALTER POLICY tenantguard_tenant ON docs RENAME TO other;
DO $$ BEGIN EXECUTE 'ALTER TABLE doors.docs DISABLE ROW LEVEL SECURITY'; END $$;
ALTER TABLE orgs DISABLE TRIGGER tenantguard_registry;
ALTER TABLE orgs DISABLE TRIGGER ALL;
ALTER TABLE orgs ENABLE TRIGGER tenantguard_registry_update;
DROP TRIGGER tenantguard_registry ON orgs;
ALTER TRIGGER tenantguard_registry ON orgs RENAME TO other;
ALTER TABLE orgs RENAME COLUMN id TO key;
DROP TABLE orgs CASCADE;
DROP SCHEMA doors CASCADE;
SELECT tenantguard.record_relation('docs', 'exempt', NULL, 'no', NULL);
SELECT tenantguard.forget_relation('docs');
SELECT tenantguard.exempt('docs', 'no');
SELECT tenantguard.unprotect('docs', 'no');
UPDATE tenantguard.guarded_relation SET mode = 'exempt';
DELETE FROM tenantguard.registry;
RESET ROLE;
ALTER TABLE docs DISABLE ROW LEVEL SECURITY;
ALTER TABLE docs NO FORCE ROW LEVEL SECURITY;
DROP POLICY tenantguard_tenant ON docs;
DROP OWNED BY regress_doors_owner CASCADE;
SET ROLE regress_doors_app;
SELECT tenantguard.protect('docs');
SELECT tenantguard.record_relation('docs', 'exempt', NULL, 'no', NULL);
RESET ROLE;
DROP FUNCTION tenantguard.visible(bigint) CASCADE;
\set VERBOSITY default
-- What a migration does every day is no matter.
SET ROLE regress_doors_owner;
ALTER TABLE docs ADD COLUMN extra text DEFAULT 'x', ADD CHECK (id > 0);
ALTER TABLE docs ALTER COLUMN body TYPE varchar(100), ALTER COLUMN extra DROP DEFAULT;
CREATE INDEX docs_body ON docs (body);
CREATE TRIGGER touch BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE docs DISABLE TRIGGER touch;
DROP TRIGGER touch ON docs;
CREATE POLICY own_policy ON docs AS RESTRICTIVE USING (id > 0);
ALTER POLICY own_policy ON docs USING (id > -1);
DROP POLICY own_policy ON docs;
REINDEX TABLE docs;
CLUSTER docs USING docs_pkey;
ANALYZE docs;
VACUUM docs;
ALTER TABLE docs DROP COLUMN extra;
RESET ROLE;
SELECT reltuples FROM pg_class WHERE oid = 'docs'::regclass;

-- While a tenant is set, no DDL on what is guarded: it runs over all rows.
BEGIN; SET LOCAL app.current_org_id = '1'; ALTER TABLE docs ADD COLUMN x int; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE INDEX ON docs ((body || 'x')); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TRIGGER touch BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION touch(); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE POLICY other ON docs USING (true); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE RULE other AS ON DELETE TO docs DO ALSO NOTHING; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; ALTER TABLE docs RENAME TO other; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; ALTER TABLE docs SET SCHEMA public; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; REINDEX TABLE docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CLUSTER docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DROP TABLE lines; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DROP SCHEMA doors CASCADE; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT tenantguard.protect('free', 'id'); ROLLBACK;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TEMP TABLE mine (id int); ALTER TABLE mine ADD x int; ROLLBACK;

-- Under a bypass all of it is possible, and is undone with the transaction.
BEGIN;
SELECT FROM tenantguard.begin_bypass('rebuild');
ALTER TABLE docs DISABLE ROW LEVEL SECURITY;
DROP POLICY tenantguard_tenant ON docs;
ALTER TABLE lines DROP COLUMN org_id CASCADE;
ROLLBACK;
-- Nothing was lost, and everybody is held as before.
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT (SELECT string_agg(DISTINCT org_id::text, ',') FROM docs) AS docs, (SELECT string_agg(DISTINCT org_id::text, ',') FROM lines) AS lines; COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('count'); SELECT (SELECT count(*) FROM docs) AS docs, (SELECT count(*) FROM lines) AS lines; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA doors CASCADE;
DROP ROLE regress_doors_owner, regress_doors_app;
