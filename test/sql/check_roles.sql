-- check_roles.sql: what check() says of roles, grants, privileges and stored
-- settings. Roles belong to the server, so only those made here are shown.
SET client_min_messages = error;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_check_owner;
CREATE ROLE "regress_check App" LOGIN;
CREATE ROLE regress_check_group;
CREATE SCHEMA "Check It" AUTHORIZATION regress_check_owner;
SET search_path = "Check It", public;
SET ROLE regress_check_owner;
CREATE TABLE "Orgs" (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active');
CREATE TABLE "Tickets" ("orgId" bigint NOT NULL REFERENCES "Orgs", id bigint, PRIMARY KEY ("orgId", id));
GRANT USAGE ON SCHEMA "Check It" TO "regress_check App", regress_check_group;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "Check It" TO "regress_check App";
RESET ROLE;
SELECT tenantguard.adopt_registry('"Orgs"', 'id', 'status') \g /dev/null
SELECT tenantguard.protect('"Tickets"') \g /dev/null
\pset format unaligned
\pset tuples_only on
CREATE TEMP VIEW found AS
	SELECT code, object, detail, fix FROM tenantguard.check('"Check It"')
	WHERE code LIKE 'TG3%' AND (object ~ 'regress_check|Check It|4000000000|tenantguard' OR code = 'TG314');
CREATE TEMP VIEW fixes AS SELECT fix FROM found WHERE fix IS NOT NULL;

-- TG314 holds in every new database.
SELECT code, detail, regexp_replace(fix, current_database(), 'current') FROM found;
SELECT fix AS take, 'GRANT TEMPORARY ON DATABASE ' || quote_ident(current_database()) || ' TO PUBLIC' AS give FROM fixes \gset
:take
TABLE found;
-- That is a schema in order: no rule about it finds anything.
SELECT code, object FROM tenantguard.check('"Check It"') WHERE code ~ '^TG[123]' AND object !~ '^role ';

-- TG301, TG302, TG319, TG320: attributes of roles that log in.
CREATE ROLE "regress_check Boss" LOGIN SUPERUSER;
CREATE ROLE "regress_check Tool" LOGIN BYPASSRLS REPLICATION CREATEROLE;
CREATE ROLE regress_check_idle BYPASSRLS REPLICATION CREATEROLE;
TABLE found;
-- A backup needs BYPASSRLS, a replica REPLICATION.
SELECT tenantguard.grant_bypass('"regress_check Tool"', 'backup');
SELECT tenantguard.grant_bypass('"regress_check Tool"', 'replication');
SELECT code, object FROM found;
SELECT tenantguard.revoke_bypass('"regress_check Tool"');
SELECT fix FROM fixes \gexec
TABLE found;
DROP ROLE "regress_check Boss", "regress_check Tool", regress_check_idle;

-- TG303, TG304, TG305, TG306, TG307: grants. An owner's migration that ends
-- is in order.
SELECT tenantguard.grant_bypass('regress_check_owner', 'migration', '2100-01-01');
TABLE found;
SELECT tenantguard.grant_bypass('"regress_check App"', 'test');
TABLE found;
SELECT fix FROM fixes WHERE fix LIKE '%grant_bypass%' ORDER BY fix \gexec
SELECT code, object FROM found;
SELECT tenantguard.grant_bypass('"regress_check App"', 'replication');
SELECT tenantguard.grant_bypass('regress_check_group', 'support', '2100-01-01');
GRANT regress_check_group TO "regress_check App";
TABLE found;
SELECT fix FROM fixes \gexec
REVOKE regress_check_group FROM "regress_check App";
TABLE found;
BEGIN; SELECT tenantguard.begin_bypass('break'); UPDATE tenantguard.bypass_grant SET until = '2020-01-01 UTC' WHERE purpose = 'support'; INSERT INTO tenantguard.bypass_grant VALUES (4000000000, 'job'); COMMIT;
SET timezone = 'UTC';
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG308, TG309: who is the owner.
ALTER TABLE "Orgs" OWNER TO "regress_check App";
ALTER TABLE "Tickets" OWNER TO "regress_check App";
REVOKE ALL ON "Orgs", "Tickets" FROM regress_check_owner;
TABLE found;
ALTER TABLE "Orgs" OWNER TO regress_check_owner;
ALTER TABLE "Tickets" OWNER TO regress_check_owner;
GRANT regress_check_owner TO "regress_check App";
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "Check It" TO "regress_check App";

-- TG310, TG311, TG312: privileges on guarded tables, columns among them.
BEGIN;
SELECT FROM tenantguard.begin_bypass('more than need be');
GRANT TRUNCATE, TRIGGER ON "Tickets" TO "regress_check App";
GRANT REFERENCES (id) ON "Orgs" TO regress_check_group;
GRANT SELECT, TRUNCATE ON "Orgs" TO PUBLIC;
COMMIT;
GRANT SELECT ON "Tickets" TO regress_check_group WITH GRANT OPTION;
SET ROLE regress_check_group;
GRANT SELECT ON "Tickets" TO regress_check_owner;
RESET ROLE;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- PostgreSQL 17 knows one more.
DO $$ BEGIN IF current_setting('server_version_num')::int >= 170000 THEN
	PERFORM tenantguard.begin_bypass('nightly maintenance', scope => 'session', until => now() + interval '1 hour');
	EXECUTE 'GRANT MAINTAIN ON "Tickets" TO regress_check_group';
	PERFORM tenantguard.end_bypass(); END IF; END $$;
SELECT count(*) = (current_setting('server_version_num')::int >= 170000)::int FROM found WHERE code = 'TG310' AND detail ~ 'MAINTAIN';
DO $$ DECLARE fix text; BEGIN FOR fix IN SELECT f.fix FROM fixes AS f LOOP EXECUTE fix; END LOOP; END $$;
TABLE found;

-- TG313, TG315: what new objects may bring.
GRANT CREATE ON SCHEMA "Check It" TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_check_owner IN SCHEMA "Check It" GRANT SELECT, TRIGGER, REFERENCES ON TABLES TO "regress_check App";
ALTER DEFAULT PRIVILEGES FOR ROLE regress_check_owner GRANT SELECT, TRUNCATE ON TABLES TO PUBLIC;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG316, TG317, TG318: predefined roles, also through another one.
GRANT pg_read_server_files, pg_execute_server_program TO "regress_check App";
GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO regress_check_group;
TABLE found;
GRANT regress_check_group TO "regress_check App";
TABLE found;
SELECT fix FROM fixes \gexec
REVOKE regress_check_group FROM "regress_check App";
TABLE found;

-- TG321 to TG325: what is stored with roles, databases and functions.
BEGIN;
SELECT FROM tenantguard.begin_bypass('settings that open');
ALTER ROLE "regress_check App" SET tenantguard.enforce = log;
COMMIT;
ALTER ROLE "regress_check App" SET tenantguard.missing_context = empty;
SELECT format('ALTER ROLE regress_check_owner IN DATABASE %I SET tenantguard.context_scope = session', current_database()) AS statement \gset
BEGIN;
SELECT FROM tenantguard.begin_bypass('a session setting');
:statement;
ALTER ROLE regress_check_owner SET tenantguard.enforce = on;
CREATE FUNCTION "Check It"."Quietly"(int) RETURNS int LANGUAGE sql SET session_replication_role = replica AS 'SELECT 1';
COMMIT;
SELECT code, replace(object, current_database(), 'current'), detail, replace(fix, current_database(), 'current') FROM found;
SELECT fix AS statement FROM fixes WHERE fix ~ 'DATABASE' \gset
SELECT fix FROM fixes WHERE fix !~ 'DATABASE' \gexec
:statement
TABLE found;
DROP FUNCTION "Quietly"(int);
-- A tenant was stored when the library was not loaded.
BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE FUNCTION "Check It"."Old"() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT FROM tenantguard.begin_bypass('by hand'); UPDATE pg_proc SET proconfig = '{app.current_org_id=7}' WHERE proname = 'Old'; SELECT FROM tenantguard.end_bypass();
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
ROLLBACK;

-- TG326, TG327: the extension's own objects.
GRANT EXECUTE ON FUNCTION tenantguard.grant_bypass(regrole, text, timestamptz) TO "regress_check App";
GRANT INSERT, DELETE ON tenantguard.bypass_grant TO "regress_check App";
GRANT CREATE ON SCHEMA tenantguard TO PUBLIC;
BEGIN; SELECT tenantguard.begin_bypass('break'); ALTER FUNCTION tenantguard.propose(regnamespace, name[], boolean) OWNER TO regress_check_owner; COMMIT;
SELECT code, object, detail, regexp_replace(fix, 'OWNER TO .*', 'OWNER TO ...') FROM found;
SELECT fix AS statement FROM fixes WHERE fix ~ 'OWNER' \gset
SELECT fix FROM fixes WHERE fix !~ 'OWNER' \gexec
:statement
TABLE found;

-- Who may not read the grants sees the rest.
SELECT tenantguard.grant_bypass('"regress_check App"', 'job');
BEGIN;
SELECT FROM tenantguard.begin_bypass('more than need be');
GRANT TRUNCATE ON "Tickets" TO regress_check_group;
COMMIT;
TABLE found;
GRANT SELECT ON found TO "regress_check App";
SET ROLE "regress_check App";
SELECT code, object FROM tenantguard.check('"Check It"') WHERE object ~ 'regress_check|Check It';
RESET ROLE;
:give;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA "Check It" CASCADE;
DROP OWNED BY regress_check_owner, "regress_check App", regress_check_group;
DROP ROLE regress_check_owner, "regress_check App", regress_check_group;
