-- neighbours_links.sql: foreign keys between tables whose rows are tied to a
-- tenant by links: the rows of no other tenant are referred to or changed.
SET client_min_messages = error;
\set SHOW_CONTEXT never
\set VERBOSITY terse
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA next;
SET search_path = next, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE tickets (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs);
CREATE TABLE files (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs);
CREATE TABLE people (id bigint PRIMARY KEY);
CREATE TABLE notes (id bigint PRIMARY KEY, ticket bigint REFERENCES tickets ON DELETE CASCADE, file bigint REFERENCES files ON DELETE SET NULL, who bigint REFERENCES people ON DELETE CASCADE);
CREATE TABLE marks (id bigint PRIMARY KEY, note bigint NOT NULL REFERENCES notes ON DELETE CASCADE, ticket bigint REFERENCES tickets ON DELETE CASCADE);
CREATE TABLE later (id bigint PRIMARY KEY, note bigint NOT NULL REFERENCES notes DEFERRABLE INITIALLY DEFERRED);
INSERT INTO orgs VALUES (1), (2);
INSERT INTO people VALUES (1), (2);
INSERT INTO tickets VALUES (11, 1), (12, 1), (21, 2), (22, 2);
INSERT INTO files VALUES (11, 1), (12, 1), (21, 2), (22, 2);
INSERT INTO notes VALUES (11, 11, NULL, 1), (12, NULL, 12, 2), (21, 21, NULL, 1), (22, NULL, 22, 1);
INSERT INTO marks VALUES (11, 11, 11), (12, 12, NULL), (21, 21, 21);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('tickets') AS a, tenantguard.protect('files') AS b;
SELECT FROM tenantguard.exempt('people', 'they work for several');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('notes');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('marks') AS a, tenantguard.derive('later') AS b;

-- A look-up asks whether the tenant sees the row, through whichever link.
PREPARE mark AS INSERT INTO marks (id, note) VALUES ($1, $2);
BEGIN; SET LOCAL app.current_org_id = '1';
EXECUTE mark(101, 11);
DO $$ BEGIN FOR i IN 102..110 LOOP INSERT INTO next.marks (id, note) VALUES (i, 12); END LOOP; END $$;
SAVEPOINT s;
EXECUTE mark(111, 21);
ROLLBACK TO s;
EXECUTE mark(111, 22);
ROLLBACK TO s;
EXECUTE mark(111, 99);
ROLLBACK TO s;
INSERT INTO notes (id, ticket) VALUES (30, 21);
ROLLBACK TO s;
INSERT INTO notes (id, ticket, file) VALUES (30, 11, 21);
ROLLBACK TO s;
UPDATE marks SET note = 22 WHERE id = 101;
ROLLBACK TO s;
COPY marks (id, note) FROM stdin;
111	12
\.
COPY marks (id, note) FROM stdin;
112	22
\.
ROLLBACK TO s;
INSERT INTO notes (id, ticket, file) VALUES (30, 11, 11);
INSERT INTO marks (id, note, ticket) VALUES (130, 30, 12);
INSERT INTO later VALUES (1, 30), (2, 12);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(*) FROM marks;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later VALUES (3, 21); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later VALUES (3, 21); RESET app.current_org_id; COMMIT;
-- Under a bypass all may be referred to, orphans too.
BEGIN; SELECT FROM tenantguard.begin_bypass('rows of others'); EXECUTE mark(200, 22); INSERT INTO notes (id) VALUES (300); EXECUTE mark(300, 300);
SELECT FROM tenantguard.enter(2); EXECUTE mark(201, 21); EXECUTE mark(202, 11);
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE mark(202, 300); ROLLBACK;

-- A cascade goes down two ways, and finds parents that have gone before.
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM tickets WHERE id = 11; SELECT id FROM notes; SELECT id FROM marks; ROLLBACK;
-- SET NULL leaves no row without a parent.
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM files WHERE id = 12; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE notes SET ticket = 12 WHERE file = 12; DELETE FROM files WHERE id = 12; SELECT id, ticket, file FROM notes; ROLLBACK;
-- From a table that is not guarded it reaches the tenant's own rows only.
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM people WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; DELETE FROM people WHERE id = 1; ROLLBACK;
DELETE FROM people WHERE id = 1;
BEGIN; SELECT FROM tenantguard.begin_bypass('all of them'); DELETE FROM people WHERE id = 1; SELECT id FROM notes; SELECT id FROM marks; ROLLBACK;

-- One column that leads to two tables, as another one says: the same number is
-- a ticket of tenant 2 and a file of tenant 1.
CREATE TABLE pins (id bigint PRIMARY KEY, type text, ref bigint, who bigint REFERENCES people ON DELETE CASCADE);
INSERT INTO people VALUES (3);
SELECT FROM tenantguard.add_link('pins', '{ref}', 'tickets', '{id}', 'type', 'ticket');
SELECT FROM tenantguard.add_link('pins', '{ref}', 'files', '{id}', 'type', 'file');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('pins');
BEGIN; SELECT FROM tenantguard.begin_bypass('rows'); INSERT INTO tickets VALUES (25, 2); INSERT INTO files VALUES (25, 1); INSERT INTO pins VALUES (1, 'file', 25, 3); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT id FROM pins; DELETE FROM people WHERE id = 3; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT id FROM pins; DELETE FROM people WHERE id = 3; SELECT id FROM pins; ROLLBACK;

-- Where links are broken a bypass goes on, a tenant does not.
BEGIN; SELECT FROM tenantguard.begin_bypass('repair'); SELECT count(*) > 0 AS unprotected FROM tenantguard.unprotect('files', 'no longer'); EXECUTE mark(400, 11); DELETE FROM people WHERE id = 3; SELECT tenantguard.end_bypass();
SET LOCAL app.current_org_id = '1'; EXECUTE mark(401, 11); ROLLBACK;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA next CASCADE;
