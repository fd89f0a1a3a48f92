-- publications.sql: what a publication sends of guarded relations is filtered
-- by tenant, or declared.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_pub_migrator SUPERUSER;
CREATE SCHEMA pubs;
CREATE SCHEMA pubs_free;
SET search_path = pubs, public;
CREATE TABLE orgs (id bigint PRIMARY KEY, status text);
CREATE TABLE "Docs" ("orgId" int NOT NULL, id int NOT NULL, body text, PRIMARY KEY ("orgId", id));
CREATE TABLE texts (tenant varchar NOT NULL, id int);
CREATE TABLE parts (org_id bigint NOT NULL, id int) PARTITION BY LIST (org_id);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE codes (code text);
CREATE TABLE exempted (id int);
CREATE TABLE free (org_id bigint, id int);
CREATE TABLE above (org_id bigint NOT NULL, id int);
CREATE TABLE below (org_id bigint NOT NULL, id int);
-- before anything is guarded nobody minds
CREATE PUBLICATION early FOR ALL TABLES;
DROP PUBLICATION early;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('"Docs"', 'orgId');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('texts', 'tenant');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('parts', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('below', 'org_id');
SELECT count(*) > 0 AS shared FROM tenantguard.share('codes');
SELECT count(*) > 0 AS exempted FROM tenantguard.exempt('exempted', 'a queue');
BEGIN; SELECT FROM tenantguard.begin_bypass('below an unguarded parent'); ALTER TABLE below INHERIT above; COMMIT;

-- One tenant, and what belongs to nobody.
CREATE PUBLICATION one FOR TABLE "Docs" WHERE ("orgId" = 3), orgs WHERE (3 = id), codes, exempted, free;
CREATE PUBLICATION more FOR TABLE texts WHERE ((id > 5 AND tenant = 'a') AND id < 9);
CREATE PUBLICATION root FOR TABLE parts WHERE (org_id = 1) WITH (publish_via_partition_root);
ALTER PUBLICATION one DROP TABLE free;
ALTER PUBLICATION one SET TABLE "Docs" ("orgId", id) WHERE ("orgId" = 4 AND id > 0);
ALTER PUBLICATION one SET (publish = 'insert');
ALTER PUBLICATION one RENAME TO only_one;
CREATE PUBLICATION empty;

-- Everything else is refused.
CREATE PUBLICATION p FOR TABLE "Docs";
CREATE PUBLICATION p FOR ALL TABLES;
CREATE PUBLICATION p FOR TABLES IN SCHEMA pubs;
CREATE PUBLICATION p FOR TABLES IN SCHEMA pubs_free;
CREATE PUBLICATION p FOR TABLES IN SCHEMA CURRENT_SCHEMA;
\set VERBOSITY terse
CREATE PUBLICATION p FOR TABLE free, ONLY "Docs";
CREATE PUBLICATION p FOR TABLE "Docs" WHERE (id = 3);
CREATE PUBLICATION p FOR TABLE "Docs" WHERE ("orgId" = id);
CREATE PUBLICATION p FOR TABLE "Docs" WHERE ("orgId" = 3 OR true);
CREATE PUBLICATION p FOR TABLE "Docs" WHERE (NOT ("orgId" = 3));
CREATE PUBLICATION p FOR TABLE "Docs" WHERE ("orgId" <> 3);
CREATE PUBLICATION p FOR TABLE "Docs" WHERE ("orgId" IN (3, 4));
CREATE PUBLICATION p FOR TABLE "Docs" WHERE ("orgId" = NULL);
CREATE PUBLICATION p FOR TABLE "Docs" WHERE ((id = 3) = ("orgId" > 0));
CREATE PUBLICATION p FOR TABLE "Docs" WHERE ("orgId" IS NOT NULL), texts WHERE (tenant = 'a');
CREATE PUBLICATION p FOR TABLE orgs WHERE (status = 'active');
CREATE PUBLICATION p FOR TABLE parts1;
CREATE PUBLICATION p FOR TABLE parts;
CREATE PUBLICATION p FOR TABLE above;
CREATE PUBLICATION p FOR TABLE below;
ALTER PUBLICATION only_one SET TABLE "Docs";
ALTER PUBLICATION only_one ADD TABLE texts;
ALTER PUBLICATION more ADD TABLES IN SCHEMA pubs_free;
ALTER PUBLICATION only_one SET TABLES IN SCHEMA pubs;
ALTER PUBLICATION empty SET TABLE free, pubs."Docs" WHERE (true);
DO $$ BEGIN CREATE PUBLICATION p FOR TABLE "Docs"; END $$;
SET session_replication_role = replica;
CREATE PUBLICATION p FOR TABLE "Docs";
RESET session_replication_role;
BEGIN; SAVEPOINT s; CREATE PUBLICATION p FOR TABLE "Docs"; ROLLBACK TO s; CREATE PUBLICATION p FOR TABLE free; ALTER PUBLICATION p ADD TABLE "Docs"; ROLLBACK;
SELECT p.pubname, t.tablename, t.rowfilter FROM pg_publication AS p LEFT JOIN pg_publication_tables AS t USING (pubname) ORDER BY 1, 2;

-- Under a bypass, or by a role with a standing grant. What is there then is
-- nobody's fault later.
BEGIN; SELECT FROM tenantguard.begin_bypass('a copy of the whole database'); CREATE PUBLICATION whole FOR ALL TABLES; CREATE PUBLICATION partly FOR TABLE texts; COMMIT;
ALTER PUBLICATION partly ADD TABLE free;
ALTER PUBLICATION partly SET TABLE texts, codes;
ALTER PUBLICATION partly ADD TABLE "Docs";
ALTER PUBLICATION whole SET (publish = 'insert');
SELECT tenantguard.grant_bypass('regress_pub_migrator', 'replication');
SET SESSION AUTHORIZATION regress_pub_migrator;
CREATE PUBLICATION standing FOR TABLES IN SCHEMA pubs;
RESET SESSION AUTHORIZATION;
-- A relation that is guarded later, or made later, is caught by these: it says so.
SET client_min_messages = warning;
\set VERBOSITY default
SELECT count(*) > 0 AS protected FROM tenantguard.protect('free', 'org_id');
SET tenantguard.new_table = protect;
CREATE TABLE pubs_free.fresh (org_id bigint PRIMARY KEY REFERENCES orgs);
DROP PUBLICATION whole, standing, partly;
CREATE TABLE pubs_free.fresh_too (org_id bigint PRIMARY KEY REFERENCES orgs);
RESET tenantguard.new_table;

SET client_min_messages = error;
DROP PUBLICATION only_one, more, root, empty;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA pubs, pubs_free CASCADE;
DROP ROLE regress_pub_migrator;
