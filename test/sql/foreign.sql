-- foreign.sql: foreign tables and foreign partitions with a tenant column,
-- over tables of the same database that nobody guards.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SCHEMA far;
CREATE SCHEMA near;
SET search_path = near, public;
CREATE TABLE far.notes (org_id bigint, id int, body text);
INSERT INTO far.notes SELECT o, i, 'note ' || o FROM generate_series(1, 3) AS o, generate_series(1, 3) AS i;
CREATE TABLE far.logs_old (org_id bigint NOT NULL, id int NOT NULL, body text);
INSERT INTO far.logs_old SELECT * FROM far.notes;
DO $$ BEGIN
	EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
CREATE FOREIGN TABLE notes (org_id bigint DEFAULT 0, id int, body text) SERVER far OPTIONS (schema_name 'far', table_name 'notes');
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2), (3);
CREATE TABLE logs (org_id bigint NOT NULL, id int NOT NULL, body text) PARTITION BY RANGE (id);
CREATE TABLE logs_new PARTITION OF logs FOR VALUES FROM (100) TO (200);
CREATE FOREIGN TABLE logs_old PARTITION OF logs FOR VALUES FROM (0) TO (100) SERVER far OPTIONS (schema_name 'far', table_name 'logs_old');
INSERT INTO logs SELECT o, 100, 'new' FROM generate_series(1, 3) AS o;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, mode, tenant_column, confidence FROM tenantguard.propose('near') ORDER BY relation::text;
SELECT * FROM tenantguard.protect('notes', 'org_id');
SELECT * FROM tenantguard.protect('logs', 'org_id');
SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text;

-- Reading: the filter is shipped.
SELECT * FROM notes;
SELECT * FROM logs_old;
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT * FROM notes ORDER BY id;
SELECT * FROM logs_old ORDER BY id;
SELECT tableoid::regclass, * FROM logs ORDER BY id;
SELECT n.id, l.body FROM notes AS n JOIN logs AS l USING (org_id, id) ORDER BY 1;
SELECT count(*) FROM notes WHERE org_id = 2;
SELECT count(*), min(org_id), max(org_id) FROM (SELECT * FROM notes UNION ALL SELECT * FROM logs_old) AS u;
COMMIT;
PREPARE p AS SELECT (SELECT string_agg(DISTINCT org_id::text, ',') FROM notes) AS notes, (SELECT string_agg(DISTINCT org_id::text, ',') FROM logs) AS logs;
PREPARE p1 AS SELECT org_id FROM notes;
PREPARE p2 AS SELECT org_id FROM logs;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE p; EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p1; EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p2; COMMIT;
RESET plan_cache_mode;
BEGIN; SET LOCAL app.current_org_id = '2';
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM notes WHERE body LIKE '%n%';
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM logs_old;
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM notes WHERE id = 1;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE notes SET body = 'x' WHERE id = 1;
COMMIT;
-- a leaky function does not see the others' rows
CREATE FUNCTION leak(bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
SET client_min_messages = notice;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT id FROM notes WHERE leak(org_id) ORDER BY id; SELECT id FROM logs WHERE leak(org_id) ORDER BY id; COMMIT;
SET client_min_messages = warning;

-- Writing: filled in and checked, through the parent and by name.
BEGIN; SET LOCAL app.current_org_id = '2';
INSERT INTO notes (id, body) VALUES (10, 'filled') RETURNING *;
INSERT INTO notes VALUES (2, 11, 'said'), (NULL, 12, 'null'), (DEFAULT, 13, 'default') RETURNING *;
INSERT INTO logs (id, body) VALUES (10, 'old'), (110, 'new') RETURNING tableoid::regclass, *;
INSERT INTO logs_old (id, body) VALUES (11, 'by name') RETURNING *;
UPDATE notes SET body = 'changed' WHERE id = 10 RETURNING *;
UPDATE logs SET body = 'changed' RETURNING tableoid::regclass, *;
DELETE FROM notes WHERE id < 3 RETURNING *;
UPDATE logs SET id = 12 WHERE id = 110 RETURNING tableoid::regclass, *;
COPY notes FROM stdin;
2	20	copied
\.
COPY notes (id, body) FROM stdin;
21	filled
\.
COPY logs (id, body) FROM stdin;
22	to the foreign partition
122	to the other
\.
SELECT * FROM notes WHERE id >= 20 ORDER BY id;
SELECT tableoid::regclass, * FROM logs WHERE id IN (22, 122) ORDER BY id;
COPY notes TO stdout;
ROLLBACK;
\set VERBOSITY terse
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO notes VALUES (1, 10, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO notes VALUES (2, 10, 'x'), (1, 11, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO notes SELECT 1, i, 'x' FROM generate_series(10, 20) AS i; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO logs VALUES (1, 10, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO logs VALUES (1, 110, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO logs_old VALUES (1, 10, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE notes SET org_id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE logs SET org_id = 1 WHERE id < 100; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE logs_old SET org_id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE notes SET org_id = org_id + 0, body = 'allowed' WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; WITH w AS (INSERT INTO notes VALUES (1, 10, 'x') RETURNING *) SELECT * FROM w; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; COPY notes FROM stdin;
2	20	mine
1	21	theirs
\.
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; COPY logs FROM stdin;
1	22	theirs
\.
ROLLBACK;
INSERT INTO notes VALUES (1, 10, 'x');
TRUNCATE notes;
-- a BEFORE trigger that changes the tenant of what is sent
CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.org_id := 3; RETURN NEW; END $$;
CREATE TRIGGER moves BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION moves();
CREATE TRIGGER moves BEFORE INSERT OR UPDATE ON logs_old FOR EACH ROW EXECUTE FUNCTION moves();
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO notes (id) VALUES (10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE notes SET body = 'x' WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO logs (id) VALUES (10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE logs SET body = 'x' WHERE id = 1; ROLLBACK;
DROP TRIGGER moves ON notes;
DROP TRIGGER moves ON logs_old;
SELECT org_id, count(*) FROM far.notes GROUP BY 1 ORDER BY 1;
SELECT org_id, count(*) FROM far.logs_old GROUP BY 1 ORDER BY 1;

-- Foreign tables that join later, and that leave.
CREATE FOREIGN TABLE logs_later PARTITION OF logs FOR VALUES FROM (200) TO (300) SERVER far OPTIONS (schema_name 'far', table_name 'logs_old');
CREATE FOREIGN TABLE logs_last (org_id bigint NOT NULL, id int NOT NULL, body text) SERVER far OPTIONS (schema_name 'far', table_name 'logs_old');
ALTER TABLE logs ATTACH PARTITION logs_last FOR VALUES FROM (300) TO (400);
SELECT g.relid, g.mode, g.tenant_column FROM tenantguard.guarded_relation AS g ORDER BY 1::text COLLATE "C";
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO logs VALUES (1, 250, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO logs VALUES (1, 350, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO logs_last VALUES (1, 350, 'x'); ROLLBACK;
ALTER TABLE logs DETACH PARTITION logs_last;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT count(*), max(org_id) FROM logs_last; INSERT INTO logs_last VALUES (1, 350, 'x'); ROLLBACK;
SELECT count(*) FROM logs_last;
\set VERBOSITY default
-- Nobody leads a tenant's session to what lies there unfiltered.
BEGIN; SET LOCAL app.current_org_id = '2'; CREATE FOREIGN TABLE other_notes (org_id bigint, body text) SERVER far OPTIONS (schema_name 'far', table_name 'notes'); ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '2'; IMPORT FOREIGN SCHEMA far FROM SERVER far INTO near; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; ALTER SERVER far OPTIONS (SET dbname 'other'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; ALTER FOREIGN DATA WRAPPER postgres_fdw NO HANDLER; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; CREATE USER MAPPING FOR PUBLIC SERVER far; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; ALTER USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (ADD user 'other'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; DROP USER MAPPING FOR CURRENT_USER SERVER far; ROLLBACK;
\set VERBOSITY default
CREATE FOREIGN TABLE other_notes (org_id bigint, body text) SERVER far OPTIONS (schema_name 'far', table_name 'notes');
BEGIN; SELECT FROM tenantguard.begin_bypass('move'); SELECT * FROM tenantguard.unprotect('notes', 'moved'); COMMIT;
\d notes
SELECT count(*) FROM notes;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA near CASCADE;
DROP SCHEMA far CASCADE;
DROP SERVER far CASCADE;
DROP EXTENSION postgres_fdw;
