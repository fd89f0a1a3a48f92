-- check_server.sql: what check() finds about settings that are stored with
-- roles and databases, about this session and the state of the extension, and
-- that its fix cures it. The server's own files are a test of their own.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_check_server;
CREATE ROLE "Regress Check Server";
SELECT current_database() AS db \gset
CREATE TEMP VIEW found AS
	SELECT f.code, r.severity, f.object, f.detail, f.fix
	FROM (
		SELECT * FROM tenantguard.check_settings()
		UNION ALL SELECT * FROM tenantguard.check_server()
	) AS f JOIN tenantguard.check_rule AS r USING (code)
	ORDER BY f.code, f.object COLLATE "C";
GRANT SELECT ON found TO PUBLIC;
SELECT * FROM found;

-- Stored with roles and databases.
BEGIN;
SELECT FROM tenantguard.begin_bypass('settings that open');
ALTER DATABASE :"db" SET row_security = '0';
ALTER ROLE "Regress Check Server" IN DATABASE :"db" SET row_security = off;
ALTER ROLE "Regress Check Server" IN DATABASE template1 SET row_security = off;
ALTER ROLE regress_check_server SET allow_system_table_mods = 'on';
ALTER ROLE regress_check_server SET lo_compat_privileges = 'true';
ALTER ROLE regress_check_server SET work_mem = '1MB';
GRANT SET ON PARAMETER tenantguard.enforce TO regress_check_server;
GRANT ALTER SYSTEM ON PARAMETER session_replication_role TO "Regress Check Server";
COMMIT;
GRANT SET ON PARAMETER work_mem TO regress_check_server;
\x
SELECT * FROM found;
\x
SELECT fix FROM found WHERE fix IS NOT NULL \gexec
SELECT code, object FROM found;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_check_server'::regrole;
ALTER ROLE "Regress Check Server" IN DATABASE template1 RESET ALL;
DROP OWNED BY regress_check_server;
DROP OWNED BY "Regress Check Server";

-- Set in this session.
SET tenantguard.enforce = 'log';
SET tenantguard.missing_context = 'empty';
SET tenantguard.context_scope = 'session';
SET session_replication_role = 'local';
SET allow_system_table_mods = 'on';
SET lo_compat_privileges = 'on';
SET row_security = off;
SELECT code, severity, object, fix FROM found;
SELECT fix FROM found WHERE fix IS NOT NULL \gexec
SELECT code, object FROM found;

-- The extension itself.
SET allow_system_table_mods = on;
BEGIN; SELECT FROM tenantguard.begin_bypass('by hand'); UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'tenantguard'; COMMIT;
SET allow_system_table_mods = off;
BEGIN;
SELECT FROM tenantguard.begin_bypass('what somebody left behind');
CREATE FUNCTION tenantguard."Visible"(numeric) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE VIEW tenantguard.orphan AS SELECT 1 AS a;
SELECT code, severity, object, regexp_replace(detail, 'with \S+$', 'with a newer one.') AS detail, fix FROM found;
SELECT fix FROM found WHERE code = 'TG613' \gexec
SELECT code, object FROM found;
COMMIT;
SET allow_system_table_mods = on;
BEGIN; SELECT FROM tenantguard.begin_bypass('by hand'); UPDATE pg_extension AS e SET extversion = a.default_version FROM pg_available_extensions AS a WHERE e.extname = 'tenantguard' AND a.name = e.extname; COMMIT;
RESET allow_system_table_mods;
SELECT code, object FROM found;

-- Who may not see a setting is told what can be seen.
SET ROLE regress_check_server;
SELECT code, object FROM found;
RESET ROLE;
DROP VIEW found;
DROP EXTENSION tenantguard;
DROP ROLE regress_check_server;
DROP ROLE "Regress Check Server";
