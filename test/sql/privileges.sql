-- privileges.sql: TRIGGER, REFERENCES, TRUNCATE (and MAINTAIN) on guarded
-- relations stay with the owner, whoever grants them and whatever the spelling.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_priv_owner;
CREATE ROLE regress_priv_app;
CREATE ROLE "regress_priv App 2";
CREATE ROLE regress_priv_etl;
CREATE SCHEMA privs AUTHORIZATION regress_priv_owner;
GRANT USAGE ON SCHEMA privs TO PUBLIC;
SET search_path = privs, public;
SET ROLE regress_priv_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE "Docs" (org_id bigint NOT NULL REFERENCES orgs, id int, PRIMARY KEY (org_id, id));
CREATE TABLE parts (org_id bigint NOT NULL REFERENCES orgs, id int) PARTITION BY LIST (org_id);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE codes (code text);
CREATE TABLE exempted (id int);
CREATE TABLE free (org_id bigint NOT NULL, id int);
CREATE TABLE above (org_id bigint, id int);
CREATE SEQUENCE numbers;
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('"Docs"', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('parts', 'org_id');
SELECT count(*) > 0 AS shared FROM tenantguard.share('codes');
SELECT count(*) > 0 AS exempted FROM tenantguard.exempt('exempted', 'a queue');
SET client_min_messages = notice;

-- What roles other than the owner hold, as psql shows it.
CREATE VIEW held AS
	SELECT relation, acl
	FROM (
		SELECT c.relname::text AS relation, x::text AS acl, x.*
		FROM pg_class AS c CROSS JOIN unnest(c.relacl) AS x WHERE c.relnamespace = 'privs'::regnamespace AND c.relkind IN ('r', 'p')
		UNION ALL
		SELECT format('%s.%s', c.relname, a.attname), x::text, x.*
		FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid CROSS JOIN unnest(a.attacl) AS x
		WHERE c.relnamespace = 'privs'::regnamespace
	) AS l
	WHERE acl !~ '^regress_priv_owner='
	ORDER BY relation COLLATE "C", acl COLLATE "C";
-- Excess alone, whatever the version calls the rest.
CREATE FUNCTION excess(OUT relation text, OUT grantee text, OUT word text, OUT grantable boolean) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT c.relname::text, coalesce(r.rolname, 'PUBLIC'), x.privilege_type, x.is_grantable
	FROM pg_class AS c
	CROSS JOIN LATERAL (SELECT * FROM aclexplode(c.relacl)
		UNION SELECT e.* FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid) AS x
	LEFT JOIN pg_roles AS r ON r.oid = x.grantee
	WHERE c.relnamespace = 'privs'::regnamespace AND x.grantee <> c.relowner
		AND x.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE', 'MAINTAIN')
		AND c.relname NOT IN ('free', 'exempted', 'above', 'held')
	ORDER BY c.relname COLLATE "C", 2, 3
$$;

\set VERBOSITY terse
-- Deployment scripts: GRANT ALL goes on, and grants what an application needs.
GRANT ALL ON ALL TABLES IN SCHEMA privs TO regress_priv_app, "regress_priv App 2";
GRANT ALL PRIVILEGES ON TABLE "Docs", free TO regress_priv_etl;
SELECT relation, count(DISTINCT acl) FROM held GROUP BY 1;
SELECT has_table_privilege('regress_priv_app', 'free', 'TRUNCATE') AS unguarded, has_table_privilege('regress_priv_app', 'exempted', 'TRIGGER') AS exempt,
	has_table_privilege('regress_priv_app', '"Docs"', 'SELECT, INSERT, UPDATE, DELETE') AS guarded, has_table_privilege('regress_priv_app', 'codes', 'SELECT') AS shared;
SELECT * FROM excess();
-- again, and to the owner: nothing to say
GRANT ALL ON "Docs" TO regress_priv_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA privs TO regress_priv_app;
GRANT ALL ON SEQUENCE numbers TO regress_priv_app;
GRANT TRUNCATE, TRIGGER ON free, exempted TO regress_priv_app;
\set VERBOSITY default
-- by name it is a WARNING, and alone it is refused
GRANT SELECT, TRUNCATE ON "Docs" TO regress_priv_app;
GRANT TRUNCATE ON "Docs" TO regress_priv_app;
GRANT TRIGGER, REFERENCES ON free, codes TO PUBLIC;
GRANT REFERENCES ON orgs TO regress_priv_app;
GRANT TRUNCATE ON parts1 TO regress_priv_app;
GRANT TRUNCATE ON ALL TABLES IN SCHEMA privs TO regress_priv_app;
GRANT REFERENCES (org_id) ON "Docs" TO regress_priv_app;
GRANT SELECT (id), REFERENCES (org_id, id) ON "Docs" TO regress_priv_app;
GRANT TRUNCATE, SELECT, TRIGGER ON ALL TABLES IN SCHEMA privs TO regress_priv_app, "regress_priv App 2", PUBLIC;
GRANT ALL (org_id) ON "Docs" TO PUBLIC;
-- where an error would take other work back it is not granted, and said
BEGIN; GRANT TRUNCATE ON "Docs" TO regress_priv_app; SELECT has_table_privilege('regress_priv_app', '"Docs"', 'TRUNCATE') AS granted; COMMIT;
GRANT INSERT ON codes TO regress_priv_etl \; GRANT TRUNCATE ON codes TO regress_priv_etl \; GRANT UPDATE ON codes TO regress_priv_etl;
SELECT has_table_privilege('regress_priv_etl', 'codes', 'INSERT') AND has_table_privilege('regress_priv_etl', 'codes', 'UPDATE') AS granted;
REVOKE ALL ON codes FROM regress_priv_etl;
\set VERBOSITY terse
DO $$ BEGIN GRANT TRIGGER ON privs."Docs" TO PUBLIC; END $$;
-- inside other code
DO $$ BEGIN GRANT ALL ON privs.parts TO PUBLIC; END $$;
CREATE FUNCTION handing_out() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE 'GRANT ALL ON privs."Docs", privs.codes TO PUBLIC'; END $$;
SELECT handing_out();
PREPARE p AS SELECT handing_out(); EXECUTE p;
CREATE SCHEMA privs_too CREATE TABLE t (id int) GRANT ALL ON privs."Docs" TO PUBLIC;
SET session_replication_role = replica;
GRANT ALL ON "Docs" TO PUBLIC;
RESET session_replication_role;
-- a savepoint that is rolled back takes both back
BEGIN; SAVEPOINT s; GRANT ALL ON codes TO regress_priv_etl; ROLLBACK TO s; GRANT ALL ON codes TO regress_priv_etl; COMMIT;
-- grant options and chains
GRANT ALL ON "Docs" TO "regress_priv App 2" WITH GRANT OPTION;
SET ROLE "regress_priv App 2";
GRANT ALL ON "Docs" TO regress_priv_app;
GRANT TRUNCATE ON "Docs" TO regress_priv_app;
RESET ROLE;
SELECT * FROM excess();

-- Under a bypass it is granted, and stays whatever is granted later.
BEGIN;
SELECT FROM tenantguard.begin_bypass('the nightly load truncates');
GRANT SELECT, TRUNCATE ON "Docs" TO regress_priv_etl;
GRANT REFERENCES (id) ON orgs TO regress_priv_etl;
GRANT TRUNCATE ON parts TO "regress_priv App 2" WITH GRANT OPTION;
COMMIT;
GRANT ALL ON ALL TABLES IN SCHEMA privs TO regress_priv_app;
GRANT SELECT, TRUNCATE ON "Docs" TO regress_priv_etl;
-- but not more of it: an option, another column, whoever the grantor
GRANT TRUNCATE ON "Docs" TO regress_priv_etl WITH GRANT OPTION;
GRANT ALL ON "Docs" TO regress_priv_etl WITH GRANT OPTION;
GRANT SELECT, REFERENCES (id) ON "Docs" TO regress_priv_etl;
SET ROLE "regress_priv App 2";
GRANT TRUNCATE ON parts TO regress_priv_app;
GRANT ALL ON parts TO regress_priv_app GRANTED BY CURRENT_USER;
RESET ROLE;
SELECT * FROM excess();
-- what one of them truncates is still a matter of a bypass
SET ROLE regress_priv_etl; TRUNCATE privs."Docs"; RESET ROLE;
BEGIN; SELECT FROM tenantguard.begin_bypass('take it back'); REVOKE TRUNCATE ON "Docs" FROM regress_priv_etl; REVOKE ALL ON parts FROM "regress_priv App 2" CASCADE; REVOKE REFERENCES (id) ON orgs FROM regress_priv_etl; COMMIT;

-- Default privileges: what becomes guarded, and what follows a guarded parent.
ALTER DEFAULT PRIVILEGES FOR ROLE regress_priv_owner IN SCHEMA privs GRANT ALL ON TABLES TO regress_priv_app WITH GRANT OPTION;
SET tenantguard.new_table = protect;
SET ROLE regress_priv_owner;
CREATE TABLE fresh (org_id bigint NOT NULL REFERENCES orgs, id int);
CREATE TABLE copied (LIKE "Docs");
CREATE TABLE parts2 PARTITION OF parts FOR VALUES IN (2);
CREATE TABLE child () INHERITS (fresh);
CREATE TABLE attached (org_id bigint NOT NULL, id int);
ALTER TABLE parts ATTACH PARTITION attached FOR VALUES IN (3);
CREATE TABLE inheriting (org_id bigint NOT NULL, id int);
ALTER TABLE inheriting INHERIT fresh;
CREATE TEMP TABLE passing () INHERITS (fresh);
CREATE TABLE declared (org_id bigint NOT NULL, id int);
CREATE TABLE shared (code text);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('declared', 'org_id');
SELECT count(*) > 0 AS shared FROM tenantguard.share('shared');
RESET ROLE;
SELECT * FROM excess();
RESET tenantguard.new_table;

-- Swapped by name between two statements, and below an unguarded parent.
BEGIN;
ALTER TABLE "Docs" RENAME TO docs_old;
ALTER TABLE free RENAME TO "Docs";
GRANT ALL ON "Docs", docs_old TO PUBLIC;
ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('below an unguarded parent'); ALTER TABLE "Docs" INHERIT above; COMMIT;
GRANT TRIGGER ON above TO regress_priv_etl;
GRANT ALL ON above TO regress_priv_etl;
SELECT has_table_privilege('regress_priv_etl', 'above', 'TRIGGER') AS above, has_table_privilege('regress_priv_etl', 'above', 'SELECT') AS reads;
-- Event triggers are told of what was granted, and nothing breaks.
CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told of %', tg_tag; END $$;
CREATE EVENT TRIGGER told ON ddl_command_end WHEN TAG IN ('GRANT', 'REVOKE') EXECUTE FUNCTION told();
GRANT ALL ON "Docs" TO PUBLIC;
DROP EVENT TRIGGER told;
-- Report mode reports.
SET tenantguard.enforce = log;
GRANT TRIGGER ON codes TO regress_priv_etl;
RESET tenantguard.enforce;
SELECT * FROM excess();
-- A new owner gets what is the owner's, and nobody else.
ALTER TABLE "Docs" OWNER TO regress_priv_etl;
GRANT ALL ON "Docs" TO regress_priv_owner;
SELECT has_table_privilege('regress_priv_etl', '"Docs"', 'TRUNCATE') AS new_owner, has_table_privilege('regress_priv_owner', '"Docs"', 'TRUNCATE') AS old_owner;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA privs, privs_too CASCADE;
DROP OWNED BY regress_priv_owner, regress_priv_app, "regress_priv App 2", regress_priv_etl;
DROP ROLE regress_priv_owner, regress_priv_app, "regress_priv App 2", regress_priv_etl;
