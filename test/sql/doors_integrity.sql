-- doors_integrity.sql: what leaves foreign keys unchecked needs a bypass:
-- session_replication_role = replica, and DISABLE TRIGGER.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_integrity_owner;
CREATE SCHEMA integrity AUTHORIZATION regress_integrity_owner;
SET search_path = integrity, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int, PRIMARY KEY (org_id, id));
CREATE TABLE lines (org_id bigint NOT NULL, id int, doc int, PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, doc) REFERENCES docs);
CREATE TABLE loose (org_id bigint NOT NULL, id int, PRIMARY KEY (org_id, id));
CREATE TABLE free (id int);
CREATE TABLE countries (code text PRIMARY KEY);
ALTER TABLE docs OWNER TO regress_integrity_owner;
ALTER TABLE loose OWNER TO regress_integrity_owner;
INSERT INTO orgs VALUES (1), (2);
INSERT INTO docs VALUES (1, 1), (2, 2);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('lines', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('loose', 'org_id');
SELECT count(*) > 0 AS shared FROM tenantguard.share('countries');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON loose FOR EACH ROW EXECUTE FUNCTION touch();

-- The attack: a line of a document that is not there.
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; INSERT INTO lines VALUES (1, 1, 99); ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; DELETE FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; UPDATE docs SET id = 3; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; UPDATE orgs SET id = id; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; MERGE INTO docs USING (VALUES (1)) AS v (i) ON id = i WHEN MATCHED THEN DELETE; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; WITH gone AS (DELETE FROM docs RETURNING id) SELECT * FROM gone; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; DO $$ BEGIN DELETE FROM docs; END $$; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; COPY lines (id, doc) FROM stdin;
\.
ROLLBACK;
-- a plan that was made before
PREPARE writes AS INSERT INTO lines VALUES (1, 1, 99);
PREPARE signs_up AS INSERT INTO orgs VALUES (9);
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; EXECUTE writes; ROLLBACK;
BEGIN; SET LOCAL session_replication_role = replica; EXECUTE signs_up; ROLLBACK;
\set VERBOSITY default
-- reading, explaining, and writing what is not guarded
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica;
SELECT * FROM docs;
INSERT INTO free SELECT id FROM docs RETURNING id;
EXPLAIN (COSTS OFF) INSERT INTO lines VALUES (1, 1, 99);
SET LOCAL session_replication_role = local;
INSERT INTO docs VALUES (1, 5) RETURNING *;
ROLLBACK;
SET session_replication_role = replica;
INSERT INTO free VALUES (7) RETURNING id;
RESET session_replication_role;
-- a restore says so
BEGIN; SELECT FROM tenantguard.begin_bypass('restore'); SET LOCAL session_replication_role = replica;
INSERT INTO lines VALUES (1, 1, 99) RETURNING *;
COPY countries FROM stdin;
de
\.
COPY loose FROM stdin;
2	2
\.
SELECT count(*) FROM loose;
ROLLBACK;

-- DISABLE TRIGGER, where the triggers are those of foreign keys
ALTER TABLE docs DISABLE TRIGGER ALL;
SELECT tgname AS referenced FROM pg_trigger WHERE tgrelid = 'docs'::regclass AND tgfoid = '"RI_FKey_noaction_del"'::regproc \gset
SELECT tgname AS referencing FROM pg_trigger WHERE tgrelid = 'lines'::regclass AND tgfoid = '"RI_FKey_check_ins"'::regproc \gset
\set VERBOSITY sqlstate
ALTER TABLE docs DISABLE TRIGGER :"referenced";
ALTER TABLE lines DISABLE TRIGGER :"referencing";
ALTER TABLE lines ENABLE REPLICA TRIGGER :"referencing";
ALTER TABLE lines ENABLE TRIGGER USER, DISABLE TRIGGER ALL;
DO $$ BEGIN EXECUTE 'ALTER TABLE integrity.lines DISABLE TRIGGER ALL'; END $$;
\set VERBOSITY default
-- the owner's own triggers are the owner's
SET ROLE regress_integrity_owner;
ALTER TABLE docs DISABLE TRIGGER touch;
ALTER TABLE docs ENABLE ALWAYS TRIGGER touch;
ALTER TABLE docs DISABLE TRIGGER USER;
ALTER TABLE docs ENABLE TRIGGER USER;
ALTER TABLE loose DISABLE TRIGGER ALL;
ALTER TABLE loose ENABLE TRIGGER ALL;
RESET ROLE;
ALTER TABLE free DISABLE TRIGGER ALL;
BEGIN; SELECT FROM tenantguard.begin_bypass('restore'); ALTER TABLE lines DISABLE TRIGGER ALL; INSERT INTO lines VALUES (1, 1, 99); ALTER TABLE lines ENABLE TRIGGER ALL; ROLLBACK;
-- Left disabled by a restore: no tenant writes until they are enabled.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO lines VALUES (1, 7, 1); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('restore'); ALTER TABLE lines DISABLE TRIGGER :"referencing"; INSERT INTO lines VALUES (1, 7, 99); DELETE FROM lines; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO lines VALUES (1, 7, 1); ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE writes; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE lines SET doc = 99; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; COPY lines (id, doc) FROM stdin;
7	99
\.
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM lines; ROLLBACK;
ALTER TABLE lines ENABLE TRIGGER ALL;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE writes; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO lines VALUES (1, 7, 1) RETURNING *; ROLLBACK;
\set VERBOSITY default
-- Each partition has triggers of its own, and so has what a cascade reaches.
CREATE TABLE parted (org_id bigint NOT NULL, id int NOT NULL, doc int, PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, doc) REFERENCES docs ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_b PARTITION OF parted FOR VALUES FROM (100) TO (200);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('parted', 'org_id');
PREPARE to_parted (int, int) AS INSERT INTO parted (id, doc) VALUES ($1, $2) RETURNING tableoid::regclass, *;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE to_parted (101, 1); EXECUTE to_parted (1, 1); EXECUTE to_parted (102, 1); COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('restore'); ALTER TABLE parted_b DISABLE TRIGGER ALL; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE to_parted (2, 1); EXECUTE to_parted (103, 99); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO parted (id, doc) VALUES (2, 1); UPDATE parted SET doc = 1 WHERE id = 2; DELETE FROM parted WHERE id = 2; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO parted (id, doc) VALUES (2, 1), (103, 99); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO parted (id, doc) VALUES (101, 99) ON CONFLICT (org_id, id) DO UPDATE SET doc = 99; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO parted USING (VALUES (103, 99)) AS v (id, doc) ON parted.id = v.id WHEN NOT MATCHED THEN INSERT (id, doc) VALUES (v.id, v.doc); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE parted SET doc = 99; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE parted SET doc = 99 WHERE id = 101; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE parted SET id = 150, doc = 99 WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parted WHERE id = 101; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM docs; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; COPY parted (id, doc) FROM stdin;
103	99
\.
ROLLBACK;
ALTER TABLE parted_b ENABLE TRIGGER ALL;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE to_parted (103, 1); EXECUTE to_parted (104, 99); ROLLBACK;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; COPY parted (id, doc) FROM stdin;
105	1
5	1
\.
UPDATE parted SET id = 150 WHERE id = 1; SELECT tableoid::regclass, * FROM parted ORDER BY id; ROLLBACK;
-- A cascade that would set off no other.
CREATE TABLE notes (org_id bigint NOT NULL, id int NOT NULL, line int, PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, line) REFERENCES parted ON DELETE CASCADE);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('notes', 'org_id');
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO notes (id, line) VALUES (1, 101), (2, 1); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM lines; DELETE FROM docs WHERE id = 1; SELECT count(*) FROM notes; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('restore'); ALTER TABLE parted_a DISABLE TRIGGER ALL; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM lines; DELETE FROM docs WHERE id = 1; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('as it says'); DELETE FROM lines; DELETE FROM docs WHERE id = 1; SELECT * FROM notes; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM lines; DELETE FROM docs WHERE id = 1; ROLLBACK;
ALTER TABLE parted_a ENABLE TRIGGER ALL;
-- A parent that is not guarded, with a child that is.
CREATE TABLE above (org_id bigint NOT NULL, id int);
BEGIN; SELECT FROM tenantguard.begin_bypass('below'); ALTER TABLE loose INHERIT above; COMMIT;
ALTER TABLE above DISABLE TRIGGER ALL;

-- The report says it, and lets it pass.
SET tenantguard.enforce = log;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; INSERT INTO lines VALUES (1, 1, 99) RETURNING *; ROLLBACK;
RESET tenantguard.enforce;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA integrity CASCADE;
DROP ROLE regress_integrity_owner;
