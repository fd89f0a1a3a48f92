-- migration_script.sql: the script of the decisions: its order, what is left
-- to decide, and names that would like to be commands. The tests of whole
-- schemas run it on a copy.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_script_owner;
CREATE SCHEMA script AUTHORIZATION regress_script_owner;
SET search_path = script, public;
SELECT * FROM tenantguard.migration_script('script');
SET ROLE regress_script_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY, state text NOT NULL DEFAULT 'open');
CREATE TABLE b_child (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY);
CREATE TABLE a_grandchild (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, b int NOT NULL REFERENCES b_child);
-- a circle, and what hangs on it
CREATE TABLE x (id int PRIMARY KEY, y int);
CREATE TABLE y (id int PRIMARY KEY, x int REFERENCES x, z int);
CREATE TABLE z (id int PRIMARY KEY, y int REFERENCES y, org_id bigint REFERENCES orgs);
ALTER TABLE x ADD FOREIGN KEY (y) REFERENCES y;
ALTER TABLE y ADD FOREIGN KEY (z) REFERENCES z;
CREATE TABLE tail (id int PRIMARY KEY, x int REFERENCES x);
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id', 'state', '{open,"on trial"}');
SELECT * FROM tenantguard.migration_script('script');
-- A line break in a name or a reason does not end the comment.
SET ROLE regress_script_owner;
CREATE TABLE "a
DROP TABLE orgs CASCADE; --" (id int, "org_id
DROP TABLE b_child;" bigint);
CREATE TABLE "it's" (org_id bigint NOT NULL REFERENCES orgs);
CREATE INDEX ON "it's" (org_id);
SELECT FROM tenantguard.exempt('tail', E'two lines:\nDROP TABLE orgs;');
SELECT * FROM tenantguard.migration_script('script');
SELECT count(*) AS commands FROM tenantguard.migration_script('script') AS s (line), regexp_split_to_table(s.line, '[\n\r]+') AS l (part) WHERE l.part LIKE 'DROP TABLE%' AND s.line LIKE '--%';
-- Where it was written already, it changes nothing.
SELECT line FROM tenantguard.migration_script('script') AS s (line) WHERE line LIKE '%b_child%' OR line LIKE '%it''%' \gexec
SELECT relation, mode, tenant_column FROM tenantguard.relations ORDER BY relation::text COLLATE "C";
SELECT line FROM tenantguard.migration_script('script') AS s (line) WHERE line LIKE 'SELECT tenantguard.protect%b_child%' \gexec
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA script CASCADE;
DROP ROLE regress_script_owner;
