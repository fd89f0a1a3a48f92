-- derived_leaky.sql: functions that tell, shown rows of relations that have no
-- tenant column. Whose a row is, body says. All as superuser.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA leaky;
SET search_path = leaky, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE folders (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY);
CREATE TABLE drawers (id int PRIMARY KEY, folder int NOT NULL REFERENCES folders);
CREATE TABLE docs (org_id bigint NOT NULL, id int NOT NULL, body text, folder int NOT NULL REFERENCES folders, PRIMARY KEY (org_id, id));
-- of two links one or the other speaks
CREATE TABLE notes (org_id bigint NOT NULL, id int NOT NULL, body text, folder int REFERENCES folders, drawer int REFERENCES drawers, PRIMARY KEY (org_id, id));
CREATE INDEX ON docs (id);
CREATE INDEX ON docs (body);
CREATE INDEX ON docs (folder);
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO folders SELECT o, o * 10 + i FROM generate_series(1, 3) AS o, generate_series(0, 4) AS i;
INSERT INTO drawers SELECT id + 100, id FROM folders;
INSERT INTO docs SELECT o, i, 'org ' || o, o * 10 + i % 5 FROM generate_series(1, 3) AS o, generate_series(1, 50) AS i;
INSERT INTO notes SELECT o, i, 'org ' || o, CASE WHEN i % 2 = 0 THEN o * 10 + i % 5 END, CASE WHEN i % 2 = 1 THEN o * 10 + i % 5 + 100 END
	FROM generate_series(1, 3) AS o, generate_series(1, 50) AS i;
CREATE TABLE lines (id int, body text);
INSERT INTO lines SELECT i, 'org 1' FROM generate_series(1, 50) AS i;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, mode, action FROM tenantguard.protect_all('leaky') WHERE action = 'protected';
SET client_min_messages = error;
SELECT count(*) > 0 AS derived FROM tenantguard.derive('docs');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('notes');
SET client_min_messages = warning;
\getenv dir PG_ABS_SRCDIR
\set probes :dir '/sql/include/leaky_probes.sql'
\i :probes
-- They do tell where nothing is guarded; without this the rest would prove nothing.
SELECT tell('org 2');
\pset tuples_only off

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA leaky CASCADE;
