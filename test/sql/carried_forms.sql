-- carried_forms.sql: carried columns of every type of key, over links of every
-- form.
SET client_min_messages = error;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_forms_app;
CREATE SCHEMA forms;
SET search_path = forms, public;
GRANT USAGE ON SCHEMA forms TO regress_forms_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA forms GRANT ALL ON TABLES TO regress_forms_app;
CREATE TABLE orgs (id int PRIMARY KEY);
CREATE TABLE uuid_orgs (id uuid PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO uuid_orgs VALUES ('00000000-0000-0000-0000-000000000001'), ('00000000-0000-0000-0000-000000000002');
CREATE FUNCTION derived(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenantguard.derive(relation);
	RETURN (SELECT r.mode FROM tenantguard.relations AS r WHERE r.relation = $1);
END $$;
CREATE PROCEDURE carry(relation regclass, batch int DEFAULT 100) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenantguard.add_tenant_column(relation);
	COMMIT;
	CALL tenantguard.backfill_tenant_column(relation, batch);
	CALL tenantguard.finish_tenant_column(relation, build_index => true);
END $$;

-- A registry with uuids.
CREATE TABLE pu (id uuid PRIMARY KEY, org_id uuid NOT NULL);
CREATE TABLE cu (id int PRIMARY KEY, p_id uuid NOT NULL REFERENCES pu);
INSERT INTO pu VALUES ('00000000-0000-0000-0000-0000000000aa', '00000000-0000-0000-0000-000000000001');
INSERT INTO cu VALUES (1, '00000000-0000-0000-0000-0000000000aa');
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('uuid_orgs', 'id');
SELECT count(*) > 0 AS guarded FROM tenantguard.protect('pu', 'org_id');
SELECT count(*) > 0 AS guarded FROM tenantguard.derive('cu');
SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');
CALL carry('cu');
UPDATE pu SET org_id = '00000000-0000-0000-0000-000000000002';
INSERT INTO cu VALUES (2, '00000000-0000-0000-0000-0000000000aa');
SELECT id, org_id, pg_typeof(org_id) FROM cu ORDER BY id;
SELECT tenantguard.end_bypass();
BEGIN; SET LOCAL app.current_org_id = '00000000-0000-0000-0000-000000000002';
INSERT INTO cu VALUES (3, '00000000-0000-0000-0000-0000000000aa') RETURNING org_id;
ROLLBACK;
DROP EXTENSION tenantguard CASCADE;
CREATE EXTENSION tenantguard;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');

-- Every type of key.
CREATE DOMAIN tenant_name AS varchar(40);
CREATE TABLE p4 (id int PRIMARY KEY, org_id int);
CREATE TABLE p8 (id bigint PRIMARY KEY, org_id bigint);
CREATE TABLE pt (id text PRIMARY KEY, org_id text COLLATE "C");
CREATE TABLE pd (id varchar PRIMARY KEY, org_id tenant_name);
CREATE TABLE c4 (id int PRIMARY KEY, p_id int REFERENCES p4);
CREATE TABLE c8 (id int PRIMARY KEY, p_id int REFERENCES p8);
CREATE TABLE ct (id int PRIMARY KEY, p_id varchar(10) REFERENCES pt);
CREATE TABLE cd (id int PRIMARY KEY, p_id varchar REFERENCES pd);
INSERT INTO p4 VALUES (1, 1), (2, 2);
INSERT INTO p8 VALUES (1, 1), (2, 2);
INSERT INTO pt VALUES ('a', '1'), ('b', '2');
INSERT INTO pd VALUES ('a', '1'), ('b', '2');
INSERT INTO c4 VALUES (1, 1), (2, 2);
INSERT INTO c8 VALUES (1, 1), (2, 2);
INSERT INTO ct VALUES (1, 'a'), (2, 'b');
INSERT INTO cd VALUES (1, 'a'), (2, 'b');
SELECT count(*) > 0 AS guarded FROM unnest('{p4,p8,pt,pd}'::regclass[]) AS r, tenantguard.protect(r, 'org_id');
SELECT count(*) > 0 AS guarded FROM unnest('{c4,c8,ct,cd}'::regclass[]) AS r, tenantguard.derive(r);
CALL carry('c4'); CALL carry('c8'); CALL carry('ct'); CALL carry('cd');
SELECT attrelid::regclass, format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull FROM pg_attribute WHERE attname = 'org_id' AND attrelid = ANY ('{c4,c8,ct,cd}'::regclass[]) ORDER BY attrelid::regclass::text;
INSERT INTO c4 VALUES (3, 2); INSERT INTO c8 VALUES (3, 2); INSERT INTO ct VALUES (3, 'b'); INSERT INTO cd VALUES (3, 'b');
SELECT 'c4', id, org_id::text FROM c4 UNION ALL SELECT 'c8', id, org_id::text FROM c8
UNION ALL SELECT 'ct', id, org_id FROM ct UNION ALL SELECT 'cd', id, org_id FROM cd ORDER BY 1, 2;
UPDATE p4 SET org_id = 3 WHERE id = 2; UPDATE p8 SET org_id = 3 WHERE id = 2; UPDATE pt SET org_id = '3' WHERE id = 'b'; UPDATE pd SET org_id = '3' WHERE id = 'b';
SELECT 'c4' AS relation, org_id::text, count(*) FROM c4 GROUP BY 2 UNION ALL SELECT 'c8', org_id::text, count(*) FROM c8 GROUP BY 2
UNION ALL SELECT 'ct', org_id, count(*) FROM ct GROUP BY 2 UNION ALL SELECT 'cd', org_id, count(*) FROM cd GROUP BY 2 ORDER BY 1, 2;

-- Parents whose keys have different types agree by what they spell.
CREATE TABLE mixed (id int PRIMARY KEY, four int REFERENCES p4, eight bigint REFERENCES p8, word text REFERENCES pt);
SELECT derived('mixed');
SELECT columns FROM tenantguard.links WHERE relation = 'mixed'::regclass ORDER BY 1;
INSERT INTO mixed VALUES (1, 1, 1, 'a'), (2, 2, NULL, 'b'), (3, 1, 2, NULL);
SELECT * FROM tenantguard.disagreements('mixed');
DELETE FROM mixed WHERE id = 3;
CALL carry('mixed');
INSERT INTO mixed VALUES (4, NULL, 2, 'b') RETURNING org_id, pg_typeof(org_id);
INSERT INTO mixed VALUES (5, 1, 1, 'b');
DROP TABLE mixed;

-- Four links deep, the relations between without a column.
CREATE TABLE d1 (id int PRIMARY KEY, up int NOT NULL REFERENCES p4);
CREATE TABLE d2 (id int PRIMARY KEY, up int NOT NULL REFERENCES d1);
CREATE TABLE d3 (id int PRIMARY KEY, up int NOT NULL REFERENCES d2);
CREATE TABLE d4 (id int PRIMARY KEY, up int NOT NULL REFERENCES d3, over int REFERENCES d4);
SELECT derived('d1'), derived('d2'), derived('d3'), derived('d4');
INSERT INTO d1 SELECT g, 1 + g % 2 FROM generate_series(1, 10) AS g; INSERT INTO d2 SELECT g, g FROM generate_series(1, 10) AS g;
INSERT INTO d3 SELECT g, g FROM generate_series(1, 10) AS g; INSERT INTO d4 SELECT g, g, 1 FROM generate_series(1, 10) AS g;
CALL carry('d4');
SELECT relation, mode FROM tenantguard.relations WHERE relation = ANY ('{d1,d2,d3,d4}'::regclass[]) ORDER BY relation::text;
SELECT org_id, count(*) FROM d4 GROUP BY 1 ORDER BY 1;
UPDATE p4 SET org_id = 2 WHERE id = 2;
SELECT org_id, count(*) FROM d4 GROUP BY 1 ORDER BY 1;
UPDATE d1 SET up = 1 WHERE id IN (1, 2, 3);
SELECT org_id, count(*) FROM d4 GROUP BY 1 ORDER BY 1;
UPDATE d3 SET up = 1 WHERE id = 5;
SELECT org_id, count(*) FROM d4 GROUP BY 1 ORDER BY 1;
-- one between gets a column later, and is what the others follow from then on
CALL carry('d2');
UPDATE p4 SET org_id = 3 WHERE id = 1;
SELECT org_id, count(*) FROM d4 GROUP BY 1 ORDER BY 1;
SELECT tgrelid::regclass, own FROM pg_trigger CROSS JOIN LATERAL tenantguard.own_trigger_columns(tgrelid, tgname) AS own WHERE tgname = 'tenantguard_follow' AND tgrelid = ANY ('{d1,d2,d3,d4}'::regclass[]) ORDER BY 1;
UPDATE d2 SET up = 4 WHERE id = 1 RETURNING org_id;
SELECT org_id FROM d4 WHERE id = 1;
SELECT count(*) AS doubtful FROM tenantguard.disagreements('d4');
UPDATE p4 SET org_id = id;

-- Composite keys, quoted names, columns in another order than the index's.
CREATE TABLE "Big Order" (region text, "No." int, org_id int NOT NULL, UNIQUE ("No.", region));
CREATE TABLE "Order ""Line""" (id int PRIMARY KEY, region text, "Order No." int, FOREIGN KEY (region, "Order No.") REFERENCES "Big Order" (region, "No.") ON UPDATE CASCADE);
INSERT INTO "Big Order" VALUES ('eu', 1, 1), ('us', 1, 2);
INSERT INTO "Order ""Line""" VALUES (1, 'eu', 1), (2, 'us', 1);
SELECT count(*) > 0 AS guarded FROM tenantguard.protect('"Big Order"', 'org_id');
SELECT derived('"Order ""Line"""');
CALL carry('"Order ""Line"""');
INSERT INTO "Order ""Line""" VALUES (3, 'us', 1), (4, NULL, 1);
INSERT INTO "Order ""Line""" VALUES (3, 'us', 1);
UPDATE "Big Order" SET "No." = 7 WHERE org_id = 2;
UPDATE "Big Order" SET org_id = 3 WHERE org_id = 2;
SELECT * FROM "Order ""Line""" ORDER BY id;

-- A partitioned table, whose partitions have their columns in other places.
CREATE TABLE events (id int, at date, p_id int REFERENCES p4) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_2 (gone int, p_id int, at date, id int);
ALTER TABLE events_2 DROP COLUMN gone;
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO events SELECT g, date '2026-01-01' + g % 59, 1 + g % 2 FROM generate_series(1, 500) AS g;
SELECT derived('events');
CALL carry('events', 50);
SELECT tableoid::regclass, org_id, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2;
CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'events_3'::regclass AND tgname LIKE 'tenantguard%' ORDER BY 1;
INSERT INTO events VALUES (1001, '2026-03-05', 2) RETURNING org_id;
INSERT INTO events_2 (id, at, p_id) VALUES (1002, '2026-02-05', 2) RETURNING org_id;
UPDATE events SET at = '2026-02-07', p_id = 1 WHERE id = 1001 RETURNING tableoid::regclass, org_id;
UPDATE p4 SET org_id = 3 WHERE id = 1;
SELECT tableoid::regclass, org_id, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2;
UPDATE p4 SET org_id = 1 WHERE id = 1;
SELECT count(*) AS doubtful FROM tenantguard.disagreements('events');
BEGIN; SELECT tenantguard.end_bypass(); SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_forms_app;
INSERT INTO events VALUES (1003, '2026-03-06', 2) RETURNING org_id;
SAVEPOINT s;
INSERT INTO events VALUES (1003, '2026-03-06', 1);
ROLLBACK TO s;
COPY events (id, at, p_id) FROM stdin;
1004	2026-01-06	2
1005	2026-02-06	2
\.
SELECT tableoid::regclass, org_id FROM events WHERE id > 1003 ORDER BY id;
ROLLBACK;
SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');

-- A partitioned parent.
CREATE TABLE boxes (id int, kind text, org_id int NOT NULL, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE boxes_a PARTITION OF boxes FOR VALUES IN ('a');
CREATE TABLE boxes_b (org_id int NOT NULL, kind text NOT NULL, id int NOT NULL);
ALTER TABLE boxes ATTACH PARTITION boxes_b FOR VALUES IN ('b');
CREATE TABLE items (id int PRIMARY KEY, box_id int, box_kind text, FOREIGN KEY (box_id, box_kind) REFERENCES boxes (id, kind));
INSERT INTO boxes VALUES (1, 'a', 1), (1, 'b', 2);
INSERT INTO items VALUES (1, 1, 'a'), (2, 1, 'b');
SELECT count(*) > 0 AS guarded FROM tenantguard.protect('boxes', 'org_id');
SELECT derived('items');
CALL carry('items');
INSERT INTO items VALUES (3, 1, 'b') RETURNING org_id;
UPDATE boxes SET org_id = 3 WHERE kind = 'b';
SELECT * FROM items ORDER BY id;

-- A polymorphic link, which no foreign key states.
CREATE TABLE files (id int PRIMARY KEY, owner_type text, owner_id int, name text);
SELECT tenantguard.add_link('files', '{owner_id}', 'p4', '{id}', 'owner_type', 'Four');
SELECT tenantguard.add_link('files', '{owner_id}', 'd2', '{id}', 'owner_type', 'Deep');
SELECT derived('files');
INSERT INTO files VALUES (1, 'Four', 1), (2, 'Deep', 2), (3, 'Four', 99), (4, 'Else', 1);
SELECT * FROM tenantguard.disagreements('files') ORDER BY row_key;
SELECT count(*) AS statements FROM tenantguard.add_tenant_column('files');
CALL tenantguard.backfill_tenant_column('files');
SELECT id, org_id FROM files ORDER BY id;
SELECT * FROM tenantguard.quarantine('files') ORDER BY row_key;
CALL tenantguard.finish_tenant_column('files', build_index => true);
INSERT INTO files VALUES (5, 'Deep', 1) RETURNING org_id;
INSERT INTO files VALUES (6, 'Four', 99, '', 1);
INSERT INTO files VALUES (6, 'Four', 1, '', 2);
INSERT INTO files VALUES (6, 'Else', 99, '', 2);
UPDATE files SET owner_type = 'Four' WHERE id = 5 RETURNING org_id;
UPDATE p4 SET org_id = 3 WHERE id = 1;
SELECT id, org_id FROM files ORDER BY id;
UPDATE p4 SET org_id = 1 WHERE id = 1;
BEGIN; SELECT tenantguard.end_bypass(); SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_forms_app;
INSERT INTO files VALUES (7, 'Four', 2) RETURNING org_id;
SAVEPOINT s;
INSERT INTO files VALUES (8, 'Four', 1);
ROLLBACK TO s;
INSERT INTO files VALUES (8, 'Four', 99);
ROLLBACK TO s;
UPDATE files SET owner_id = 1 WHERE id = 7;
ROLLBACK;
SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');

-- Foreign keys that are checked at the end of the transaction.
CREATE TABLE late (id int PRIMARY KEY, p_id int REFERENCES p4 DEFERRABLE INITIALLY DEFERRED);
INSERT INTO late VALUES (1, 1);
SELECT derived('late');
CALL carry('late');
SELECT tgdeferrable, tginitdeferred FROM pg_trigger WHERE tgrelid = 'late'::regclass AND tgname = 'tenantguard_carried';
BEGIN; INSERT INTO late VALUES (2, 50, 2); INSERT INTO p4 VALUES (50, 2); COMMIT;
BEGIN; INSERT INTO late VALUES (3, 51, 1); INSERT INTO p4 VALUES (51, 2); COMMIT;
BEGIN; SELECT tenantguard.end_bypass(); SET LOCAL app.current_org_id = '2'; INSERT INTO late VALUES (4, 52); INSERT INTO p4 VALUES (52); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO late VALUES (5, 53); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO late VALUES (6, 52); DELETE FROM late WHERE id = 6; COMMIT;
SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');
SELECT * FROM late ORDER BY id;

-- Rows of a parent that all tenants read belong to nobody.
CREATE TABLE templates (id int PRIMARY KEY, org_id int);
CREATE TABLE fields (id int PRIMARY KEY, template_id int NOT NULL REFERENCES templates);
INSERT INTO templates VALUES (1, 1), (2, NULL); INSERT INTO fields VALUES (1, 1), (2, 2);
SELECT count(*) > 0 AS guarded FROM tenantguard.protect('templates', 'org_id', shared_rows => true);
SELECT derived('fields');
SELECT count(*) AS statements FROM tenantguard.add_tenant_column('fields');
CALL tenantguard.backfill_tenant_column('fields');
SELECT * FROM tenantguard.disagreements('fields');
SELECT * FROM fields ORDER BY id;

-- What a statement has found about parents it remembers, until it writes
-- anything else: a parent that moves, goes or comes back while rows below it
-- are written. By a foreign key, and by a link without one.
CREATE TABLE hubs (id int PRIMARY KEY, org_id int NOT NULL REFERENCES orgs);
CREATE TABLE spokes (id int PRIMARY KEY, hub_id int NOT NULL REFERENCES hubs);
CREATE TABLE rims (id int PRIMARY KEY, spoke_id int NOT NULL REFERENCES spokes);
CREATE TABLE tires (id int PRIMARY KEY, spoke_id int NOT NULL);
CREATE TABLE bolts (id int PRIMARY KEY, spoke_id int NOT NULL REFERENCES spokes);
INSERT INTO hubs VALUES (1, 1), (2, 2), (3, 1);
INSERT INTO spokes VALUES (1, 1), (2, 2), (3, 3);
SELECT count(*) > 0 AS guarded FROM tenantguard.protect('hubs', 'org_id');
SELECT derived('spokes'), derived('rims'), derived('bolts');
SELECT tenantguard.add_link('tires', '{spoke_id}', 'spokes', '{id}');
SELECT derived('tires');
CALL carry('rims');
CALL carry('tires');
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id % 10 = 3 THEN
		EXECUTE TG_ARGV[0];
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER aa_meddle BEFORE INSERT ON rims FOR EACH ROW EXECUTE FUNCTION meddle('UPDATE hubs SET org_id = 3 - org_id WHERE id = 1');
INSERT INTO rims SELECT g, 1 FROM generate_series(1, 5) AS g;
SELECT org_id, count(*) FROM rims GROUP BY org_id;
COPY rims (id, spoke_id) FROM stdin;
11	1
12	1
13	1
14	1
\.
SELECT org_id, count(*) FROM rims GROUP BY org_id;
CREATE TRIGGER aa_meddle BEFORE INSERT ON tires FOR EACH ROW EXECUTE FUNCTION meddle('DELETE FROM spokes WHERE id = 3');
INSERT INTO tires SELECT g, 3 FROM generate_series(1, 2) AS g;
INSERT INTO tires SELECT g, 3 FROM generate_series(6, 14) AS g;
SELECT count(*), min(org_id), max(org_id) FROM tires;
DROP TRIGGER aa_meddle ON rims;
DROP TRIGGER aa_meddle ON tires;
BEGIN;
SAVEPOINT s;
INSERT INTO hubs VALUES (9, 1); INSERT INTO spokes VALUES (9, 9); INSERT INTO tires VALUES (90, 9) RETURNING org_id;
ROLLBACK TO s;
INSERT INTO tires VALUES (90, 9);
ROLLBACK;
SELECT tenantguard.end_bypass();
-- with a tenant: its own, a neighbour's and none, one after the other
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_forms_app;
INSERT INTO bolts SELECT g, 1 + g % 2 * 2 FROM generate_series(1, 10) AS g;
SAVEPOINT s;
INSERT INTO bolts VALUES (11, 1), (12, 3), (13, 2);
ROLLBACK TO s;
INSERT INTO bolts VALUES (11, 1), (12, 3), (13, 99);
ROLLBACK TO s;
INSERT INTO hubs VALUES (9, 1); INSERT INTO spokes VALUES (9, 9); INSERT INTO bolts VALUES (11, 9);
ROLLBACK TO s;
INSERT INTO bolts VALUES (11, 9);
ROLLBACK TO s;
INSERT INTO rims VALUES (20, 1), (21, 3) RETURNING org_id;
INSERT INTO rims VALUES (22, 2);
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO bolts VALUES (20, 2); SAVEPOINT s;
INSERT INTO bolts VALUES (21, 2), (22, 1);
ROLLBACK;
-- what it asks for them nobody else may ask
CREATE TABLE curious (id int REFERENCES hubs ON DELETE CASCADE);
CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'own %, neighbour''s %', tenantguard.leads_to_tenant('spokes'::regclass, false, '{2}', 3),
		tenantguard.leads_to_tenant('spokes'::regclass, false, '{2}', 2);
	PERFORM tenantguard.leads_to_tenant('spokes'::regclass, false, '{2}', 'text'::text);
	RETURN OLD;
END $$;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_forms_app;
SELECT tenantguard.leads_to_tenant('spokes'::regclass, false, '{2}', 3);
ROLLBACK;
CREATE TRIGGER ask BEFORE DELETE ON curious FOR EACH ROW EXECUTE FUNCTION ask();
SELECT count(*) > 0 AS guarded FROM tenantguard.derive('curious');
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL client_min_messages = warning;
INSERT INTO hubs VALUES (9, 1); INSERT INTO curious VALUES (9);
DELETE FROM hubs WHERE id = 9;
ROLLBACK;
SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');

-- Columns that are called like what the library calls a row.
CREATE TABLE letters (id int PRIMARY KEY, t int NOT NULL REFERENCES hubs, d text, p int);
SELECT derived('letters');
SELECT count(*) AS statements FROM tenantguard.add_tenant_column('letters');
INSERT INTO letters VALUES (1, 1, 'd', 1);
ALTER TABLE letters DISABLE TRIGGER tenantguard_carry, DISABLE TRIGGER tenantguard_carried;
INSERT INTO letters VALUES (2, 2, 'd', 2, 1);
ALTER TABLE letters ENABLE TRIGGER tenantguard_carry, ENABLE TRIGGER tenantguard_carried;
SELECT * FROM tenantguard.disagreements('letters');
SELECT * FROM tenantguard.quarantine('letters');
SELECT tenantguard.release_quarantine('letters') AS released;

-- Inheritance, where triggers do not go down by themselves.
CREATE TABLE base (id int, p_id int NOT NULL REFERENCES p4);
CREATE TABLE sub (extra int, FOREIGN KEY (p_id) REFERENCES p4) INHERITS (base);
INSERT INTO base VALUES (1, 1); INSERT INTO sub VALUES (2, 2, 0);
SELECT derived('base');
CALL carry('base');
INSERT INTO sub (id, p_id) VALUES (3, 2) RETURNING org_id;
SELECT tableoid::regclass, id, org_id FROM base ORDER BY id;

-- Dropped with its record; a link that is gone says so.
DROP TABLE late;
SELECT count(*) AS recorded FROM tenantguard.carried_column WHERE relid NOT IN (SELECT oid FROM pg_class);
SELECT relation, column_name, state FROM tenantguard.backfills ORDER BY relation::text;

DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA forms CASCADE;
DROP ROLE regress_forms_app;
