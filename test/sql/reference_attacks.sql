-- reference_attacks.sql: ways around the check of a reference. Row 21 is another
-- tenant's, or none: whoever asks cannot tell, and nothing refers to it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY terse
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_attacks_app;
CREATE SCHEMA attacks;
SET search_path = attacks, public;
CREATE TABLE orgs (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active');
CREATE TABLE parents (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, UNIQUE (org_id, id));
CREATE TABLE kids (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, p int REFERENCES parents ON DELETE CASCADE, later int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE halves (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE halves_low PARTITION OF halves FOR VALUES FROM (0) TO (20);
CREATE TABLE halves_high PARTITION OF halves FOR VALUES FROM (20) TO (1000);
CREATE TABLE quarters (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, half int REFERENCES halves ON UPDATE CASCADE ON DELETE CASCADE, later int REFERENCES halves ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED) PARTITION BY RANGE (id);
CREATE TABLE quarters_low PARTITION OF quarters FOR VALUES FROM (0) TO (20);
CREATE TABLE quarters_high PARTITION OF quarters FOR VALUES FROM (20) TO (1000);
CREATE FUNCTION another() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 21';
CREATE TABLE defaults (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, p int DEFAULT another() REFERENCES parents ON DELETE SET DEFAULT);
CREATE TABLE computed (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, n int, p int GENERATED ALWAYS AS (n + 1) STORED REFERENCES parents);
CREATE TABLE moved (org_id bigint NOT NULL REFERENCES orgs, id int, p int, PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, p) REFERENCES parents (org_id, id) ON UPDATE CASCADE);
INSERT INTO orgs VALUES (1), (2);
INSERT INTO parents VALUES (1, 11), (1, 12), (2, 21);
INSERT INTO halves VALUES (1, 11), (2, 12), (1, 31), (2, 21);
INSERT INTO moved VALUES (1, 1, 12);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id', 'status');
SELECT relation, action FROM tenantguard.protect_all('attacks') WHERE action = 'protected';
GRANT USAGE ON SCHEMA attacks TO regress_attacks_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA attacks TO regress_attacks_app;

-- Between the row and its deferred check: savepoints, kept and undone; another
-- role; the tenant taken away; the end in a procedure or in two
-- phases.
BEGIN; SET LOCAL app.current_org_id = '1'; SAVEPOINT a; INSERT INTO kids (id, later) VALUES (1, 21); RELEASE a; SAVEPOINT b; SELECT 1 / 0; ROLLBACK TO b; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 21); SAVEPOINT a; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO a; COMMIT;
BEGIN; SAVEPOINT a; SET LOCAL app.current_org_id = '1'; SAVEPOINT b; INSERT INTO kids (id, later) VALUES (1, 21); ROLLBACK TO b; INSERT INTO kids (id, later) VALUES (2, 21); RELEASE b; RELEASE a; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 11); SAVEPOINT a; UPDATE kids SET later = 21; ROLLBACK TO a; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM kids; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 21); SET LOCAL ROLE regress_attacks_app; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 21); SET SESSION AUTHORIZATION regress_attacks_app; COMMIT;
RESET SESSION AUTHORIZATION;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 21); SET LOCAL app.current_org_id = ''; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 21); DISCARD PLANS; RESET ALL; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 21); PREPARE TRANSACTION 'attack';
BEGIN; INSERT INTO orgs VALUES (3); SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, later) VALUES (1, 21); COMMIT;
CREATE PROCEDURE ends(tenant text, later int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.current_org_id', tenant, true);
	INSERT INTO attacks.kids (id, later) VALUES (1, later);
	COMMIT;
	PERFORM set_config('app.current_org_id', '2', true);
	DELETE FROM attacks.kids;
END $$;
CALL ends('1', 21);
CALL ends('1', 11);
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM kids RETURNING *; COMMIT;

-- What stands between the statement and the row: views with their own triggers,
-- rules, triggers before and after the row, a generated column, a cursor, CTEs.
BEGIN; SELECT FROM tenantguard.begin_bypass('prepare');
CREATE VIEW checked AS SELECT * FROM kids WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW instead AS SELECT id, p FROM kids;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO attacks.kids (id, p) VALUES (NEW.id, NEW.p); RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON instead FOR EACH ROW EXECUTE FUNCTION instead();
CREATE TABLE ruled (id int, p int);
CREATE RULE ruled AS ON INSERT TO ruled DO ALSO INSERT INTO kids (id, p) VALUES (NEW.id, NEW.p);
CREATE FUNCTION bends() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 400 THEN NEW.p := 21; END IF; RETURN NEW; END $$;
CREATE TRIGGER bends BEFORE INSERT OR UPDATE ON kids FOR EACH ROW EXECUTE FUNCTION bends();
CREATE FUNCTION bends_after() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE attacks.kids SET p = 21 WHERE id = 500 AND p = 11; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER bends_after AFTER INSERT ON kids DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 500) EXECUTE FUNCTION bends_after();
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO checked (id, p) VALUES (1, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO instead VALUES (1, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO instead VALUES (1, 11); SELECT org_id, id, p FROM kids; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO ruled VALUES (1, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, p) VALUES (400, 11); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, p) VALUES (500, 11); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, p) VALUES (500, 11); SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO computed (id, n) VALUES (1, 20); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO computed (id, n) VALUES (1, 10); UPDATE computed SET n = 20; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO kids (id, p) VALUES (1, 11); DECLARE c CURSOR FOR SELECT * FROM kids FOR UPDATE; MOVE 1 FROM c; UPDATE kids SET p = 21 WHERE CURRENT OF c; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; WITH n AS (INSERT INTO parents (id) VALUES (13) RETURNING id) INSERT INTO kids (id, p) SELECT 1, id FROM n RETURNING org_id, p; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; WITH d AS (DELETE FROM parents WHERE id = 11 RETURNING id) INSERT INTO kids (id, p) SELECT 1, 21 FROM d; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO kids USING (VALUES (1, 21)) AS v (id, p) ON kids.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, p) VALUES (v.id, v.p); ROLLBACK;

-- A default that leads astray, when the row referred to goes.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO defaults (id) VALUES (1); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO defaults (id, p) VALUES (1, 12); DELETE FROM moved; DELETE FROM parents WHERE id = 12; ROLLBACK;

-- Rows that move between partitions, on either side.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO quarters (id, half) VALUES (1, 12); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO quarters_low (id, half) VALUES (1, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO quarters (id, half) VALUES (1, 11); UPDATE quarters SET id = 30; UPDATE quarters SET id = 2, half = 21; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO quarters (id, later) VALUES (1, 11); UPDATE quarters SET id = 30; UPDATE quarters SET id = 2, later = 21; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO quarters (id, half, later) VALUES (1, 11, 11); UPDATE halves SET id = 41 WHERE id = 11; UPDATE quarters SET id = 30; SET CONSTRAINTS ALL IMMEDIATE; SELECT tableoid::regclass, * FROM quarters; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO quarters (id, half) VALUES (1, 11), (2, 31); DELETE FROM halves; SELECT count(*) FROM quarters; ROLLBACK;

-- The tenant column itself, at once and by a cascade.
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE parents SET org_id = 2 WHERE id = 12; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('move'); SELECT tenantguard.enter(1); UPDATE parents SET org_id = 2 WHERE id = 12; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('move'); UPDATE parents SET org_id = 2 WHERE id = 12; SELECT * FROM moved; ROLLBACK;
-- Under a bypass a row may be left behind; it is found, and no tenant's change
-- reaches it.
BEGIN; SELECT FROM tenantguard.begin_bypass('move'); INSERT INTO kids VALUES (1, 1, 11, NULL); UPDATE kids SET org_id = 2; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE kids SET id = 2; UPDATE kids SET p = 12; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT code, detail FROM tenantguard.check_rows('attacks'); DELETE FROM kids; COMMIT;

-- Nothing crosses.
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT * FROM tenantguard.check_rows('attacks'); SELECT count(*) FROM kids; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA attacks CASCADE;
DROP ROLE regress_attacks_app;
