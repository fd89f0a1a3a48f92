-- partitions.sql: partitions and inheritance children, through their parent
-- and by name, for reading, writing and moving between them.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_partitions_app;
CREATE SCHEMA parts;
SET search_path = parts, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2), (3);
-- the tenant as partition key, by hash and by list; and not, by range, in two levels
CREATE TABLE hashed (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id)) PARTITION BY HASH (org_id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE listed (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id)) PARTITION BY LIST (org_id);
CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN (1);
CREATE TABLE listed_rest PARTITION OF listed DEFAULT;
CREATE TABLE ranged (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id)) PARTITION BY RANGE (id);
CREATE TABLE ranged_low PARTITION OF ranged FOR VALUES FROM (0) TO (10);
CREATE TABLE ranged_high PARTITION OF ranged FOR VALUES FROM (10) TO (1000) PARTITION BY LIST (org_id);
CREATE TABLE ranged_high_1 PARTITION OF ranged_high FOR VALUES IN (1);
-- with its columns in another order and one dropped
CREATE TABLE ranged_high_rest (body text, gone text, id int NOT NULL, org_id bigint NOT NULL);
ALTER TABLE ranged_high_rest DROP COLUMN gone;
ALTER TABLE ranged_high ATTACH PARTITION ranged_high_rest DEFAULT;
-- inheritance
CREATE TABLE parent (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text);
CREATE TABLE child (extra text) INHERITS (parent);
CREATE TABLE grandchild (more text) INHERITS (child);
CREATE INDEX ON parent (org_id);
INSERT INTO hashed SELECT o, i, 'x' FROM generate_series(1, 3) AS o, generate_series(1, 20) AS i;
INSERT INTO listed SELECT * FROM hashed;
INSERT INTO ranged SELECT * FROM hashed;
INSERT INTO parent SELECT * FROM hashed WHERE id <= 5;
INSERT INTO child SELECT *, 'extra' FROM hashed WHERE id BETWEEN 6 AND 10;
INSERT INTO grandchild SELECT *, 'extra', 'more' FROM hashed WHERE id > 10;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('parts') WHERE action <> 'listed';
-- A partition is not protected by itself: its parent is.
SELECT tenantguard.protect('ranged_low');
GRANT USAGE ON SCHEMA parts TO regress_partitions_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA parts TO regress_partitions_app;

-- Every table by its name, for every tenant and role: own rows and foreign rows.
CREATE FUNCTION count_all() RETURNS TABLE (relation text, own bigint, foreign_rows bigint) LANGUAGE plpgsql AS $$
DECLARE
	me bigint := tenantguard.current_tenant_bigint();
BEGIN
	FOR relation IN SELECT c.relname FROM pg_class AS c WHERE relnamespace = 'parts'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'orgs' ORDER BY relname COLLATE "C" LOOP
		EXECUTE format('SELECT count(*) FILTER (WHERE org_id = $1), count(*) FILTER (WHERE org_id <> $1) FROM parts.%I', relation) INTO own, foreign_rows USING me;
		RETURN NEXT;
	END LOOP;
END $$;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM count_all(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_partitions_app; SELECT * FROM count_all(); COMMIT;
SELECT count(*) FROM count_all();
-- as statements, with ONLY, and by joins partition by partition
SET enable_partitionwise_join = on;
SET enable_partitionwise_aggregate = on;
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT count(*), min(org_id), max(org_id) FROM hashed JOIN listed USING (org_id, id) JOIN ranged USING (org_id, id);
SELECT org_id, count(*) FROM ranged GROUP BY org_id;
SELECT count(*), min(org_id), max(org_id) FROM ranged_high_rest;
SELECT count(*) FROM hashed WHERE org_id IN (2, 3);
SELECT count(*), max(org_id) FROM ONLY parent;
SELECT count(*), max(org_id) FROM ONLY child;
SELECT tableoid::regclass, count(*), max(org_id) FROM parent GROUP BY 1 ORDER BY 1;
SELECT count(*), max(org_id) FROM (SELECT org_id FROM ranged_low UNION ALL SELECT org_id FROM grandchild) AS u;
COMMIT;
-- prepared, for tenants in turn
PREPARE p AS SELECT (SELECT string_agg(DISTINCT org_id::text, ',') FROM hashed) AS hashed, (SELECT string_agg(DISTINCT org_id::text, ',') FROM ranged) AS ranged, (SELECT string_agg(DISTINCT org_id::text, ',') FROM parent) AS parent;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE p; COMMIT;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE p; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; COMMIT;
RESET plan_cache_mode;

-- Writes: filled in before the partition is chosen; through the parent and by name.
BEGIN; SET LOCAL app.current_org_id = '2';
INSERT INTO hashed (id) VALUES (100) RETURNING tableoid::regclass IS NOT NULL AS routed, org_id;
INSERT INTO listed (id) VALUES (100) RETURNING tableoid::regclass, org_id;
INSERT INTO listed (org_id, id) VALUES (NULL, 101), (DEFAULT, 102) RETURNING tableoid::regclass, org_id;
INSERT INTO ranged (id) VALUES (100) RETURNING tableoid::regclass, *;
INSERT INTO ranged_high (id) VALUES (101) RETURNING tableoid::regclass, *;
INSERT INTO ranged_high_rest (id) VALUES (102) RETURNING *;
INSERT INTO child (id) VALUES (100) RETURNING *;
INSERT INTO listed_rest (id) VALUES (103) RETURNING *;
-- moved between partitions, and back
UPDATE ranged SET id = 5 + 200 WHERE id = 5 RETURNING tableoid::regclass, *;
UPDATE ranged SET id = 5 WHERE id = 205 RETURNING tableoid::regclass, *;
UPDATE hashed SET body = 'y' WHERE id = 1 RETURNING org_id, id, body;
UPDATE parent SET body = 'y' WHERE id IN (1, 6, 11) RETURNING tableoid::regclass, org_id;
DELETE FROM parent WHERE id IN (1, 6, 11) RETURNING tableoid::regclass, org_id;
MERGE INTO ranged AS r USING (VALUES (1), (300)) AS v (i) ON r.id = v.i WHEN MATCHED THEN UPDATE SET body = 'merged' WHEN NOT MATCHED THEN INSERT (id, body) VALUES (v.i, 'merged');
SELECT tableoid::regclass, org_id, id FROM ranged WHERE body = 'merged' ORDER BY id;
INSERT INTO hashed (id, body) VALUES (1, 'new') ON CONFLICT (org_id, id) DO UPDATE SET body = EXCLUDED.body RETURNING org_id, id, body;
ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO hashed VALUES (1, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO listed VALUES (1, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO listed_1 VALUES (1, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO ranged VALUES (1, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO ranged_high VALUES (3, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO ranged_high_rest (org_id, id) VALUES (3, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO child VALUES (3, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO grandchild VALUES (3, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_partitions_app; INSERT INTO ranged_high_rest (org_id, id) VALUES (3, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_partitions_app; INSERT INTO child VALUES (3, 100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE hashed SET org_id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE listed SET org_id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE ranged SET org_id = 3 WHERE id = 15; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE ranged_high_rest SET org_id = 3; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE parent SET org_id = 3 WHERE id = 15; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE grandchild SET org_id = 3 WHERE id = 15; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; MERGE INTO ranged AS r USING (VALUES (1)) AS v (i) ON r.id = v.i WHEN MATCHED THEN UPDATE SET org_id = 1, id = 50; ROLLBACK;
-- a trigger of one partition that changes the tenant
CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.org_id := 3; RETURN NEW; END $$;
CREATE TRIGGER moves BEFORE INSERT OR UPDATE ON ranged_high_rest FOR EACH ROW EXECUTE FUNCTION moves();
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO ranged (id) VALUES (100); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE ranged SET body = 'z' WHERE id = 15; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE ranged_high_rest SET body = 'z'; ROLLBACK;
DROP TRIGGER moves ON ranged_high_rest;
CREATE TRIGGER moves BEFORE UPDATE ON grandchild FOR EACH ROW EXECUTE FUNCTION moves();
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE parent SET body = 'z'; ROLLBACK;
DROP TRIGGER moves ON grandchild;
\set VERBOSITY default

-- A new partition, child or attached table is guarded from its first moment.
CREATE TABLE ranged_new PARTITION OF ranged FOR VALUES FROM (1000) TO (2000);
CREATE TABLE to_attach (LIKE ranged INCLUDING ALL);
INSERT INTO to_attach SELECT o, 2000, 'x' FROM generate_series(1, 3) AS o;
ALTER TABLE ranged ATTACH PARTITION to_attach FOR VALUES FROM (2000) TO (3000);
CREATE TABLE new_child () INHERITS (parent);
CREATE TABLE joins_in (org_id bigint NOT NULL, id int NOT NULL, body text);
INSERT INTO joins_in SELECT o, 1 FROM generate_series(1, 3) AS o;
ALTER TABLE joins_in INHERIT parent;
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO ranged_new (id) VALUES (1001) RETURNING *;
INSERT INTO new_child (id) VALUES (1) RETURNING *;
SELECT * FROM to_attach;
SELECT * FROM joins_in;
\set VERBOSITY sqlstate
INSERT INTO ranged_new VALUES (2, 1002);
ROLLBACK;
SELECT * FROM ranged_new;
SELECT * FROM to_attach;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO to_attach VALUES (2, 2001); ROLLBACK;
-- Its owner may have recorded it before, without row security, which is what a
-- table looks like that is being restored: it is made whole, or refused.
CREATE TABLE declared (org_id bigint NOT NULL, id int NOT NULL, body text, other_id bigint);
CREATE TABLE declared_otherwise (LIKE declared);
CREATE TABLE declared_below (org_id bigint NOT NULL, id int NOT NULL, body text) PARTITION BY RANGE (id);
CREATE TABLE declared_below_1 PARTITION OF declared_below FOR VALUES FROM (5000) TO (5010);
SELECT FROM tenantguard.record_relation('declared', 'tenant', 'org_id', NULL, NULL);
SELECT FROM tenantguard.record_relation('declared_otherwise', 'tenant', 'other_id', NULL, NULL);
SELECT FROM tenantguard.record_relation('declared_below', 'tenant', 'org_id', NULL, NULL);
SELECT FROM tenantguard.record_relation('declared_below_1', 'tenant', 'org_id', NULL, NULL);
INSERT INTO declared VALUES (1, 1), (2, 2);
INSERT INTO declared_below VALUES (1, 5001), (2, 5002);
ALTER TABLE declared INHERIT parent;
ALTER TABLE declared_otherwise INHERIT parent;
ALTER TABLE ranged ATTACH PARTITION declared_below FOR VALUES FROM (5000) TO (6000);
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname LIKE 'declared%' AND relkind IN ('r', 'p') ORDER BY relname;
SELECT * FROM declared;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM declared; SELECT * FROM declared_below_1; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('as it was'); DROP TABLE declared, declared_otherwise, declared_below; COMMIT;
-- Below a parent that is not guarded, what is written through the parent would
-- pass unchecked: no such parent without a bypass, and no such writes under it.
CREATE TABLE guarded (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id));
CREATE TABLE free_parent (org_id bigint NOT NULL, id int NOT NULL, body text);
CREATE TABLE free_ranged (org_id bigint NOT NULL, id int NOT NULL, body text) PARTITION BY RANGE (id);
INSERT INTO guarded SELECT o, 1 FROM generate_series(1, 3) AS o;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('guarded');
\set VERBOSITY default
ALTER TABLE guarded INHERIT free_parent;
ALTER TABLE free_ranged ATTACH PARTITION guarded FOR VALUES FROM (0) TO (9);
BEGIN; SELECT FROM tenantguard.begin_bypass('all the same'); ALTER TABLE guarded INHERIT free_parent; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM free_parent; UPDATE free_parent SET org_id = 2; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO free_parent USING (VALUES (1)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET org_id = 2; ROLLBACK;
SELECT * FROM free_parent;
BEGIN; SELECT FROM tenantguard.begin_bypass('back, and below the other'); ALTER TABLE guarded NO INHERIT free_parent; ALTER TABLE free_ranged ATTACH PARTITION guarded FOR VALUES FROM (0) TO (9); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM free_ranged; INSERT INTO free_ranged VALUES (2, 2); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE free_ranged SET org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; COPY free_ranged FROM stdin;
2	3	x
\.
ROLLBACK;
TRUNCATE free_ranged;
BEGIN; SELECT FROM tenantguard.begin_bypass('count'); SELECT * FROM free_ranged ORDER BY org_id; COMMIT;
-- It got what protect() gives, so it stays guarded when it leaves.
SELECT relid, mode, tenant_column, relrowsecurity, relforcerowsecurity, (SELECT string_agg(polname, ', ' ORDER BY polname) FROM pg_policy WHERE polrelid = relid) AS policies
	FROM tenantguard.guarded_relation JOIN pg_class ON oid = relid WHERE relname IN ('ranged_new', 'to_attach', 'new_child', 'joins_in') ORDER BY relname;
SELECT relation, mode FROM tenantguard.relations ORDER BY relation::text COLLATE "C";
SELECT tenantguard.protect('ranged');
\set VERBOSITY default
ALTER TABLE ranged DETACH PARTITION to_attach;
ALTER TABLE ranged DETACH PARTITION ranged_new CONCURRENTLY;
ALTER TABLE joins_in NO INHERIT parent;
SELECT relation, mode FROM tenantguard.relations ORDER BY relation::text COLLATE "C";
SELECT * FROM to_attach;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM to_attach; SELECT * FROM joins_in; INSERT INTO ranged_new (id) VALUES (1005) RETURNING *; INSERT INTO to_attach VALUES (2, 2001); ROLLBACK;
-- and goes back below it, but not below a parent that is guarded by another column or mode
CREATE TABLE other_column (org_id bigint, other_id bigint, id int NOT NULL, body text);
CREATE TABLE other_mode (org_id bigint, id int NOT NULL, body text);
ALTER TABLE joins_in ADD COLUMN other_id bigint;
SELECT count(*) FROM tenantguard.protect('other_column', 'other_id');
SELECT count(*) FROM tenantguard.protect('other_mode', 'org_id', shared_rows => true);
ALTER TABLE joins_in INHERIT other_column;
ALTER TABLE joins_in INHERIT other_mode;
ALTER TABLE joins_in INHERIT parent;
ALTER TABLE ranged ATTACH PARTITION to_attach FOR VALUES FROM (2000) TO (3000);
-- One without a record of its own would be open: not without a bypass.
BEGIN;
SELECT FROM tenantguard.begin_bypass('as if made without the library');
DELETE FROM tenantguard.guarded_relation WHERE relid IN ('to_attach'::regclass, 'joins_in'::regclass, 'ranged_low'::regclass);
ALTER TABLE ranged_low DISABLE ROW LEVEL SECURITY;
COMMIT;
ALTER TABLE ranged DETACH PARTITION to_attach;
ALTER TABLE ranged DETACH PARTITION to_attach CONCURRENTLY;
ALTER TABLE joins_in NO INHERIT parent;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM to_attach; SELECT count(*), max(org_id) FROM ranged_low; ROLLBACK;
-- A record without row security is a table that a restore still fills, so
-- nobody writes one: not its owner, and not a role that may write everywhere.
CREATE ROLE regress_partitions_owner;
GRANT USAGE, CREATE ON SCHEMA parts TO regress_partitions_owner;
CREATE TABLE owned (LIKE ranged);
ALTER TABLE owned OWNER TO regress_partitions_owner;
ALTER TABLE ranged_low OWNER TO regress_partitions_owner;
GRANT pg_write_all_data TO regress_partitions_owner;
SET ROLE regress_partitions_owner;
SELECT tenantguard.record_relation('ranged_low', 'tenant', 'org_id', NULL, NULL);
SELECT tenantguard.record_relation('ranged_low', 'exempt', NULL, 'mine', NULL);
INSERT INTO tenantguard.guarded_relation (relid, mode, tenant_column) VALUES ('ranged_low', 'tenant', 'org_id');
INSERT INTO tenantguard.bypass_grant (grantee, purpose) VALUES (current_user::regrole, 'migration');
INSERT INTO tenantguard.lookup_definition VALUES ('mine', 'ranged_low', '{id}', '{body}', 1000);
SELECT * FROM ranged_low;
RESET ROLE;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO tenantguard.guarded_relation (relid, mode, tenant_column) VALUES ('ranged_low', 'tenant', 'org_id'); ROLLBACK;
ALTER TABLE ranged_low OWNER TO CURRENT_USER;
DROP TABLE owned;
REVOKE ALL ON SCHEMA parts FROM regress_partitions_owner;
DROP ROLE regress_partitions_owner;
SELECT * FROM tenantguard.protect('ranged');
SELECT count(*) FROM tenantguard.protect('parent');
-- A partition is not made for a tenant that is set.
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE ranged_later PARTITION OF ranged FOR VALUES FROM (3000) TO (4000); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE later () INHERITS (parent); ROLLBACK;
-- a temporary child is guarded, and leaves nothing behind
CREATE TEMP TABLE passing () INHERITS (parent);
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO passing (id) VALUES (1) RETURNING *; INSERT INTO passing VALUES (2, 1); ROLLBACK;
SELECT count(*) FROM tenantguard.guarded_relation WHERE relid = 'passing'::regclass;
DROP TABLE passing;
-- shared tables are as strict about their partitions
CREATE TABLE codes (code int) PARTITION BY RANGE (code);
CREATE TABLE codes_0 PARTITION OF codes FOR VALUES FROM (0) TO (10);
SELECT * FROM tenantguard.share('codes');
CREATE TABLE codes_1 PARTITION OF codes FOR VALUES FROM (10) TO (20);
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO codes_0 VALUES (1); ROLLBACK;
INSERT INTO codes_1 VALUES (11);
ALTER TABLE codes DETACH PARTITION codes_1;
INSERT INTO codes_1 VALUES (11);
BEGIN; SELECT FROM tenantguard.begin_bypass('give up'); SELECT * FROM tenantguard.unprotect('codes', 'test'); COMMIT;
SELECT relid, mode FROM tenantguard.guarded_relation WHERE relid::text LIKE 'codes%';
\set VERBOSITY sqlstate
ALTER TABLE ranged_low DISABLE ROW LEVEL SECURITY;
ALTER TABLE child NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ranged_high_1 DROP COLUMN org_id;
TRUNCATE ranged_low;
\set VERBOSITY default
BEGIN; SELECT FROM tenantguard.begin_bypass('give up'); SELECT * FROM tenantguard.unprotect('ranged', 'test'); COMMIT;
SELECT relid FROM tenantguard.guarded_relation WHERE relid::text LIKE 'ranged%';

-- Below a parent of which the policies are all that is left, as after a dump
-- of the schema alone, a partition is guarded like it.
CREATE TABLE policed (org_id bigint NOT NULL, id int) PARTITION BY LIST (org_id);
ALTER TABLE policed ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenantguard_tenant ON policed AS RESTRICTIVE USING (tenantguard.visible(org_id));
CREATE POLICY tenantguard_partner ON policed USING (true);
CREATE TABLE policed_1 PARTITION OF policed FOR VALUES IN (1, 2);
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO policed (id) VALUES (1); COMMIT;
SELECT * FROM policed_1;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM policed_1; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM policed_1; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA parts CASCADE;
DROP ROLE regress_partitions_app;
