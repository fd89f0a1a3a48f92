-- roles.sql: what roles get that reaches past the guard. A superuser is told,
-- anybody else is refused.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_roles_admin LOGIN CREATEROLE;
CREATE ROLE regress_roles_migrator LOGIN;
CREATE ROLE regress_roles_job;
CREATE ROLE regress_roles_old;
CREATE ROLE regress_roles_app LOGIN;
CREATE ROLE regress_roles_owner;
CREATE ROLE "regress_roles Files" IN ROLE pg_write_server_files;
SELECT tenantguard.grant_bypass('regress_roles_migrator', 'migration');
SELECT tenantguard.grant_bypass('regress_roles_job', 'job', now() + interval '1 day');
SELECT tenantguard.grant_bypass('regress_roles_old', 'job', now() + interval '1 day');
CREATE ROLE regress_roles_inner IN ROLE regress_roles_migrator;
BEGIN; SELECT FROM tenantguard.begin_bypass('an old grant'); UPDATE tenantguard.bypass_grant SET until = now() - interval '1 day' WHERE grantee = 'regress_roles_old'::regrole; COMMIT;
-- From 16 on a role administers those alone that it was given.
DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN
	GRANT regress_roles_migrator, regress_roles_job, regress_roles_old, regress_roles_inner, regress_roles_app, regress_roles_owner, "regress_roles Files",
		pg_read_server_files, pg_execute_server_program, pg_read_all_data TO regress_roles_admin WITH ADMIN OPTION;
END IF; END $$;
SET client_min_messages = warning;

-- What provisioning scripts do, by a superuser: free where the guard holds the
-- role all the same, a WARNING where it does not.
CREATE ROLE regress_roles_free LOGIN PASSWORD 'x' NOSUPERUSER CREATEDB CREATEROLE BYPASSRLS NOREPLICATION INHERIT CONNECTION LIMIT 5;
GRANT regress_roles_owner, regress_roles_old, pg_read_all_data, pg_write_all_data, pg_monitor, pg_signal_backend TO regress_roles_free WITH ADMIN OPTION;
ALTER ROLE regress_roles_migrator PASSWORD 'y' VALID UNTIL 'infinity';
ALTER ROLE regress_roles_migrator SET search_path = public;
ALTER ROLE regress_roles_free NOBYPASSRLS;
CREATE ROLE regress_roles_super SUPERUSER;
CREATE ROLE regress_roles_copier LOGIN REPLICATION;
ALTER ROLE regress_roles_free REPLICATION;
ALTER USER regress_roles_free WITH SUPERUSER;
\set VERBOSITY terse
-- what it has already is no news
ALTER ROLE regress_roles_free SUPERUSER REPLICATION;
ALTER ROLE regress_roles_copier REPLICATION PASSWORD 'z';
ALTER ROLE regress_roles_free NOSUPERUSER NOREPLICATION;
GRANT regress_roles_migrator TO regress_roles_inner;
GRANT pg_read_server_files TO regress_roles_app;
GRANT pg_read_server_files TO regress_roles_app;
GRANT "regress_roles Files" TO regress_roles_app;
GRANT regress_roles_migrator, regress_roles_owner TO regress_roles_app, regress_roles_free;
GRANT regress_roles_super TO regress_roles_free;
REVOKE regress_roles_super, regress_roles_migrator, regress_roles_owner FROM regress_roles_free;
REVOKE regress_roles_migrator, pg_read_server_files, "regress_roles Files" FROM regress_roles_app;
ALTER GROUP regress_roles_inner ADD USER regress_roles_app;
ALTER GROUP regress_roles_inner DROP USER regress_roles_app;
CREATE ROLE "regress_roles By Roles" IN ROLE regress_roles_job, pg_execute_server_program ROLE regress_roles_app;
-- members of a new role get nothing, those that it gets above do
DROP ROLE "regress_roles By Roles";
DO $$ BEGIN EXECUTE 'CREATE ROLE "regress_roles In Block" REPLICATION'; END $$;
DROP ROLE "regress_roles In Block";
-- under a bypass without a word
BEGIN; SELECT FROM tenantguard.begin_bypass('a new replica'); CREATE ROLE regress_roles_replica LOGIN REPLICATION; GRANT regress_roles_job TO regress_roles_replica; COMMIT;
DROP ROLE regress_roles_replica;
-- with a tenant set nobody does
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE ROLE regress_roles_replica REPLICATION; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; GRANT regress_roles_job TO regress_roles_app; ROLLBACK;

-- CREATEROLE does not make anybody a holder of a grant.
SET SESSION AUTHORIZATION regress_roles_admin;
CREATE ROLE regress_roles_plain LOGIN PASSWORD 'x';
ALTER ROLE regress_roles_plain PASSWORD 'y';
GRANT regress_roles_owner, pg_read_all_data TO regress_roles_plain;
\set VERBOSITY default
GRANT regress_roles_migrator TO regress_roles_app;
ALTER ROLE regress_roles_migrator PASSWORD 'stolen';
\set VERBOSITY terse
GRANT regress_roles_job TO regress_roles_plain, CURRENT_USER;
GRANT regress_roles_inner TO regress_roles_plain;
GRANT pg_read_server_files TO regress_roles_app;
GRANT pg_execute_server_program TO regress_roles_app;
GRANT "regress_roles Files" TO regress_roles_app;
CREATE ROLE regress_roles_thief IN ROLE regress_roles_migrator;
CREATE ROLE regress_roles_thief LOGIN IN GROUP regress_roles_inner;
ALTER GROUP regress_roles_migrator ADD USER regress_roles_plain;
ALTER ROLE regress_roles_inner LOGIN;
ALTER ROLE regress_roles_job SET search_path = trojan;
ALTER ROLE regress_roles_job IN DATABASE postgres RESET ALL;
ALTER ROLE regress_roles_app REPLICATION;
DO $$ BEGIN GRANT regress_roles_job TO regress_roles_plain; END $$;
RESET SESSION AUTHORIZATION;
SET ROLE regress_roles_admin;
GRANT regress_roles_job TO regress_roles_plain;
RESET ROLE;
-- the holder itself may change its own
SET SESSION AUTHORIZATION regress_roles_migrator;
ALTER ROLE CURRENT_USER PASSWORD 'mine';
ALTER ROLE regress_roles_migrator SET work_mem = '8MB';
RESET SESSION AUTHORIZATION;
SELECT r.rolname, array_agg(g.rolname ORDER BY g.rolname COLLATE "C") FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member JOIN pg_roles AS g ON g.oid = m.roleid
WHERE r.rolname IN ('regress_roles_app', 'regress_roles_plain', 'regress_roles_free', 'regress_roles_thief') GROUP BY 1 ORDER BY 1;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
-- without the extension nobody asks
GRANT regress_roles_job TO regress_roles_app;
CREATE ROLE regress_roles_replica REPLICATION;
DROP ROLE regress_roles_inner, regress_roles_plain, regress_roles_free, regress_roles_super, regress_roles_copier, regress_roles_replica, "regress_roles Files", regress_roles_migrator, regress_roles_job, regress_roles_old, regress_roles_app, regress_roles_owner;
DROP ROLE regress_roles_admin;
