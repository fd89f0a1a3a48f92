-- new_relations.sql: relations that are made while the guard is in force, by
-- every command that makes one.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
SET tenantguard.new_table = protect;
CREATE ROLE regress_new_owner;
CREATE SCHEMA fresh AUTHORIZATION regress_new_owner;
SET search_path = fresh, public;
CREATE TABLE before_all (org_id bigint NOT NULL, id int);
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2);
GRANT SELECT, REFERENCES ON orgs TO regress_new_owner;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
BEGIN; SELECT FROM tenantguard.begin_bypass('an owner of its own'); GRANT REFERENCES ON orgs TO regress_new_owner; COMMIT;
SET client_min_messages = notice;

-- A foreign key says what it is: at once, or when it comes.
SET ROLE regress_new_owner;
CREATE TABLE items (org_id bigint NOT NULL REFERENCES orgs, id int, PRIMARY KEY (org_id, id));
CREATE TABLE parts (org_id bigint NOT NULL, item int, FOREIGN KEY (org_id, item) REFERENCES items);
CREATE TABLE later (org_id bigint NOT NULL, id int);
ALTER TABLE later ADD FOREIGN KEY (org_id) REFERENCES orgs;
CREATE TABLE "Camel Case" (id int);
ALTER TABLE "Camel Case" ADD COLUMN "orgId" bigint NOT NULL REFERENCES orgs;
RESET ROLE;
CREATE TABLE IF NOT EXISTS items (id int);
DO $$ BEGIN CREATE TABLE in_block (org_id bigint NOT NULL REFERENCES orgs); END $$;
CREATE SCHEMA fresh_too CREATE TABLE in_schema (org_id bigint NOT NULL REFERENCES fresh.orgs) CREATE TABLE like_items (LIKE fresh.items INCLUDING ALL);
CREATE UNLOGGED TABLE unlogged (org_id bigint NOT NULL REFERENCES orgs);
-- what it does not say is warned of, but for the bookkeeping of tools
CREATE TABLE nullable (org_id bigint REFERENCES orgs);
CREATE TABLE two (org_id bigint NOT NULL REFERENCES orgs, seller_id bigint NOT NULL REFERENCES orgs);
CREATE TABLE nothing (code text);
CREATE TABLE schema_migrations (version text);
CREATE TEMP TABLE passing (org_id bigint);
CREATE VIEW a_view AS SELECT 1 AS one;
-- a table with rows is in use: for a person to protect
CREATE TABLE used (org_id bigint NOT NULL);
INSERT INTO used VALUES (1);
ALTER TABLE used ADD FOREIGN KEY (org_id) REFERENCES orgs;
CREATE TABLE used_parts (org_id bigint NOT NULL, id int) PARTITION BY RANGE (id);
CREATE TABLE used_parts1 PARTITION OF used_parts FOR VALUES FROM (0) TO (10) PARTITION BY LIST (id);
CREATE TABLE used_parts11 PARTITION OF used_parts1 FOR VALUES IN (1);
CREATE TABLE used_parts2 PARTITION OF used_parts DEFAULT;
INSERT INTO used_parts VALUES (1, 1);
ALTER TABLE used_parts ADD FOREIGN KEY (org_id) REFERENCES orgs;
CREATE TABLE used_parent (org_id bigint NOT NULL);
CREATE TABLE used_child () INHERITS (used_parent);
INSERT INTO used_child VALUES (1);
ALTER TABLE used_parent ADD FOREIGN KEY (org_id) REFERENCES orgs;
-- without rows, partitioned or not, it is protected
CREATE TABLE idle_parts (org_id bigint NOT NULL, id int) PARTITION BY LIST (id);
CREATE TABLE idle_parts1 PARTITION OF idle_parts FOR VALUES IN (1);
ALTER TABLE idle_parts ADD FOREIGN KEY (org_id) REFERENCES orgs;
BEGIN;
CREATE TABLE new_parts (org_id bigint NOT NULL, id int) PARTITION BY LIST (id);
CREATE TABLE new_parts1 PARTITION OF new_parts FOR VALUES IN (1);
INSERT INTO new_parts VALUES (1, 1);
ALTER TABLE new_parts ADD FOREIGN KEY (org_id) REFERENCES orgs;
ROLLBACK;
SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text COLLATE "C";
-- it holds from then on
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO items (id) VALUES (1); INSERT INTO later (id) VALUES (1); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM items; SELECT * FROM later; INSERT INTO items VALUES (1, 2); ROLLBACK;
SELECT * FROM later;

-- Copies of guarded relations are guarded like them: without a bypass there are
-- none with rows, and under one they are not left open.
CREATE TABLE copied (LIKE items);
CREATE TABLE backup_of_items AS SELECT * FROM items;
BEGIN;
SELECT FROM tenantguard.begin_bypass('copies');
CREATE TABLE backup_of_items AS SELECT * FROM items;
SELECT org_id, id INTO into_items FROM items;
CREATE MATERIALIZED VIEW counts AS SELECT org_id, count(*) FROM items GROUP BY org_id;
CREATE TABLE through_view AS SELECT * FROM (SELECT * FROM items) AS i JOIN later USING (org_id, id);
CREATE TABLE renamed_column AS SELECT org_id AS tenant, id FROM items;
CREATE TABLE sums AS SELECT count(*) FROM items;
CREATE TABLE of_nothing AS SELECT 1 AS one;
COMMIT;
SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations WHERE relation::text ~ 'copied|backup|into|counts|through|renamed|sums' ORDER BY relation::text COLLATE "C";
SELECT * FROM backup_of_items;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM backup_of_items; SELECT * FROM counts; ROLLBACK;
-- swapped by name, the copy stays guarded
BEGIN; ALTER TABLE items RENAME TO items_old; ALTER TABLE copied RENAME TO items; SELECT relation FROM tenantguard.relations WHERE relation::text LIKE 'items%' ORDER BY 1; ROLLBACK;

-- Not for a tenant to do.
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE mine (org_id bigint NOT NULL REFERENCES orgs); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE mine (LIKE items); ROLLBACK;
-- Neither event triggers nor replica sessions are in the way.
BEGIN; SET LOCAL session_replication_role = replica; CREATE TABLE in_replica (org_id bigint NOT NULL REFERENCES orgs); ROLLBACK;
-- An extension's own tables are its own affair.
CREATE EXTENSION pg_stat_statements;
DROP EXTENSION pg_stat_statements;

-- warn: nothing but words
SET tenantguard.new_table = warn;
CREATE TABLE warned (org_id bigint NOT NULL REFERENCES orgs);
CREATE TABLE warned_copy (LIKE items);
-- ignore: not even these
SET tenantguard.new_table = ignore;
CREATE TABLE ignored (org_id bigint NOT NULL REFERENCES orgs);
-- refuse: a transaction that leaves one unclassified does not commit
SET tenantguard.new_table = refuse;
CREATE TABLE refused (id int);
BEGIN; CREATE TABLE refused (id int); SELECT count(*) > 0 AS shared FROM tenantguard.share('refused'); COMMIT;
BEGIN; CREATE TABLE also_refused (org_id bigint NOT NULL); ALTER TABLE also_refused ADD FOREIGN KEY (org_id) REFERENCES orgs; COMMIT;
BEGIN; CREATE TABLE exempted (id int); SELECT * FROM tenantguard.exempt('exempted', 'a queue of the migration tool'); COMMIT;
BEGIN; CREATE TABLE gone (id int); DROP TABLE gone; COMMIT;
BEGIN; SAVEPOINT s; CREATE TABLE gone (id int); ROLLBACK TO s; COMMIT;
BEGIN; CREATE TABLE taken_back (id int); SELECT FROM tenantguard.exempt('taken_back', 'x'); SAVEPOINT s; SELECT FROM tenantguard.begin_bypass('x'); SELECT count(*) FROM tenantguard.unprotect('taken_back', 'x'); COMMIT;
DO $$ BEGIN CREATE TABLE in_block_too (id int); END $$;
CREATE TABLE schema_version (id int);
SELECT relname FROM pg_class WHERE relnamespace = 'fresh'::regnamespace AND relkind = 'r' AND relname ~ 'refused|exempted|gone|taken|too|version' ORDER BY 1;
-- a setting of the superuser's
SET ROLE regress_new_owner;
SET tenantguard.new_table = ignore;
RESET ROLE;
RESET tenantguard.new_table;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
-- What was made before the extension, in the same transaction, is not met by it.
BEGIN;
CREATE TABLE earlier (id int);
CREATE EXTENSION tenantguard;
DROP EXTENSION tenantguard;
CREATE TABLE between_both (id int);
CREATE EXTENSION tenantguard;
ROLLBACK;
DROP SCHEMA fresh, fresh_too CASCADE;
DROP ROLE regress_new_owner;
