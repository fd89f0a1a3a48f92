-- check_relations.sql: what check() says of relations and their columns. Each
-- rule is broken, found, and fixed by what it says; then nothing is found.
SET client_min_messages = error;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_check_app;
CREATE SCHEMA "Check It";
SET search_path = "Check It", public;
CREATE TABLE "Orgs" (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active', last_seen timestamptz);
INSERT INTO "Orgs" VALUES (1), (2);
CREATE TABLE tickets ("orgId" bigint NOT NULL REFERENCES "Orgs", id bigint, PRIMARY KEY ("orgId", id));
CREATE TABLE countries (code text PRIMARY KEY);
GRANT SELECT ON ALL TABLES IN SCHEMA "Check It" TO regress_check_app;
\pset format unaligned
\pset tuples_only on
CREATE TEMP VIEW found AS
	SELECT code, object, detail, fix FROM tenantguard.check('"Check It"') WHERE code LIKE 'TG1%';
CREATE TEMP VIEW fixes AS SELECT fix FROM found WHERE fix IS NOT NULL;

-- TG101, TG118: nothing is decided yet.
TABLE found;
SELECT tenantguard.adopt_registry('"Orgs"', 'id', 'status');
CREATE TABLE "Called So" (organization_id bigint NOT NULL, note text);
CREATE TABLE "Two" ("orgId" bigint REFERENCES "Orgs", "otherId" bigint REFERENCES "Orgs");
CREATE TABLE flyway_schema_history (version text);
CREATE TABLE comments (id bigint PRIMARY KEY, "orgId" bigint, ticket bigint);
CREATE TABLE tags (ticket_org bigint, ticket bigint, word text);
TABLE found;
SELECT fix FROM fixes \gexec
SELECT tenantguard.share('countries');
SELECT tenantguard.exempt('"Two"', 'test');
SELECT tenantguard.share('tags');
TABLE found;
-- TG114 is what is left of "Two", and goes with it; TG109 wants a foreign key.
DROP TABLE "Two", tags;
SELECT fix FROM fixes WHERE fix LIKE '%FOREIGN KEY%' \gexec
SELECT fix FROM fixes \gexec
TABLE found;
-- That is clean; a migration can say so.
SELECT tenantguard.assert_guarded('"Check It"');

-- TG102, TG103: not in force.
BEGIN; SELECT tenantguard.begin_bypass('break'); ALTER TABLE tickets DISABLE ROW LEVEL SECURITY; ALTER TABLE "Called So" NO FORCE ROW LEVEL SECURITY; COMMIT;
TABLE found;
SELECT tenantguard.assert_guarded('"Check It"');
SELECT fix FROM fixes \gexec
TABLE found;

-- TG104: by its own name a partition is open. A child that a mistake declared
-- shared is made one of tenants again.
CREATE TABLE "Events" ("orgId" bigint NOT NULL REFERENCES "Orgs", id bigint) PARTITION BY HASH (id);
CREATE TABLE "Events 0" PARTITION OF "Events" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE "Events 1" PARTITION OF "Events" FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT tenantguard.protect('"Events"') \g /dev/null
GRANT SELECT ON "Events" TO regress_check_app;
TABLE found;
BEGIN;
SELECT tenantguard.begin_bypass('break');
SELECT tenantguard.forget_relation('"Events 0"');
ALTER TABLE "Events 0" DISABLE ROW LEVEL SECURITY;
SELECT tenantguard.record_relation('"Events 1"', 'shared', NULL, NULL, NULL);
COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG105: a column that is gone.
CREATE TABLE renamed ("orgId" bigint NOT NULL REFERENCES "Orgs", a int);
SELECT tenantguard.protect('renamed') \g /dev/null
BEGIN; SELECT tenantguard.begin_bypass('break'); UPDATE tenantguard.guarded_relation SET tenant_column = 'org_id' WHERE relid = 'renamed'::regclass; COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG106: a column that cannot hold the tenant.
CREATE TABLE unfit ("orgId" bigint NOT NULL, made uuid, "two" bigint GENERATED ALWAYS AS (2) STORED, own bigint GENERATED ALWAYS AS IDENTITY);
SELECT tenantguard.protect('unfit', 'orgId') \g /dev/null
BEGIN; SELECT tenantguard.begin_bypass('break'); UPDATE tenantguard.guarded_relation SET tenant_column = 'made' WHERE relid = 'unfit'::regclass; SELECT * FROM found WHERE code = 'TG106'; ROLLBACK;
BEGIN; SELECT tenantguard.begin_bypass('break'); UPDATE tenantguard.guarded_relation SET tenant_column = 'two' WHERE relid = 'unfit'::regclass; SELECT * FROM found WHERE code = 'TG106'; ROLLBACK;
BEGIN; SELECT tenantguard.begin_bypass('break'); UPDATE tenantguard.guarded_relation SET tenant_column = 'own' WHERE relid = 'unfit'::regclass; SELECT * FROM found WHERE code = 'TG106'; SELECT fix FROM fixes WHERE fix LIKE '%IDENTITY%' \gexec
SELECT * FROM found WHERE code = 'TG106'; ROLLBACK;
DROP TABLE unfit;

-- TG107, TG108, TG109: what the column allows. The default of a table that is
-- not recorded counts as well.
CREATE TABLE "Lax" ("orgId" bigint DEFAULT 0, a int);
CREATE TABLE "Lax Too" ("orgId" bigint NOT NULL DEFAULT 1 REFERENCES "Orgs", a int);
SELECT code, object, detail, fix FROM found;
SELECT tenantguard.protect('"Lax"', 'orgId') \g /dev/null
SELECT tenantguard.protect('"Lax Too"') \g /dev/null
BEGIN; SELECT tenantguard.begin_bypass('break'); ALTER TABLE "Lax Too" ALTER COLUMN "orgId" SET DEFAULT 7; COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
-- A default of NULL and that of the guard are none.
ALTER TABLE "Lax Too" ALTER COLUMN "orgId" SET DEFAULT NULL;
TABLE found;

-- TG110: two tenants in one row.
CREATE TABLE transfers ("from" bigint NOT NULL REFERENCES "Orgs", "to" bigint NOT NULL REFERENCES "Orgs");
SELECT tenantguard.protect('transfers', 'from') \g /dev/null
TABLE found;
DROP TABLE transfers;

-- TG111: a guarded child of a parent that is not.
CREATE TABLE parent ("orgId" bigint, a int);
CREATE TABLE child ("orgId" bigint NOT NULL REFERENCES "Orgs", a int);
SELECT tenantguard.exempt('parent', 'test');
SELECT tenantguard.protect('child') \g /dev/null
BEGIN; SELECT tenantguard.begin_bypass('break'); ALTER TABLE child INHERIT parent; COMMIT;
SELECT * FROM found WHERE code = 'TG111';
SELECT fix FROM found WHERE code = 'TG111' \gexec
SELECT * FROM found WHERE code = 'TG111';
DROP TABLE parent CASCADE;

-- TG112, TG113: materialized views.
CREATE VIEW seen AS SELECT "orgId", id FROM tickets;
CREATE MATERIALIZED VIEW "Per Org" AS SELECT "orgId", id FROM seen WITH NO DATA;
SELECT tenantguard.exempt('"Per Org"', 'test');
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
DROP VIEW seen CASCADE;

-- TG114, TG115, TG116, TG117: decisions that the columns speak against.
CREATE TABLE "Let Go" ("orgId" bigint NOT NULL REFERENCES "Orgs");
CREATE TABLE "For All" ("orgId" bigint NOT NULL REFERENCES "Orgs");
CREATE TABLE "Seems" (account_id bigint);
CREATE TABLE lines (tenant bigint, ticket bigint, FOREIGN KEY (tenant, ticket) REFERENCES tickets);
ALTER TABLE tickets ADD UNIQUE (id);
CREATE TABLE remarks (ticket bigint REFERENCES tickets (id));
CREATE TABLE "Accounts" (id bigint PRIMARY KEY);
CREATE TABLE "Leads Elsewhere" (account_id bigint REFERENCES "Accounts");
SELECT object, detail, fix FROM found WHERE object LIKE '%Elsewhere%';
SELECT tenantguard.share('"Accounts"') \g /dev/null
SELECT tenantguard.share('"Leads Elsewhere"') \g /dev/null
SELECT tenantguard.exempt('"Let Go"', 'test');
SELECT tenantguard.share('"For All"') \g /dev/null
SELECT tenantguard.share('"Seems"') \g /dev/null
SELECT tenantguard.protect('lines', 'tenant') \g /dev/null
SELECT tenantguard.record_relation('remarks', 'exempt', NULL, NULL, NULL);
TABLE found;
SELECT fix FROM fixes WHERE fix LIKE 'BEGIN%' \gexec
DROP TABLE "Seems", "Leads Elsewhere", "Accounts";
SELECT tenantguard.exempt('remarks', 'copies of what is public');
TABLE found;
-- Accepted, with a reason and a time.
SELECT tenantguard.suppress_finding('TG116', object, 'looked at', now() + interval '1 hour') FROM found WHERE code = 'TG116';
TABLE found;
SELECT code, object FROM tenantguard.check('"Check It"', true) WHERE code = 'TG116';
UPDATE tenantguard.check_suppression SET until = now() - interval '1 second';
SELECT code, object FROM found;
SELECT tenantguard.suppress_finding('TG116', 'x', '');
SELECT tenantguard.suppress_finding('TG999', 'x', 'test');
SELECT tenantguard.restore_finding('TG116', object) FROM found WHERE code = 'TG116';
DROP TABLE remarks, lines;
TABLE found;

-- TG119, TG120, TG121: the registry.
BEGIN; SELECT tenantguard.begin_bypass('break'); SELECT tenantguard.adopt_registry('"Orgs"', 'id') \g /dev/null
COMMIT;
TABLE found;
BEGIN; SELECT tenantguard.begin_bypass('repair'); SELECT tenantguard.adopt_registry('"Orgs"', 'id', 'status') \g /dev/null
COMMIT;
BEGIN;
SELECT tenantguard.begin_bypass('break');
ALTER TABLE "Orgs" DISABLE TRIGGER tenantguard_registry;
ALTER TABLE "Orgs" ENABLE TRIGGER tenantguard_registry_truncate;
DROP TRIGGER tenantguard_registry_update ON "Orgs";
COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
BEGIN; SELECT tenantguard.begin_bypass('break'); ALTER TABLE "Orgs" DROP CONSTRAINT "Orgs_pkey" CASCADE; SELECT * FROM found WHERE code = 'TG121'; SELECT fix FROM found WHERE code = 'TG121' \gexec
SELECT * FROM found WHERE code = 'TG121'; ALTER TABLE "Orgs" ALTER COLUMN id DROP NOT NULL; SELECT * FROM found WHERE code = 'TG121'; SELECT fix FROM found WHERE code = 'TG121' \gexec
SELECT * FROM found WHERE code = 'TG121'; ROLLBACK;

-- TG122, TG123: the extension's own tables.
BEGIN; SELECT tenantguard.begin_bypass('break'); ALTER TABLE tenantguard.registry ENABLE TRIGGER registry_changed; ALTER TABLE tenantguard.bypass_grant DISABLE TRIGGER ALL; COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
INSERT INTO tenantguard.guarded_relation (relid, mode, tenant_column) VALUES (4000000000, 'tenant', 'x');
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- Whoever may call it sees what there is; the schema that is asked for counts.
SET ROLE regress_check_app;
SELECT count(*) FROM tenantguard.check_relations('"Check It"');
RESET ROLE;
SELECT count(*) FROM tenantguard.check_relations('public');
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA "Check It" CASCADE;
DROP ROLE regress_check_app;
