-- reference_caller.sql: whose queries count as a foreign key's own.  The
-- server's see every tenant at every level and moment; code that runs below a
-- cascade or inside ALTER TABLE is filtered, however it is written.
SET client_min_messages = notice;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA caller;
SET search_path = caller, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, secret text);
CREATE TABLE level_2 (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, doc int REFERENCES docs ON DELETE CASCADE);
CREATE TABLE level_3 (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, up int REFERENCES level_2 ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE later (id int PRIMARY KEY, doc int REFERENCES docs DEFERRABLE INITIALLY DEFERRED);
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO docs SELECT i, 1 + i % 3, 'secret of org ' || 1 + i % 3 FROM generate_series(1, 9) AS i;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) FROM tenantguard.protect_all('caller') WHERE action = 'protected';
SET client_min_messages = notice;

-- Cascades reach rows of other tenants, which hang on a deleted one, at every
-- level, also after an error that a trigger caught: for a tenant that is the
-- end, under a bypass they go.
CREATE FUNCTION catches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN NULL; END $$;
CREATE TRIGGER "AAA" AFTER DELETE ON docs FOR EACH ROW EXECUTE FUNCTION catches();
BEGIN; SELECT FROM tenantguard.begin_bypass('rows across tenants');
INSERT INTO level_2 VALUES (1, 1, 3), (2, 2, 3);
INSERT INTO level_3 VALUES (1, 3, 1), (2, 1, 2);
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM docs WHERE id = 3; COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('count');
SELECT (SELECT count(*) FROM level_2) AS level_2, (SELECT count(*) FROM level_3) AS level_3;
DELETE FROM docs WHERE id = 3;
SELECT (SELECT count(*) FROM level_2) AS level_2, (SELECT count(*) FROM level_3) AS level_3;
COMMIT;

-- Deferred checks at COMMIT and after ROLLBACK in a procedure.
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.current_org_id', '1', true);
	PERFORM count(*) FROM docs;
	ROLLBACK;
	PERFORM set_config('app.current_org_id', '1', true);
	INSERT INTO docs (id, secret) VALUES (30, 'new');
	INSERT INTO later VALUES (1, 30);
	COMMIT;
	INSERT INTO later VALUES (2, 30);
	COMMIT;
END $$;
CALL commits();
SELECT count(*) FROM later;

-- Keys are validated by compound and type-changing ALTER TABLEs.
ALTER TABLE level_2 ADD COLUMN note text DEFAULT 'none', ADD COLUMN other int REFERENCES docs, ADD FOREIGN KEY (id) REFERENCES docs NOT VALID;
ALTER TABLE docs ALTER COLUMN id TYPE bigint;

-- Code below a cascade: PL/pgSQL, after a caught error in a loop; DO; SQL; XML.
SET client_min_messages = warning;
CREATE FUNCTION seen(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '%', $1; RETURN true; END $$;
CREATE FUNCTION spy_sql(int) RETURNS boolean LANGUAGE sql AS $$ SELECT caller.seen('sql saw ' || string_agg(DISTINCT secret, ',')) FROM caller.docs WHERE id > $1 $$;
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT count(*) FROM docs;
CREATE TEMP TABLE par (id int PRIMARY KEY);
CREATE TEMP TABLE chi (id int REFERENCES par ON DELETE SET NULL, CHECK (id IS NOT NULL OR caller.spy_sql(0)),
	CHECK (id IS NOT NULL OR caller.seen('xml saw ' || query_to_xml('SELECT DISTINCT secret FROM caller.docs', false, true, '')::text)));
INSERT INTO par VALUES (1);
INSERT INTO chi VALUES (1);
CREATE FUNCTION pg_temp.spy() RETURNS trigger LANGUAGE plpgsql AS $f$
DECLARE r record; v int := 0; n int; s text;
BEGIN
	BEGIN FOR r IN SELECT 1 / (x - 1) FROM generate_series(1, 3) AS x LOOP NULL; END LOOP; EXCEPTION WHEN OTHERS THEN NULL; END;
	SELECT string_agg(DISTINCT secret, ',') INTO s FROM docs WHERE id > v;
	RAISE WARNING 'plpgsql saw %', s;
	SELECT 1 INTO n FROM docs WHERE id = 1;
	RAISE WARNING 'foreign key shape saw %', n;
	EXECUTE $d$ DO $x$ DECLARE v int := 0; n int; BEGIN
		UPDATE docs SET secret = 'changed' WHERE id > v; GET DIAGNOSTICS n = ROW_COUNT; RAISE WARNING 'DO changed %', n; END $x$ $d$;
	RETURN NEW;
END $f$;
CREATE TRIGGER spy BEFORE UPDATE ON chi FOR EACH ROW EXECUTE FUNCTION pg_temp.spy();
DELETE FROM par;
-- Code inside ALTER TABLE.
CREATE TEMP TABLE tmp (x text);
INSERT INTO tmp VALUES ('');
ALTER TABLE tmp ALTER x TYPE text USING caller.spy_sql(0)::text;
ALTER TABLE tmp ALTER x TYPE text USING query_to_xml('SELECT DISTINCT secret FROM caller.docs', false, true, '')::text;
SELECT x LIKE '%org 1%' OR x LIKE '%changed%' AS own, x LIKE '%org 2%' OR x LIKE '%org 3%' AS foreign FROM tmp;
ROLLBACK;
-- A cast inlined into the validation of a key.
BEGIN; SET LOCAL app.current_org_id = '1';
CREATE TYPE caller.e AS ENUM ('a');
CREATE FUNCTION caller.to_int(caller.e) RETURNS int LANGUAGE sql AS $$
	SELECT CASE WHEN caller.seen('cast saw ' || query_to_xml('SELECT DISTINCT secret FROM caller.docs', false, true, '')::text) THEN 1 END $$;
CREATE CAST (caller.e AS int) WITH FUNCTION caller.to_int(caller.e) AS IMPLICIT;
CREATE TEMP TABLE pk (id int PRIMARY KEY);
CREATE TEMP TABLE fk (x caller.e);
INSERT INTO pk VALUES (1);
INSERT INTO fk VALUES ('a');
ALTER TABLE fk ADD FOREIGN KEY (x) REFERENCES pk (id);
ROLLBACK;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA caller CASCADE;
