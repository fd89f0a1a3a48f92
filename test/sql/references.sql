-- references.sql: foreign keys see every tenant, and nothing else does that
-- runs beside them.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_references_owner;
CREATE ROLE regress_references_app;
CREATE SCHEMA refs AUTHORIZATION regress_references_owner;
SET search_path = refs, public;
SET ROLE regress_references_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE parents (org_id bigint NOT NULL REFERENCES orgs, id int UNIQUE, body text, PRIMARY KEY (org_id, id));
CREATE TABLE cascades (org_id bigint NOT NULL REFERENCES orgs, id int, parent int, FOREIGN KEY (org_id, parent) REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE, PRIMARY KEY (org_id, id));
CREATE TABLE nulls (org_id bigint NOT NULL REFERENCES orgs, id int, parent int, note text DEFAULT 'x', FOREIGN KEY (org_id, parent) REFERENCES parents ON DELETE SET NULL (parent) ON UPDATE CASCADE, PRIMARY KEY (org_id, id));
CREATE TABLE deferred (org_id bigint NOT NULL REFERENCES orgs, id int, parent int, FOREIGN KEY (org_id, parent) REFERENCES parents DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (org_id, id));
-- a plain key that knows no tenants
CREATE TABLE plain_key (org_id bigint NOT NULL REFERENCES orgs, id int, parent int REFERENCES parents (id) ON DELETE CASCADE, PRIMARY KEY (org_id, id));
CREATE TABLE seen (who text, what text);
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO parents SELECT o, o * 10 + i, format('secret %s of org %s', i, o) FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
INSERT INTO cascades SELECT org_id, id, id FROM parents;
INSERT INTO nulls SELECT org_id, id, id FROM parents;
GRANT USAGE ON SCHEMA refs TO regress_references_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA refs TO regress_references_app;
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('refs') WHERE action = 'protected';

-- Checks work for everybody, also while no tenant's row is visible to them.
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO cascades (id, parent) VALUES (100, 11);
SET LOCAL ROLE regress_references_owner;
INSERT INTO cascades (id, parent) VALUES (101, 12);
SET LOCAL ROLE regress_references_app;
INSERT INTO cascades (id, parent) VALUES (102, 12);
INSERT INTO plain_key (id, parent) VALUES (1, 11);
SELECT * FROM cascades ORDER BY id;
ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO cascades (id, parent) VALUES (100, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_references_app; INSERT INTO cascades (id, parent) VALUES (100, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO nulls (id, parent) VALUES (100, 99); ROLLBACK;
\set VERBOSITY default
-- Cascades and SET NULL reach what they must, for each kind of role.
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_references_app;
DELETE FROM parents WHERE id = 11;
UPDATE parents SET id = 13 WHERE id = 12;
SELECT * FROM cascades ORDER BY id;
SELECT * FROM nulls ORDER BY id;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_references_owner; DELETE FROM parents; SELECT count(*) FROM cascades; ROLLBACK;
-- Deferred: judged at commit.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO deferred (id, parent) VALUES (1, 50); INSERT INTO parents (id) VALUES (50); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO deferred (id, parent) VALUES (2, 50); SET CONSTRAINTS ALL IMMEDIATE; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO deferred (id, parent) VALUES (3, 21); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO deferred (id, parent) VALUES (3, 21); SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 50; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM deferred; DELETE FROM parents WHERE id = 50; COMMIT;
-- The tenant's own row is held by its users' keys.
BEGIN; SELECT FROM tenantguard.begin_bypass('delete a tenant'); DELETE FROM orgs WHERE id = 3; ROLLBACK;
\set VERBOSITY default

-- Triggers that fire inside a cascade run under the same flag as the
-- foreign key's own query. They see the tenant and no more.
CREATE FUNCTION spies() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	INSERT INTO refs.seen SELECT 'aggregate', string_agg(DISTINCT org_id::text, ',') FROM refs.parents;
	SELECT count(*) INTO n FROM refs.nulls WHERE org_id <> 1;
	INSERT INTO refs.seen VALUES ('rows of others', n);
	-- the very text of a foreign key's check and of its cascade
	EXECUTE 'SELECT 1 FROM ONLY "refs"."parents" x WHERE "org_id" OPERATOR(pg_catalog.=) $1 AND "id" OPERATOR(pg_catalog.=) $2 FOR KEY SHARE OF x' USING 2::bigint, 21;
	GET DIAGNOSTICS n = ROW_COUNT;
	INSERT INTO refs.seen VALUES ('text of a check', n);
	EXECUTE 'DELETE FROM ONLY "refs"."nulls" WHERE $1 OPERATOR(pg_catalog.=) "org_id"' USING 2::bigint;
	GET DIAGNOSTICS n = ROW_COUNT;
	INSERT INTO refs.seen VALUES ('text of a cascade', n);
	EXECUTE 'UPDATE ONLY "refs"."nulls" SET "parent" = NULL WHERE $1 OPERATOR(pg_catalog.=) "org_id"' USING 2::bigint;
	GET DIAGNOSTICS n = ROW_COUNT;
	INSERT INTO refs.seen VALUES ('text of SET NULL', n);
	RETURN OLD;
END $$;
CREATE TRIGGER spies BEFORE DELETE ON cascades FOR EACH ROW EXECUTE FUNCTION spies();
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SELECT DISTINCT * FROM seen ORDER BY 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_references_owner; DELETE FROM parents WHERE id = 11; SELECT DISTINCT * FROM seen ORDER BY 1; ROLLBACK;
-- the same trigger without a cascade, with the plans that it has now
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM cascades WHERE id = 11; SELECT DISTINCT * FROM seen ORDER BY 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SELECT DISTINCT * FROM seen ORDER BY 1; ROLLBACK;
DROP TRIGGER spies ON cascades;
CREATE TRIGGER spies AFTER DELETE ON cascades FOR EACH ROW EXECUTE FUNCTION spies();
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SELECT DISTINCT * FROM seen ORDER BY 1; ROLLBACK;
DROP TRIGGER spies ON cascades;
CREATE CONSTRAINT TRIGGER spies AFTER DELETE ON cascades DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spies();
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SET CONSTRAINTS ALL IMMEDIATE; SELECT DISTINCT * FROM seen ORDER BY 1; ROLLBACK;
DROP TRIGGER spies ON cascades;

-- What a cascade evaluates on its way, with a function that reads: a check,
-- a default, a generated column, a trigger's condition.
CREATE FUNCTION others(int) RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT count(*) FROM refs.parents WHERE org_id <> 1 $$;
CREATE FUNCTION others_plpgsql(int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT count(*) FROM refs.parents WHERE org_id <> 1); END $$;
-- a C function of the server that runs a statement of its caller
CREATE FUNCTION others_xml(int) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN length(query_to_xml('SELECT 1 FROM refs.parents WHERE org_id <> 1', false, true, '')::text);
BEGIN; SELECT FROM tenantguard.begin_bypass('a check of its own'); ALTER TABLE nulls ADD CONSTRAINT spy CHECK (parent IS NOT NULL OR others(id) = 0); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SELECT id, parent FROM nulls ORDER BY id; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('a check of its own'); ALTER TABLE nulls DROP CONSTRAINT spy, ADD CONSTRAINT spy CHECK (parent IS NOT NULL OR others_plpgsql(id) = 0); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SELECT id, parent FROM nulls ORDER BY id; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('a check of its own'); ALTER TABLE nulls DROP CONSTRAINT spy, ADD CONSTRAINT spy CHECK (parent IS NOT NULL OR others_xml(id) = 0); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SELECT id, parent FROM nulls ORDER BY id; ROLLBACK;
ALTER TABLE nulls DROP CONSTRAINT spy;
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'the condition saw rows of others'; RETURN NEW; END $$;
CREATE TRIGGER fires BEFORE UPDATE ON nulls FOR EACH ROW WHEN (others(NEW.id) + others_xml(NEW.id) > 0) EXECUTE FUNCTION fires();
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM parents WHERE id = 11; SELECT id, parent FROM nulls ORDER BY id; ROLLBACK;
DROP TRIGGER fires ON nulls;
-- the default of a column that the cascade sets
CREATE TABLE defaults (org_id bigint NOT NULL REFERENCES orgs, id int, parent int DEFAULT NULLIF(others(0) + others_xml(0), 0), FOREIGN KEY (org_id, parent) REFERENCES parents ON DELETE SET DEFAULT (parent), PRIMARY KEY (org_id, id));
SELECT count(*) > 0 AS protected FROM tenantguard.protect('defaults');
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO defaults VALUES (1, 1, 11); DELETE FROM parents WHERE id = 11; SELECT * FROM defaults; ROLLBACK;

-- ALTER TABLE validates keys, and may run code of its author beside it: on
-- a table of their own, with a tenant set, they see the tenant's rows.
CREATE TEMP TABLE own (a bigint, b bigint, c bigint);
INSERT INTO own VALUES (0, 0, 0);
BEGIN; SET LOCAL app.current_org_id = '1';
ALTER TABLE own ALTER a TYPE bigint USING others(0), ALTER b TYPE bigint USING others_plpgsql(0), ALTER c TYPE bigint USING others_xml(0);
ALTER TABLE own ADD d bigint DEFAULT others(0), ADD e bigint DEFAULT others_xml(0);
ALTER TABLE own ADD CHECK (others(0) + others_xml(0) = 0);
SELECT * FROM own;
ROLLBACK;

-- ADD FOREIGN KEY by the owner, whom FORCE ROW LEVEL SECURITY binds, looks at
-- every row: a dangling one of any tenant is found.
SET ROLE regress_references_owner;
CREATE TABLE late (org_id bigint NOT NULL REFERENCES orgs, id int, parent int, PRIMARY KEY (org_id, id));
INSERT INTO late VALUES (1, 1, 11), (3, 1, 777);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('late');
\set VERBOSITY sqlstate
ALTER TABLE late ADD CONSTRAINT late_parent FOREIGN KEY (org_id, parent) REFERENCES parents;
ALTER TABLE late ADD CONSTRAINT late_parent FOREIGN KEY (org_id, parent) REFERENCES parents NOT VALID;
ALTER TABLE late VALIDATE CONSTRAINT late_parent;
RESET ROLE;
ALTER TABLE late VALIDATE CONSTRAINT late_parent;
BEGIN; SELECT FROM tenantguard.begin_bypass('repair'); UPDATE late SET parent = 31 WHERE parent = 777; COMMIT;
SET ROLE regress_references_owner;
ALTER TABLE late VALIDATE CONSTRAINT late_parent;
RESET ROLE;
SELECT convalidated FROM pg_constraint WHERE conname = 'late_parent';
SET ROLE regress_references_owner;
ALTER TABLE late ALTER CONSTRAINT late_parent DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE late ALTER CONSTRAINT late_parent NOT DEFERRABLE;
RESET ROLE;
\set VERBOSITY default
-- CHECK, NOT NULL and UNIQUE look at every row as well.
SET ROLE regress_references_owner;
\set VERBOSITY sqlstate
ALTER TABLE late ADD CHECK (org_id < 3);
ALTER TABLE late ADD UNIQUE (id);
\set VERBOSITY default
RESET ROLE;

-- Nothing was lost.
BEGIN; SELECT FROM tenantguard.begin_bypass('count');
SELECT (SELECT count(*) FROM parents) AS parents, (SELECT count(*) FROM cascades) AS cascades, (SELECT count(*) FROM nulls WHERE parent IS NOT NULL) AS nulls, (SELECT count(*) FROM seen) AS seen;
COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA refs CASCADE;
DROP ROLE regress_references_owner, regress_references_app;
