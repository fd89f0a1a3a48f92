-- neutral.sql: another tenant's row is met by a key, or by a statement that
-- looks at every row, and no error shows what it holds.
SET client_min_messages = warning;
\set SHOW_CONTEXT always
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_neutral_owner;
CREATE ROLE regress_neutral_app;
CREATE SCHEMA neutral AUTHORIZATION regress_neutral_owner;
SET search_path = neutral, public;
SET ROLE regress_neutral_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE rooms (org_id bigint NOT NULL REFERENCES orgs, id int, during int4range, title text, secret text, CONSTRAINT apart EXCLUDE USING gist (during WITH &&), CONSTRAINT id_alone UNIQUE (id));
CREATE TABLE later (org_id bigint NOT NULL REFERENCES orgs, id int, during int4range, CONSTRAINT later_apart EXCLUDE USING gist (during WITH &&) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE parted (org_id bigint NOT NULL REFERENCES orgs, id int, email text) PARTITION BY RANGE (id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE UNIQUE INDEX parted_a_email ON parted_a (lower(email)) INCLUDE (org_id);
INSERT INTO orgs VALUES (1), (2);
INSERT INTO rooms VALUES (2, 1, '[100,200)', 'Hidden', 'hidden'), (2, 2, '[300,400)', 'Hidden', 'hidden');
INSERT INTO later VALUES (2, 1, '[100,200)');
INSERT INTO parted VALUES (2, 1, 'Hidden@example.com');
GRANT USAGE ON SCHEMA neutral TO regress_neutral_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA neutral TO regress_neutral_app;
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('neutral') WHERE action = 'protected';

-- An exclusion constraint, by a role that row security does not bind.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (5, '[150,151)'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (5, '[1,2)'); UPDATE rooms SET during = '[150,151)'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (5, '[150,151)') ON CONFLICT DO NOTHING RETURNING id; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (5, '[150,151)') ON CONFLICT (id) DO UPDATE SET title = 'x'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO rooms USING (VALUES (5)) AS v (id) ON rooms.id = v.id WHEN NOT MATCHED THEN INSERT (id, during) VALUES (5, '[150,151)'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; COPY rooms (id, during) FROM stdin;
5	[150,151)
\.
ROLLBACK;
DO $$
DECLARE
	found text;
BEGIN
	PERFORM set_config('app.current_org_id', '1', true);
	INSERT INTO neutral.rooms (id, during) VALUES (5, '[150,151)');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL;
	RAISE WARNING '%: %', SQLERRM, found;
END $$;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later (id, during) VALUES (5, '[150,151)'); SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK;
-- by one that it binds, also at the end of the transaction
SET ROLE regress_neutral_app;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (5, '[150,151)'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later (id, during) VALUES (5, '[150,151)'); COMMIT;
RESET ROLE;
-- the tenant's own
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (5, '[1,3)'), (6, '[2,4)'); ROLLBACK;

-- A unique key, also of one partition alone: what the statement itself said.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id) VALUES (1); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id) VALUES (5); UPDATE rooms SET id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = 'x' WHERE 1 / (length(rooms.secret) - length(rooms.secret)) > 0; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING *; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO rooms USING (VALUES (1)) AS v (id) ON rooms.id = v.id WHEN MATCHED THEN UPDATE SET title = rooms.secret WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO parted (id, email) VALUES (5, 'HIDDEN@example.com'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO parted_a (id, email) VALUES (5, 'HIDDEN@example.com') ON CONFLICT (lower(email)) DO UPDATE SET id = 6; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; COPY parted (id, email) FROM stdin;
5	HIDDEN@example.com
\.
ROLLBACK;
-- A value that is no number is the statement's own.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT secret::int FROM rooms; INSERT INTO rooms (id, secret) VALUES (5, 'mine'); SELECT secret::int FROM rooms; ROLLBACK;

-- Statements that look at every row, by whoever may run them.
SET ROLE regress_neutral_owner;
CREATE UNIQUE INDEX ON rooms (title);
CREATE INDEX ON rooms ((secret::int));
ALTER TABLE rooms ALTER secret TYPE int USING secret::int;
ALTER TABLE rooms ADD COLUMN n int GENERATED ALWAYS AS (secret::int) STORED;
ALTER TABLE rooms ADD CHECK (secret::int > 0);
ALTER TABLE parted_a ADD CHECK (email::int > 0);
ALTER TABLE rooms ADD CHECK (id > 1);
ALTER TABLE rooms ADD CONSTRAINT longer EXCLUDE USING gist (int4range(0, 1000) WITH &&);
CREATE TABLE people (id int PRIMARY KEY);
ALTER TABLE rooms ADD CONSTRAINT of_people FOREIGN KEY (id) REFERENCES people;
CREATE STATISTICS rooms_secret ON (secret::int), id FROM rooms;
ANALYZE rooms;
DROP STATISTICS rooms_secret;
RESET ROLE;
CREATE UNIQUE INDEX ON rooms (title);
-- under a bypass they say it
BEGIN; SELECT FROM tenantguard.begin_bypass('what is in the way'); ALTER TABLE rooms ALTER secret TYPE int USING secret::int; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('what is in the way'); ALTER TABLE rooms ADD CONSTRAINT of_people FOREIGN KEY (id) REFERENCES people; ROLLBACK;
-- What is wrong with the statement's own text is said, if that is found before
-- the rows are looked at; and so is what is in tables that are not guarded.
ALTER TABLE rooms ADD CHECK (id > 'none');
ALTER TABLE rooms ADD COLUMN n int DEFAULT 'none';
CREATE TABLE free (note text);
INSERT INTO free VALUES ('not a number');
ALTER TABLE free ALTER note TYPE int USING note::int;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA neutral CASCADE;
DROP ROLE regress_neutral_owner, regress_neutral_app;
