-- copy_to.sql: COPY TO writes a tenant's rows and no others, and takes the
-- same columns, in the same words, as for a table that is not guarded.
SET client_min_messages = error;
\set SHOW_CONTEXT errors
\set VERBOSITY terse
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_copy_reader;
CREATE SCHEMA copies;
SET search_path = copies, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (id int, gone int, org_id bigint NOT NULL REFERENCES orgs, body text,
	up text GENERATED ALWAYS AS (upper(body)) STORED);
ALTER TABLE docs DROP COLUMN gone;
CREATE TABLE plain (LIKE docs INCLUDING GENERATED);
CREATE TABLE parent (org_id bigint NOT NULL, id int);
CREATE TABLE child (more text) INHERITS (parent);
CREATE TABLE events (org_id bigint NOT NULL, id int) PARTITION BY LIST (org_id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE VIEW seen AS SELECT * FROM docs;
INSERT INTO orgs VALUES (1), (2);
INSERT INTO docs VALUES (1, 1, 'a, "b"'), (2, 2, 'theirs'), (3, 1, NULL);
INSERT INTO parent VALUES (1, 1), (2, 2);
INSERT INTO child VALUES (1, 3, 'c'), (2, 4, 'd');
INSERT INTO events VALUES (1, 1), (2, 2);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('parent', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('events', 'org_id');
GRANT USAGE ON SCHEMA copies TO regress_copy_reader;
GRANT SELECT (id, org_id) ON docs TO regress_copy_reader;

-- Formats and column lists, to a superuser.
BEGIN; SET LOCAL app.current_org_id = '1';
COPY docs TO stdout;
COPY docs (body, id) TO stdout WITH (FORMAT csv, HEADER, NULL 'nil', FORCE_QUOTE (body));
COPY docs TO stdout WITH (FORMAT csv, HEADER, FORCE_QUOTE *);
-- a table without its children
COPY parent TO stdout;
COPY child TO stdout;
COPY (SELECT id FROM parent ORDER BY id) TO stdout;
-- a partition by its own name
COPY events_1 TO stdout;
COPY events_rest TO stdout;
-- queries that write, and views
COPY (SELECT id, up FROM seen ORDER BY id) TO stdout;
COPY (UPDATE docs SET body = 'changed' RETURNING id, body) TO stdout;
COPY (INSERT INTO docs (id) VALUES (9) RETURNING org_id, id) TO stdout;
COPY (INSERT INTO events VALUES (1, 9) RETURNING tableoid::regclass, id) TO stdout;
COPY (DELETE FROM docs RETURNING org_id, id) TO stdout;
-- the superuser's row_security does not matter
SET LOCAL row_security = off;
COPY child TO stdout;
ROLLBACK;

-- What COPY takes no column for, here and where nothing is guarded.
BEGIN; SET LOCAL app.current_org_id = '1';
SAVEPOINT s;
COPY docs (missing) TO stdout;
ROLLBACK TO s; COPY plain (missing) TO stdout;
ROLLBACK TO s; COPY docs (up) TO stdout;
ROLLBACK TO s; COPY plain (up) TO stdout;
ROLLBACK TO s; COPY docs (id, id) TO stdout;
ROLLBACK TO s; COPY plain (id, id) TO stdout;
ROLLBACK TO s; COPY docs (ctid) TO stdout;
ROLLBACK TO s; COPY plain (ctid) TO stdout;
ROLLBACK TO s; COPY docs (docs) TO stdout;
ROLLBACK TO s; COPY plain (plain) TO stdout;
ROLLBACK TO s; COPY events TO stdout;
ROLLBACK TO s; COPY seen TO stdout;
ROLLBACK;

-- Privileges, and row_security = off of a role under policies.
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_copy_reader;
COPY docs (id, org_id) TO stdout;
SAVEPOINT s;
COPY docs TO stdout;
\set VERBOSITY sqlstate
ROLLBACK TO s; COPY docs (id) TO PROGRAM 'cat';
ROLLBACK TO s; COPY docs (id) TO '/nowhere/docs';
\set VERBOSITY terse
ROLLBACK TO s; SET LOCAL row_security = off; COPY docs (id) TO stdout;
ROLLBACK;

-- No tenant, one that there is not, and none that is silent.
COPY docs TO stdout;
COPY child (more) TO stdout;
BEGIN; SET LOCAL app.current_org_id = '9'; COPY docs TO stdout;
ROLLBACK;
SET tenantguard.missing_context = empty;
COPY docs TO stdout;
RESET tenantguard.missing_context;

-- All rows under a bypass, and one tenant's inside it.
BEGIN; SELECT FROM tenantguard.begin_bypass('unload');
COPY docs (id, org_id) TO stdout;
SELECT FROM tenantguard.enter('2');
COPY docs (id, org_id) TO stdout;
ROLLBACK;

BEGIN; SELECT FROM tenantguard.begin_bypass('clean up');
DROP SCHEMA copies CASCADE;
COMMIT;
DROP ROLE regress_copy_reader;
