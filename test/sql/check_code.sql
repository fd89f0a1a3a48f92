-- check_code.sql: what check() finds about functions, triggers, views and
-- whatever carries rows past the guard, that its fix cures it, and that a sound
-- schema has none of it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_check_code_owner;
CREATE ROLE regress_check_code_other;
CREATE ROLE regress_check_code_boss BYPASSRLS;
CREATE ROLE regress_check_code_super SUPERUSER;
CREATE SCHEMA sound AUTHORIZATION regress_check_code_owner;
CREATE SCHEMA "Code Schema" AUTHORIZATION regress_check_code_owner;
CREATE SCHEMA open_house;
GRANT CREATE ON SCHEMA open_house TO PUBLIC;
GRANT ALL ON SCHEMA "Code Schema" TO regress_check_code_other, regress_check_code_boss;
SET search_path = "Code Schema", public;
SET ROLE regress_check_code_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2);
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
CREATE TEMP VIEW found AS
	SELECT f.code, r.severity, f.object, f.detail, f.fix
	FROM (
		SELECT * FROM tenantguard.check_functions('"Code Schema"')
		UNION ALL SELECT * FROM tenantguard.check_triggers('"Code Schema"')
		UNION ALL SELECT * FROM tenantguard.check_expressions('"Code Schema"')
		UNION ALL SELECT * FROM tenantguard.check_outlets('"Code Schema"')
	) AS f JOIN tenantguard.check_rule AS r USING (code)
	ORDER BY f.code, f.object COLLATE "C";
GRANT SELECT ON found TO PUBLIC;
SET ROLE regress_check_code_owner;

-- A sound schema: nothing to say.
CREATE TABLE sound.tickets (org_id bigint NOT NULL REFERENCES orgs, id bigint GENERATED ALWAYS AS IDENTITY, title text CHECK (length(title) > 0), PRIMARY KEY (org_id, id));
CREATE VIEW sound.titles WITH (security_invoker) AS SELECT title FROM sound.tickets;
CREATE VIEW sound.by_owner AS SELECT title FROM sound.tickets;
CREATE FUNCTION sound.safe() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = sound, pg_temp RETURN (SELECT count(*) FROM sound.tickets);
CREATE FUNCTION sound.empty_path() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT count(*) FROM sound.tickets';
CREATE FUNCTION sound.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON sound.tickets FOR EACH ROW EXECUTE FUNCTION sound.touch();
GRANT USAGE ON SEQUENCE sound.tickets_id_seq TO regress_check_code_other;
SELECT relation, action FROM tenantguard.protect_all('sound');
SELECT * FROM tenantguard.check_functions('sound');
SELECT * FROM tenantguard.check_triggers('sound');
SELECT * FROM tenantguard.check_expressions('sound');
SELECT * FROM tenantguard.check_outlets('sound');
SELECT * FROM found;

-- Functions.
CREATE TABLE "Camel Case" ("orgId" bigint NOT NULL REFERENCES orgs, id serial, "Email" text, PRIMARY KEY ("orgId", id));
SELECT count(*) > 0 AS protected FROM tenantguard.protect('"Camel Case"');
CREATE FUNCTION unpinned("Who Is" text) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint';
CREATE FUNCTION front() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = "Code Schema", pg_catalog AS 'SELECT 1::bigint';
CREATE PROCEDURE temp_first() LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, pg_catalog AS '';
CREATE FUNCTION house() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = open_house, pg_temp AS 'SELECT 1::bigint';
CREATE FUNCTION help_me() RETURNS void LANGUAGE sql AS 'SELECT tenantguard.begin_bypass(''help'')';
SET ROLE regress_check_code_super;
CREATE FUNCTION by_text() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN (SELECT count(*) FROM "Code Schema"."Camel Case"); END';
CREATE FUNCTION by_body() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN (SELECT count(*) FROM "Camel Case");
CREATE FUNCTION not_reached() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT 1::bigint';
CREATE FUNCTION closed() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN (SELECT count(*) FROM "Camel Case");
REVOKE EXECUTE ON FUNCTION closed() FROM PUBLIC;
CREATE FUNCTION by_words() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN PERFORM set_config(''TenantGuard.enforce'', ''log'', true); END';
CREATE FUNCTION leaky(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true';
RESET ROLE;
SET allow_system_table_mods = on;
BEGIN; SELECT FROM tenantguard.begin_bypass('by hand'); UPDATE pg_proc SET proleakproof = true WHERE oid = 'textlike'::regproc; COMMIT;
RESET allow_system_table_mods;
\x
SELECT * FROM found;
\x
-- The attack that TG404 is about, by whoever may call the function.
SET ROLE regress_check_code_other;
SELECT by_words(), current_setting('tenantguard.enforce');
RESET ROLE;
SELECT fix FROM found WHERE fix IS NOT NULL \gexec
SELECT code, object FROM found;
REVOKE CREATE ON SCHEMA open_house FROM PUBLIC;
SELECT code, object FROM found;
DROP FUNCTION by_body(), by_text();

-- Triggers and rules.
SET ROLE regress_check_code_other;
CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
SET ROLE regress_check_code_owner;
CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE log (org_id bigint NOT NULL, email text);
CREATE TRIGGER "Spy on" AFTER INSERT ON "Camel Case" FOR EACH ROW EXECUTE FUNCTION spy();
CREATE TRIGGER sleeps AFTER INSERT ON "Camel Case" FOR EACH ROW EXECUTE FUNCTION own();
CREATE TRIGGER elsewhere AFTER INSERT ON "Camel Case" FOR EACH ROW EXECUTE FUNCTION own();
ALTER TABLE "Camel Case" DISABLE TRIGGER sleeps, ENABLE REPLICA TRIGGER elsewhere;
CREATE RULE "Rule" AS ON INSERT TO "Camel Case" DO ALSO INSERT INTO log VALUES (NEW."orgId", NEW."Email");
RESET ROLE;
SELECT format('ALTER TABLE "Camel Case" DISABLE TRIGGER %I', tgname) AS off FROM pg_trigger WHERE tgrelid = '"Camel Case"'::regclass AND tgisinternal ORDER BY oid LIMIT 1 \gset
BEGIN; SELECT FROM tenantguard.begin_bypass('as if from before the guard');
:off;
COMMIT;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
ALTER FUNCTION on_ddl() OWNER TO regress_check_code_other;
SET ROLE regress_check_code_super;
CREATE EVENT TRIGGER regress_check_code ON ddl_command_end EXECUTE FUNCTION on_ddl();
RESET ROLE;
SELECT code, severity, object, detail, regexp_replace(fix, '\d+', 'N') AS fix FROM found;
DO $$ DECLARE f record; BEGIN FOR f IN SELECT fix FROM found WHERE fix IS NOT NULL LOOP EXECUTE f.fix; END LOOP; END $$;
SELECT code, object FROM found;
DROP EVENT TRIGGER regress_check_code;
SELECT code, object FROM found;

-- Functions that run over every tenant's rows.
SET ROLE regress_check_code_other;
CREATE FUNCTION theirs(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
SET ROLE regress_check_code_owner;
CREATE FUNCTION ours(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION no_row() RETURNS boolean STABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
BEGIN; SELECT FROM tenantguard.begin_bypass('as if from before the guard');
CREATE INDEX ON "Camel Case" ("orgId", theirs("Email"));
CREATE STATISTICS ours_stats ON (ours("Email")), id FROM "Camel Case";
ALTER TABLE "Camel Case" ADD CHECK (theirs("Email") <> 'x'), ADD COLUMN g text GENERATED ALWAYS AS (theirs("Email")) STORED;
COMMIT;
CREATE POLICY p ON "Camel Case" AS RESTRICTIVE FOR DELETE USING (no_row());
RESET ROLE;
SELECT code, severity, object, detail, fix FROM found;
SELECT fix FROM found WHERE fix IS NOT NULL \gexec
SELECT code, object, detail FROM found;
ALTER TABLE "Camel Case" DROP COLUMN g, DROP CONSTRAINT "Camel Case_Email_check";
DROP FUNCTION theirs(text), ours(text) CASCADE;
SELECT code, object FROM found;

-- Sequences.
GRANT ALL ON SEQUENCE "Camel Case_id_seq" TO regress_check_code_other, PUBLIC, regress_check_code_boss;
SELECT code, severity, object, detail, fix FROM found;
SELECT fix FROM found WHERE fix IS NOT NULL \gexec
SELECT code, object FROM found;
SELECT has_sequence_privilege('regress_check_code_other', '"Camel Case_id_seq"', 'USAGE') AS still_used;

-- Replication.
SET client_min_messages = error;
CREATE TABLE bare (a int);
BEGIN;
SELECT FROM tenantguard.begin_bypass('publications of every kind');
CREATE PUBLICATION "Some" FOR TABLE "Camel Case", bare;
CREATE PUBLICATION filtered FOR TABLE "Camel Case" WHERE ("orgId" = 1);
CREATE PUBLICATION other_filter FOR TABLE "Camel Case" WHERE (id > 0);
CREATE PUBLICATION harmless FOR TABLE bare;
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA "Code Schema";
CREATE PUBLICATION everything FOR ALL TABLES;
COMMIT;
CREATE SUBSCRIPTION incoming CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false);
SET allow_system_table_mods = on;
BEGIN; SELECT FROM tenantguard.begin_bypass('by hand'); INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT s.oid, c.oid, 'r' FROM pg_subscription AS s, pg_class AS c WHERE c.oid IN ('"Camel Case"'::regclass, 'bare'::regclass); COMMIT;
RESET allow_system_table_mods;
SET client_min_messages = warning;
SELECT code, severity, object, detail, fix FROM found;
ALTER PUBLICATION "Some" SET TABLE "Camel Case" WHERE ("orgId" = 2), bare;
DROP PUBLICATION of_schema, everything, other_filter;
ALTER SUBSCRIPTION incoming SET (slot_name = NONE);
DROP SUBSCRIPTION incoming;
SELECT code, object FROM found;
DROP PUBLICATION "Some", filtered, harmless;

-- Foreign servers.
CREATE FOREIGN DATA WRAPPER regress_check_code;
CREATE SERVER "Far Away" FOREIGN DATA WRAPPER regress_check_code;
CREATE SERVER unused FOREIGN DATA WRAPPER regress_check_code;
GRANT USAGE ON FOREIGN SERVER "Far Away", unused TO PUBLIC, regress_check_code_other;
CREATE FOREIGN TABLE far (org_id bigint NOT NULL) SERVER "Far Away";
SELECT count(*) > 0 AS protected FROM tenantguard.protect('far', 'org_id');
SELECT code, severity, object, detail, fix FROM found;
SELECT fix FROM found WHERE fix IS NOT NULL \gexec
SELECT code, object FROM found;

-- Views.
CREATE VIEW "Of Boss" AS SELECT * FROM "Camel Case";
ALTER VIEW "Of Boss" OWNER TO regress_check_code_boss;
CREATE VIEW invoked WITH (security_invoker = on) AS SELECT * FROM "Camel Case";
SET ROLE regress_check_code_owner;
CREATE VIEW beside AS SELECT * FROM "Camel Case";
CREATE VIEW free AS SELECT * FROM log;
RESET ROLE;
SELECT code, severity, object, detail, fix FROM found;
SELECT fix FROM found WHERE fix IS NOT NULL \gexec
SELECT code, object FROM found;

-- Large objects, which belong to no schema.
BEGIN; SELECT FROM tenantguard.begin_bypass('as if from before the guard');
SET ROLE regress_check_code_other;
SELECT lo_create(7654321) > 0 AS created;
RESET ROLE;
COMMIT;
SELECT code, object, detail FROM tenantguard.check_outlets(NULL) WHERE code = 'TG420';
BEGIN; SELECT FROM tenantguard.begin_bypass('as if from before the guard');
SELECT lo_unlink(7654321);
COMMIT;
SELECT code, object FROM tenantguard.check_outlets(NULL) WHERE code = 'TG420';

-- Whoever may not read a table may ask all the same.
SET ROLE regress_check_code_other;
SELECT count(*) >= 0 AS works FROM tenantguard.check();
RESET ROLE;
DROP VIEW found;
DROP EXTENSION tenantguard CASCADE;
DROP FOREIGN DATA WRAPPER regress_check_code CASCADE;
DROP SCHEMA sound CASCADE;
DROP SCHEMA open_house CASCADE;
DROP SCHEMA "Code Schema" CASCADE;
DROP ROLE regress_check_code_owner;
DROP ROLE regress_check_code_other;
DROP ROLE regress_check_code_boss;
DROP ROLE regress_check_code_super;
