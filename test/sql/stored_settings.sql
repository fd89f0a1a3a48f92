-- stored_settings.sql: settings that are stored and would open the guard for
-- later sessions. What ALTER SYSTEM writes is in 024_drift.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_stored_app;
CREATE ROLE "regress_stored Role";
CREATE SCHEMA stored;
SET search_path = stored, public;
SELECT current_database() AS db \gset
CREATE VIEW kept AS SELECT coalesce(r.rolname, 'database') AS holder, unnest(s.setconfig) AS setting
	FROM pg_db_role_setting AS s LEFT JOIN pg_roles AS r ON r.oid = s.setrole
	LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
	WHERE r.rolname ~ '^regress_stored' ORDER BY 1, 2;

-- What opens the guard is refused, in any spelling.
ALTER ROLE regress_stored_app SET tenantguard.enforce = log;
ALTER DATABASE :"db" SET session_replication_role = replica;
CREATE FUNCTION opening() RETURNS int LANGUAGE sql SET tenantguard.enforce = log AS 'SELECT 1';
GRANT SET ON PARAMETER tenantguard.enforce TO regress_stored_app;
\set VERBOSITY terse
ALTER ROLE regress_stored_app SET "TenantGuard.ENFORCE" TO 'LOG';
ALTER ROLE regress_stored_app IN DATABASE :"db" SET tenantguard.context_scope = session;
ALTER ROLE ALL SET tenantguard.new_table = 'ignore';
ALTER ROLE ALL IN DATABASE :"db" SET tenantguard.new_table = warn;
ALTER ROLE CURRENT_USER SET session_replication_role = local;
ALTER USER regress_stored_app SET row_security = 'no';
ALTER DATABASE :"db" SET row_security = 0;
ALTER DATABASE template1 SET row_security = f;
ALTER DATABASE :"db" SET allow_system_table_mods = on;
ALTER ROLE regress_stored_app SET dynamic_library_path = '/tmp';
ALTER ROLE regress_stored_app SET dynamic_library_path = '/tmp:$libdir';
ALTER SYSTEM SET shared_preload_libraries = '';
ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'tenantguard';
ALTER SYSTEM SET shared_preload_libraries = 'auto_explain,tenantguard';
ALTER SYSTEM SET shared_preload_libraries = '/tmp/tenantguard';
ALTER SYSTEM SET tenantguard.enforce = log;
DO $$ BEGIN ALTER ROLE regress_stored_app SET tenantguard.enforce = log; END $$;
BEGIN; SAVEPOINT s; ALTER ROLE regress_stored_app SET tenantguard.enforce = log; ROLLBACK TO s; ALTER ROLE regress_stored_app SET tenantguard.enforce = log; ROLLBACK;
SET session_replication_role = local;
ALTER ROLE regress_stored_app SET session_replication_role FROM CURRENT;
CREATE FUNCTION opening() RETURNS int LANGUAGE sql SET session_replication_role FROM CURRENT AS 'SELECT 1';
RESET session_replication_role;
CREATE OR REPLACE PROCEDURE opening() LANGUAGE sql SET work_mem = '1MB' SET tenantguard.enforce TO log AS 'SELECT 1';
CREATE FUNCTION closed() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER ROUTINE closed() STRICT SET session_replication_role = replica;
GRANT ALTER SYSTEM ON PARAMETER work_mem, "Shared_Preload_Libraries" TO regress_stored_app;
GRANT ALL ON PARAMETER session_replication_role TO PUBLIC WITH GRANT OPTION;
-- that one cannot be stored at all, a bypass or not
ALTER ROLE regress_stored_app SET app.current_org_id = '1';
BEGIN; SELECT FROM tenantguard.begin_bypass('a tenant of its own'); ALTER ROLE regress_stored_app SET app.current_org_id = '1'; ROLLBACK;
SELECT * FROM kept;

-- What keeps it, or is none of our business, is stored.
ALTER ROLE regress_stored_app SET tenantguard.enforce = on;
ALTER ROLE regress_stored_app SET tenantguard.new_table = refuse;
ALTER ROLE regress_stored_app SET tenantguard.missing_context = empty;
ALTER ROLE regress_stored_app SET row_security = 'yes';
ALTER ROLE regress_stored_app SET session_replication_role = 'Origin';
ALTER ROLE regress_stored_app SET work_mem = '8MB';
ALTER ROLE regress_stored_app SET search_path = stored, public;
ALTER ROLE regress_stored_app SET session_preload_libraries = 'auto_explain';
ALTER ROLE regress_stored_app SET dynamic_library_path = '$libdir:/opt/lib';
ALTER ROLE "regress_stored Role" SET tenantguard.context_scope FROM CURRENT;
ALTER FUNCTION closed() SET tenantguard.enforce = on;
ALTER FUNCTION closed() SET row_security = off;
ALTER FUNCTION closed() RESET ALL;
GRANT SET ON PARAMETER work_mem, row_security TO regress_stored_app;
REVOKE ALL ON PARAMETER tenantguard.enforce, work_mem, row_security FROM regress_stored_app;
SELECT * FROM kept;
-- RESET of what is strict passes where nothing weaker would hold: the server of
-- the tests itself says new_table = ignore
ALTER ROLE regress_stored_app RESET tenantguard.enforce;
ALTER ROLE regress_stored_app SET tenantguard.enforce = on;
BEGIN; SELECT FROM tenantguard.begin_bypass('weaker'); ALTER ROLE "regress_stored Role" IN DATABASE :"db" SET tenantguard.enforce = log; COMMIT;
ALTER ROLE regress_stored_app RESET tenantguard.enforce;
ALTER ROLE regress_stored_app SET "tenantguard.Enforce" TO DEFAULT;
ALTER ROLE regress_stored_app RESET ALL;
ALTER ROLE regress_stored_app RESET work_mem;
ALTER ROLE regress_stored_app RESET tenantguard.context_scope;
ALTER ROLE regress_stored_app RESET tenantguard.new_table;
ALTER DATABASE :"db" RESET tenantguard.enforce;
ALTER ROLE "regress_stored Role" IN DATABASE :"db" RESET ALL;
ALTER ROLE regress_stored_app RESET ALL;
SELECT * FROM kept;
ALTER ROLE regress_stored_app SET tenantguard.enforce = on;

-- Under a bypass all of it; and what opens goes without one.
BEGIN;
SELECT FROM tenantguard.begin_bypass('a login of one tenant');
ALTER ROLE regress_stored_app RESET ALL;
ALTER ROLE "regress_stored Role" SET tenantguard.context_scope = session;
ALTER ROLE regress_stored_app SET tenantguard.enforce = log;
GRANT SET ON PARAMETER tenantguard.enforce TO regress_stored_app;
CREATE FUNCTION opening() RETURNS int LANGUAGE sql SET session_replication_role = replica AS 'SELECT 1';
COMMIT;
SELECT * FROM kept;
ALTER ROLE regress_stored_app RESET tenantguard.enforce;
ALTER ROLE "regress_stored Role" RESET ALL;
ALTER FUNCTION opening() RESET session_replication_role;
REVOKE SET ON PARAMETER tenantguard.enforce FROM regress_stored_app;
SELECT * FROM kept;
-- the hint of ALTER SYSTEM names the form that works
\set VERBOSITY default
ALTER SYSTEM SET tenantguard.enforce = log;

-- Without the extension nobody could declare a bypass: a WARNING.
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
SET client_min_messages = warning;
ALTER ROLE regress_stored_app SET tenantguard.enforce = log;
ALTER ROLE regress_stored_app RESET tenantguard.enforce;
ALTER ROLE regress_stored_app SET tenantguard.enforce = on;
SET client_min_messages = error;
DROP SCHEMA stored CASCADE;
DROP ROLE regress_stored_app, "regress_stored Role";
