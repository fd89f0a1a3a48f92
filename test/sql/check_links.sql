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
