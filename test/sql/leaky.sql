-- leaky.sql: functions that tell. Each is so cheap that the planner would run
-- it first, and notes every tenant whose row it is shown. All as superuser.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA leaky;
SET search_path = leaky, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id));
CREATE TABLE notes (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id));
CREATE INDEX ON docs (id);
CREATE INDEX ON docs (body);
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO docs SELECT o, i, 'org ' || o FROM generate_series(1, 3) AS o, generate_series(1, 50) AS i;
INSERT INTO notes SELECT o, i, 'org ' || o FROM generate_series(1, 3) AS o, generate_series(1, 50) AS i;
CREATE TABLE lines (id int, body text);
-- an unguarded parent whose child is guarded
CREATE TABLE parent (org_id bigint NOT NULL, id int NOT NULL, body text);
CREATE TABLE child (LIKE parent INCLUDING ALL);
INSERT INTO parent VALUES (1, 99, 'org 1');
INSERT INTO lines SELECT i, 'org 1' FROM generate_series(1, 50) AS i;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('leaky') WHERE action = 'protected';

\getenv dir PG_ABS_SRCDIR
\set probes :dir '/sql/include/leaky_probes.sql'
\i :probes
-- They do tell where nothing is guarded; without this the rest would prove nothing.
SELECT tell('org 2');
-- the row that a conflict meets is shown to the WHERE of its update
CREATE TABLE keyed (org_id bigint NOT NULL REFERENCES orgs, id int UNIQUE, body text);
INSERT INTO keyed VALUES (1, 1, 'org 1'), (2, 2, 'org 2');
SELECT count(*) > 0 FROM tenantguard.protect('keyed');
\set VERBOSITY sqlstate
SELECT probe('WITH i AS (INSERT INTO keyed (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 1 WHERE tell(keyed.body) RETURNING 1) SELECT count(*) FROM i');
SELECT probe('WITH i AS (INSERT INTO keyed (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET id = 2 WHERE tell(keyed.body) RETURNING 1) SELECT count(*) FROM i');
SELECT probe('WITH i AS (INSERT INTO keyed (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET body = tell_text(keyed.body) RETURNING 1) SELECT count(*) FROM i');
\set VERBOSITY default

-- An unguarded parent of a guarded child: only a bypass makes one.
SELECT count(*) > 0 FROM tenantguard.protect('child', 'org_id');
BEGIN;
SELECT FROM tenantguard.begin_bypass('make a child');
ALTER TABLE child INHERIT parent;
INSERT INTO child SELECT o, i, 'org ' || o FROM generate_series(1, 3) AS o, generate_series(1, 50) AS i;
COMMIT;
CREATE INDEX ON child (id);
CREATE INDEX ON parent (id);
ANALYZE parent;
SELECT probe('SELECT count(*) FROM parent');
SELECT probe('SELECT count(*) FROM parent WHERE tell(body)');
SELECT probe('SELECT count(*) FROM parent WHERE tell_leakproof(body)');
SELECT probe('SELECT count(*) FROM parent WHERE tell_id(org_id) = 1');
SELECT probe('SELECT count(*) FROM parent AS p JOIN lines AS l USING (id) WHERE tell(p.body || substr(l.body, 99))');
SELECT probe('SELECT count(*) FROM parent AS p JOIN lines AS l ON tell_text(p.body) = l.body AND p.id = l.id');
SELECT probe('SELECT count(*) FROM lines AS l, LATERAL (SELECT * FROM parent AS p WHERE p.id = l.id AND tell(p.body || substr(l.body, 99))) AS s');
SELECT probe('SELECT count(*) FROM lines AS l LEFT JOIN parent AS p ON p.id = l.id AND tell(p.body)');
SELECT probe('SELECT count(*) FROM (SELECT id, body FROM parent UNION ALL SELECT id, body FROM docs) AS u WHERE tell(body)');
SELECT probe('WITH d AS (DELETE FROM parent WHERE tell(body) AND id = 0 RETURNING 1) SELECT count(*) FROM d');
\pset tuples_only off

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA leaky CASCADE;
