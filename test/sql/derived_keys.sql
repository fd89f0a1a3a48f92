-- derived_keys.sql: whose a row is when the server's keys do not settle it:
-- unique indexes of another collation, children without the foreign key,
-- links over generated columns, casts of a type column.
SET client_min_messages = error;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_keys_owner;
CREATE ROLE regress_keys_app;
CREATE SCHEMA derived_keys AUTHORIZATION regress_keys_owner;
GRANT USAGE ON SCHEMA derived_keys TO regress_keys_app;
SET search_path = derived_keys, public;
SET ROLE regress_keys_owner;
CREATE COLLATION anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2);
CREATE TABLE tickets (org_id bigint NOT NULL REFERENCES orgs, id bigint PRIMARY KEY);
CREATE INDEX ON tickets (org_id);
INSERT INTO tickets VALUES (1, 10), (2, 20);
-- unique as bytes, while the column takes "a" and "A" for one
CREATE TABLE books (org_id bigint NOT NULL REFERENCES orgs, code text COLLATE anycase);
CREATE UNIQUE INDEX books_code ON books (code COLLATE "C");
INSERT INTO books VALUES (1, 'a'), (2, 'A');
CREATE TABLE pages (id int PRIMARY KEY, book text NOT NULL COLLATE anycase REFERENCES books (code));
CREATE TABLE notes (id int PRIMARY KEY, book text NOT NULL COLLATE "C");
INSERT INTO pages VALUES (1, 'a');
INSERT INTO notes VALUES (1, 'a');
-- the foreign key is the parent's alone
CREATE TABLE lines (id int PRIMARY KEY, ticket bigint NOT NULL REFERENCES tickets, what text);
CREATE INDEX ON lines (ticket);
CREATE TABLE lines_more () INHERITS (lines);
INSERT INTO lines VALUES (1, 10, 'first'), (2, 20, 'second');
INSERT INTO lines_more VALUES (3, 10, 'third'), (4, 20, 'fourth');
-- the link is computed
CREATE TABLE mails (id int PRIMARY KEY, subject text, ticket bigint NOT NULL GENERATED ALWAYS AS (length(subject)) STORED);
CREATE INDEX ON mails (ticket);
INSERT INTO mails VALUES (1, repeat('x', 10)), (2, repeat('x', 20));
-- the type column is of a type of the owner's
CREATE TYPE kind AS ENUM ('ticket', 'mail');
CREATE TABLE events (id int PRIMARY KEY, about kind NOT NULL, thing bigint NOT NULL);
INSERT INTO events VALUES (1, 'ticket', 10), (2, 'mail', 1), (3, 'mail', 10);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA derived_keys TO regress_keys_app;
RESET ROLE;
SELECT count(*) FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, mode, action FROM tenantguard.protect_all('derived_keys') WHERE relation <> 'orgs'::regclass ORDER BY relation::text;
SELECT tenantguard.add_link('mails', '{ticket}', 'tickets', '{id}');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('mails');

-- A link needs an index that agrees with the column.
SELECT tenantguard.add_link('notes', '{book}', 'books', '{code}');
SELECT count(*) FROM tenantguard.derive('pages');
BEGIN; SELECT FROM tenantguard.begin_bypass('another index');
DELETE FROM books WHERE org_id = 2;
CREATE UNIQUE INDEX books_key ON books (code);
COMMIT;
SELECT tenantguard.add_link('notes', '{book}', 'books', '{code}');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('notes');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('pages');
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT (SELECT count(*) FROM notes) AS notes, (SELECT count(*) FROM pages) AS pages; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO books VALUES (2, 'A'); ROLLBACK;
-- It goes: nothing keeps the parents apart, and nobody sees their rows.
\set VERBOSITY sqlstate
BEGIN; SELECT FROM tenantguard.begin_bypass('the index goes'); DROP INDEX books_key; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO books VALUES (2, 'A'); SELECT * FROM notes; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO books VALUES (2, 'A'); SELECT * FROM pages; ROLLBACK;
SELECT code, object FROM tenantguard.check('derived_keys') WHERE code = 'TG124' ORDER BY object;

-- A child's row is written through its parent.
\set VERBOSITY terse
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE lines SET ticket = 10 WHERE id = 4; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE lines SET ticket = 10 WHERE id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE lines_more SET ticket = 10; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; MERGE INTO lines USING (SELECT 1) AS s ON id = 4 WHEN MATCHED THEN UPDATE SET ticket = 10; ROLLBACK;
SET ROLE regress_keys_app;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE lines SET ticket = 10 WHERE id = 4; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO tickets VALUES (2, 21); UPDATE lines SET ticket = 21 RETURNING id, ticket; ROLLBACK;
RESET ROLE;

-- What a generated column says is looked at when others are written.
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE mails SET subject = repeat('y', 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO mails VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET subject = repeat('y', 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO mails VALUES (2, repeat('x', 20)) ON CONFLICT (id) DO UPDATE SET subject = repeat('y', 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; MERGE INTO mails USING (SELECT 1) AS s ON true WHEN MATCHED THEN UPDATE SET subject = repeat('y', 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE mails SET subject = repeat('y', 20) RETURNING id; ROLLBACK;
SET ROLE regress_keys_app;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE mails SET subject = repeat('y', 10); ROLLBACK;
RESET ROLE;
\set VERBOSITY default

-- A cast of the owner's does not say what a row is.
SELECT tenantguard.add_link('events', '{thing}', 'tickets', '{id}', 'about', 'ticket'), tenantguard.add_link('events', '{thing}', 'mails', '{id}', 'about', 'mail');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('events');
SET ROLE regress_keys_owner;
CREATE FUNCTION any_ticket(kind) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'ticket'$$;
CREATE CAST (kind AS text) WITH FUNCTION any_ticket(kind);
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM events ORDER BY id; ROLLBACK;
-- Nor do its values under other names; a new one says nothing yet.
ALTER TYPE kind RENAME VALUE 'ticket' TO 'mail';
ALTER TYPE kind ADD VALUE 'planet';
RESET ROLE;
BEGIN; SELECT FROM tenantguard.begin_bypass('rename'); ALTER TYPE kind RENAME VALUE 'planet' TO 'star'; ROLLBACK;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA derived_keys CASCADE;
DROP ROLE regress_keys_owner, regress_keys_app;
