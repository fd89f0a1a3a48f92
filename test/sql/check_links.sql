-- check_links.sql: what check() says of derived relations. Each rule is broken,
-- found, and fixed by what it says.
SET client_min_messages = error;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA "Links";
SET search_path = "Links", public;
CREATE TABLE orgs (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active');
CREATE TABLE tickets (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, code text);
CREATE INDEX ON tickets (org_id);
CREATE TABLE comments (id int PRIMARY KEY, "Ticket" int NOT NULL REFERENCES tickets);
CREATE INDEX ON comments ("Ticket");
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id', 'status');
SELECT relation, mode, action FROM tenantguard.protect_all('"Links"');
\pset format unaligned
\pset tuples_only on
CREATE TEMP VIEW found AS
	SELECT code, severity, object, detail, fix FROM tenantguard.check('"Links"') WHERE code LIKE 'TG1%' OR code LIKE 'TG2%';
CREATE TEMP VIEW fixes AS SELECT fix FROM found WHERE fix IS NOT NULL;
TABLE found;

-- TG101: a relation that could be derived.
CREATE TABLE reactions (comment int NOT NULL REFERENCES comments);
CREATE INDEX ON reactions (comment);
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG125, TG127: a link that no key states, with no index.
CREATE TABLE logs (id int PRIMARY KEY, ticket int NOT NULL);
SELECT tenantguard.add_link('logs', '{ticket}', 'tickets', '{id}');
SELECT count(*) FROM tenantguard.derive('logs');
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG126: keys that may be NULL; TG128: one that came later.
CREATE TABLE files (id int PRIMARY KEY, ticket int REFERENCES tickets);
CREATE INDEX ON files (ticket);
SELECT count(*) FROM tenantguard.derive('files');
ALTER TABLE files ADD comment int REFERENCES comments;
CREATE INDEX ON files (comment);
TABLE found;
SELECT fix FROM fixes \gexec
SELECT columns, parent FROM tenantguard.links WHERE relation = 'files'::regclass ORDER BY 1;
ALTER TABLE files ALTER ticket SET NOT NULL;
TABLE found;

-- TG124: parents that are no longer what they were.
CREATE TABLE codes (code text NOT NULL);
CREATE INDEX ON codes (code);
CREATE UNIQUE INDEX ticket_codes ON tickets (code);
SELECT tenantguard.add_link('codes', '{code}', 'tickets', '{code}');
SELECT count(*) FROM tenantguard.derive('codes');
DROP INDEX ticket_codes;
SELECT * FROM found WHERE code = 'TG124';
CREATE UNIQUE INDEX ticket_codes ON tickets (code);
SELECT * FROM found WHERE code = 'TG124';
BEGIN; SELECT FROM tenantguard.begin_bypass('test'); ALTER TABLE tickets DROP COLUMN code;
SELECT * FROM found WHERE code = 'TG124'; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('test'); SELECT count(*) FROM tenantguard.exempt('tickets', 'test');
SELECT * FROM found WHERE code = 'TG124' ORDER BY object; ROLLBACK;

-- TG129: a key that leaves a row without a parent. A tenant is refused that; a
-- bypass is not, and disagreements() lists what became nobody's.
CREATE TABLE tasks (id int PRIMARY KEY, ticket int CONSTRAINT tasks_fk REFERENCES tickets ON DELETE SET NULL, comment int REFERENCES comments);
CREATE INDEX ON tasks (ticket);
CREATE INDEX ON tasks (comment);
SELECT count(*) FROM tenantguard.derive('tasks');
INSERT INTO orgs VALUES (1), (2);
BEGIN; SELECT FROM tenantguard.begin_bypass('rows');
INSERT INTO tickets VALUES (1, 11), (1, 12), (1, 13), (2, 21);
INSERT INTO comments VALUES (1, 13);
INSERT INTO tasks VALUES (1, 11, NULL), (2, 11, 1), (3, 12, NULL);
COMMIT;
SELECT * FROM found WHERE object ~ 'tasks';
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM tickets WHERE id = 11; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM tasks WHERE id = 1; DELETE FROM tickets WHERE id = 11; SELECT * FROM tasks ORDER BY id; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('delete'); DELETE FROM tickets WHERE id = 11; SELECT row_key, problem FROM tenantguard.disagreements('tasks'); ROLLBACK;
ALTER TABLE tasks DROP CONSTRAINT tasks_fk, ADD FOREIGN KEY (ticket) REFERENCES tickets ON DELETE CASCADE;
SELECT code FROM found WHERE object ~ 'tasks';
DROP TABLE tasks;

-- TG130, and of a carried column TG124 and TG125: the triggers, the key and the
-- columns that it leans on. Its quarantine is known.
CREATE TABLE notes (id int PRIMARY KEY, comment int NOT NULL CONSTRAINT notes_fk REFERENCES comments);
CREATE INDEX ON notes (comment);
SELECT count(*) FROM tenantguard.derive('notes');
SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');
INSERT INTO notes VALUES (1, 1);
SELECT count(*) FROM tenantguard.add_tenant_column('notes');
CALL tenantguard.backfill_tenant_column('notes');
CALL tenantguard.finish_tenant_column('notes', build_index => true);
ALTER TABLE notes ADD FOREIGN KEY (org_id) REFERENCES orgs;
BEGIN; ALTER TABLE notes DISABLE TRIGGER tenantguard_carried; UPDATE notes SET org_id = 2; ALTER TABLE notes ENABLE TRIGGER tenantguard_carried; COMMIT;
SELECT * FROM tenantguard.quarantine('notes');
SELECT code, object FROM found WHERE object ~ 'notes';
SELECT code, object, detail FROM tenantguard.check('"Links"') WHERE object ~ 'quarantine';
CREATE TABLE later () INHERITS (notes);
ALTER TABLE notes DISABLE TRIGGER tenantguard_carry;
DROP TRIGGER tenantguard_carried ON notes;
ALTER TABLE tickets DISABLE TRIGGER tenantguard_hold;
DROP TRIGGER tenantguard_follow ON comments;
SELECT tenantguard.end_bypass();
SELECT * FROM found WHERE code = 'TG130' ORDER BY object, detail;
SELECT fix FROM found WHERE code = 'TG130' AND detail ~ ' off' \gexec
SELECT fix FROM found WHERE code = 'TG130' ORDER BY fix LIMIT 1 \gexec
SELECT * FROM found WHERE code = 'TG130';
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later (id, comment) VALUES (5, 1) RETURNING org_id; INSERT INTO later (id, comment) VALUES (6, 999); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('test'); ALTER TABLE notes DROP CONSTRAINT notes_fk; COMMIT;
SELECT code, detail, fix FROM found WHERE object ~ 'notes';
SELECT fix FROM found WHERE object ~ 'notes' AND code = 'TG125' \gexec
BEGIN; SELECT FROM tenantguard.begin_bypass('test'); ALTER TABLE comments DROP CONSTRAINT comments_pkey CASCADE; SELECT code, object, detail FROM found WHERE code = 'TG124' ORDER BY object; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('test'); ALTER TABLE notes DROP COLUMN comment CASCADE; SELECT code, object, detail FROM found WHERE code = 'TG124' ORDER BY object; ROLLBACK;

-- TG202: the policy of a derived relation that was changed.
BEGIN;
SELECT FROM tenantguard.begin_bypass('test');
ALTER POLICY tenantguard_tenant ON comments USING (true);
COMMIT;
SELECT * FROM found WHERE code = 'TG202';
SELECT fix FROM found WHERE code = 'TG202' \gexec
SELECT * FROM found WHERE code = 'TG202';

DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA "Links" CASCADE;
