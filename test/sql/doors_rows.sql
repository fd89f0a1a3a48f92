-- doors_rows.sql: doors that lead to rows and are confined to the tenant: row
-- locks, DO and CALL, functions that run a text, row_security, COPY of files,
-- and prepared transactions.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_rows_app;
CREATE SCHEMA rows;
SET search_path = rows, public;
CREATE TABLE orgs (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active');
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int, body text, PRIMARY KEY (org_id, id));
CREATE TABLE lines (org_id bigint NOT NULL, id int, doc int, PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, doc) REFERENCES docs);
CREATE TABLE free (id int);
CREATE VIEW shown AS SELECT * FROM docs;
INSERT INTO orgs VALUES (1), (2);
INSERT INTO docs SELECT o, 10 * o + i, 'secret of ' || o FROM generate_series(1, 2) AS o, generate_series(1, 2) AS i;
INSERT INTO lines SELECT org_id, id, id FROM docs;
INSERT INTO free VALUES (11), (21);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id', 'status');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('lines', 'org_id');
GRANT USAGE ON SCHEMA rows TO regress_rows_app;
GRANT ALL ON ALL TABLES IN SCHEMA rows TO regress_rows_app;

-- Row locks: what is locked is what is seen.
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT id FROM docs ORDER BY id FOR UPDATE;
SELECT id FROM docs WHERE org_id = 2 FOR UPDATE;
SELECT id FROM docs ORDER BY id FOR NO KEY UPDATE SKIP LOCKED;
SELECT id FROM docs ORDER BY id FOR SHARE NOWAIT;
SELECT id FROM docs ORDER BY id FOR KEY SHARE;
SELECT id FROM shown ORDER BY id FOR UPDATE SKIP LOCKED;
SELECT d.id, l.id AS line FROM docs AS d JOIN lines AS l ON l.doc = d.id ORDER BY 1 FOR UPDATE OF d;
SELECT d.id, f.id AS free FROM free AS f LEFT JOIN docs AS d USING (id) ORDER BY 2 FOR UPDATE OF f;
SELECT s.id FROM (SELECT * FROM docs FOR UPDATE) AS s ORDER BY 1;
WITH taken AS (SELECT org_id, id FROM docs ORDER BY id DESC LIMIT 1 FOR UPDATE SKIP LOCKED) UPDATE docs SET body = 'taken' FROM taken WHERE docs.id = taken.id RETURNING docs.org_id, docs.id;
SET LOCAL ROLE regress_rows_app;
SELECT id FROM docs ORDER BY id FOR UPDATE;
COMMIT;
\set VERBOSITY sqlstate
SELECT id FROM docs FOR UPDATE SKIP LOCKED;
\set VERBOSITY default

-- DO and CALL, with transactions of their own: SET LOCAL ends with each.
CREATE PROCEDURE visits() LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	PERFORM set_config('app.current_org_id', '1', true);
	SELECT sum(id) INTO n FROM rows.docs;
	RAISE WARNING 'tenant 1: %', n;
	COMMIT;
	PERFORM set_config('app.current_org_id', '2', true);
	SELECT sum(id) INTO n FROM rows.docs;
	RAISE WARNING 'tenant 2: %', n;
	COMMIT;
	SELECT sum(id) INTO n FROM rows.docs;
END $$;
CALL visits();
CREATE PROCEDURE empties() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM rows.lines; END $$;
BEGIN; SET LOCAL app.current_org_id = '1'; CALL empties(); DO $$ BEGIN UPDATE rows.docs SET body = 'done'; END $$; COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('what is left'); SELECT org_id, count(*) FROM lines GROUP BY 1; SELECT org_id, body FROM docs ORDER BY 1, id; ROLLBACK;
\set VERBOSITY sqlstate
CALL empties();
DO $$ BEGIN DELETE FROM rows.docs; END $$;
\set VERBOSITY default

-- Functions of the server that run a text, or read a relation by name.
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT query_to_xml('SELECT id FROM docs ORDER BY id', false, true, '') IS NOT NULL AS ran;
SELECT x::text ~ 'secret of 2' AS leaks FROM (VALUES (table_to_xml('docs', true, true, '')), (schema_to_xml('rows', true, true, '')),
	(database_to_xml(true, true, '')), (query_to_xml('TABLE shown', true, true, ''))) AS v (x);
SELECT word, ndoc FROM ts_stat('SELECT to_tsvector(''simple'', body) FROM docs') ORDER BY 1;
SELECT count(*) FROM ts_stat('SELECT to_tsvector(''simple'', id::text) FROM docs');
DECLARE c CURSOR FOR SELECT id FROM docs ORDER BY id;
SELECT cursor_to_xml('c', 10, true, true, '')::text ~ '<id>2' AS leaks;
ROLLBACK;
\set VERBOSITY sqlstate
SELECT query_to_xml('SELECT id FROM docs', true, true, '');
SELECT * FROM ts_stat('SELECT to_tsvector(''simple'', body) FROM docs');

-- row_security = off asks the policies' roles to fail, and opens nothing.
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL row_security = off; SELECT id FROM docs ORDER BY id; SAVEPOINT s;
SET LOCAL ROLE regress_rows_app; SELECT id FROM docs ORDER BY id; ROLLBACK;
SET row_security = off;
\set VERBOSITY sqlstate
SELECT id FROM docs;
\set VERBOSITY default
RESET row_security;

-- Two-phase commit: what was checked is checked, and nothing stays behind.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO docs VALUES (1, 13, 'prepared'); PREPARE TRANSACTION 'regress_tenant';
SELECT tenantguard.current_tenant() IS NULL AS none;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT count(*) FROM docs; COMMIT;
COMMIT PREPARED 'regress_tenant';
BEGIN; SELECT FROM tenantguard.begin_bypass('prepared'); UPDATE orgs SET status = 'suspended' WHERE id = 2; PREPARE TRANSACTION 'regress_bypass';
SELECT tenantguard.current_bypass() IS NULL AS ended;
\set VERBOSITY sqlstate
SELECT count(*) FROM docs;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT count(*) FROM docs; COMMIT;
COMMIT PREPARED 'regress_bypass';
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT count(*) FROM docs; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT id FROM docs ORDER BY id; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA rows CASCADE;
DROP ROLE regress_rows_app;
