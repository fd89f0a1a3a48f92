-- install.sql: the rules that every object of the extension keeps. Each query
-- lists what breaks one, and returns no rows.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
DROP SCHEMA IF EXISTS tenantguard;
-- A schema that somebody else made is not taken over.
CREATE ROLE regress_install_other;
CREATE SCHEMA tenantguard AUTHORIZATION regress_install_other;
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
CREATE EXTENSION tenantguard;
ALTER SCHEMA tenantguard OWNER TO CURRENT_USER;
CREATE FUNCTION tenantguard.visible(bigint) RETURNS boolean LANGUAGE sql RETURN true;
CREATE EXTENSION tenantguard;
\set VERBOSITY default
DROP SCHEMA tenantguard CASCADE;
CREATE EXTENSION tenantguard;
SELECT tenantguard.preloaded();
-- not to be moved
ALTER EXTENSION tenantguard SET SCHEMA public;
SELECT extrelocatable FROM pg_extension WHERE extname = 'tenantguard';

CREATE TEMP VIEW member AS
	SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS object
	FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'tenantguard' AND d.deptype = 'e';
SELECT count(*) > 50 AS has_members FROM member;

-- Everything in the schema belongs to the extension.
SELECT p.oid::regprocedure FROM pg_proc AS p WHERE pronamespace = 'tenantguard'::regnamespace AND p.oid NOT IN (SELECT objid FROM member);
SELECT c.oid::regclass FROM pg_class AS c WHERE relnamespace = 'tenantguard'::regnamespace AND relkind IN ('r', 'v', 'S', 'm') AND c.oid NOT IN (SELECT objid FROM member);
-- Every object, and every trigger and index of its tables, has a comment
-- (primary keys and row types speak for themselves).
SELECT object FROM member
WHERE classid IN ('pg_proc'::regclass, 'pg_class'::regclass) AND obj_description(objid, (classid::regclass)::name) IS NULL
ORDER BY 1;
SELECT t.tgname FROM pg_trigger AS t JOIN member AS m ON m.objid = t.tgrelid WHERE NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL;
SELECT i.indexrelid::regclass FROM pg_index AS i JOIN member AS m ON m.objid = i.indrelid WHERE NOT i.indisprimary AND obj_description(i.indexrelid, 'pg_class') IS NULL;
SELECT obj_description('tenantguard'::regnamespace, 'pg_namespace') IS NOT NULL AS schema_has_comment;

-- Every function that looks names up has its search_path pinned, with
-- pg_temp last. C functions look nothing up by name, and a body that was
-- parsed when it was created (any_row) holds what it found then. A procedure
-- that commits can have none: it calls two functions by their full names.
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN member AS m ON m.objid = p.oid JOIN pg_language AS l ON l.oid = p.prolang
WHERE l.lanname <> 'c' AND p.prosqlbody IS NULL AND p.prokind <> 'p' AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);
SELECT p.oid::regprocedure AS commits FROM pg_proc AS p JOIN member AS m ON m.objid = p.oid WHERE p.prokind = 'p' ORDER BY 1;
-- None runs with the rights of its owner.
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN member AS m ON m.objid = p.oid WHERE p.prosecdef;
-- Only what policies call is LEAKPROOF.
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN member AS m ON m.objid = p.oid WHERE p.proleakproof ORDER BY p.oid::regprocedure::text COLLATE "C";
-- The triggers that reach other sessions fire in every replication role.
SELECT t.tgname FROM pg_trigger AS t JOIN member AS m ON m.objid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgenabled <> 'A';
-- Every table's rows go into a dump, except the rules, which come with the script.
SELECT m.object FROM member AS m JOIN pg_class AS c ON c.oid = m.objid WHERE c.relkind = 'r' AND c.relname <> 'check_rule' AND c.oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'tenantguard');

-- Who may call what: nothing by accident. These are closed to PUBLIC.
SELECT p.oid::regprocedure AS closed FROM pg_proc AS p JOIN member AS m ON m.objid = p.oid
WHERE NOT EXISTS (SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0) ORDER BY p.oid::regprocedure::text COLLATE "C";
-- And these are all that PUBLIC may call; each does what its caller could do, or judges the caller in C.
SELECT p.proname AS open, count(*) AS variants FROM pg_proc AS p JOIN member AS m ON m.objid = p.oid
WHERE EXISTS (SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0) GROUP BY 1 ORDER BY 1;
-- Tables: PUBLIC reads what is guarded and writes nothing.
SELECT c.relname, a.privilege_type FROM pg_class AS c JOIN member AS m ON m.objid = c.oid, aclexplode(c.relacl) AS a WHERE a.grantee = 0 ORDER BY 1, 2;
SELECT a.privilege_type FROM pg_namespace AS n, aclexplode(n.nspacl) AS a WHERE n.nspname = 'tenantguard' AND a.grantee = 0;
-- Functions that would do something with the rights of their caller only.
SET ROLE regress_install_other;
\set VERBOSITY sqlstate
SELECT tenantguard.adopt_registry('pg_class', 'oid');
SELECT tenantguard.register_lookup('x', 'pg_class', '{relname}', '{oid}');
SELECT tenantguard.grant_bypass('regress_install_other', 'test');
SELECT tenantguard.visible_support(NULL);
CREATE TEMP TABLE t (a int);
CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION tenantguard.registry_changed();
SELECT * FROM tenantguard.run_statements('{"DROP EXTENSION tenantguard CASCADE"}');
DROP EXTENSION tenantguard;
ALTER EXTENSION tenantguard DROP FUNCTION tenantguard.visible(bigint);
CREATE FUNCTION tenantguard.x() RETURNS int LANGUAGE sql RETURN 1;
DROP TABLE t;
RESET ROLE;
\set VERBOSITY default

-- The settings, who may change them, and that nothing else hides under the prefix.
SELECT name, setting, context, enumvals FROM pg_settings WHERE name LIKE 'tenantguard.%' ORDER BY name;
SHOW app.current_org_id;
-- Installed twice, and again after it was dropped.
CREATE EXTENSION tenantguard;
DROP VIEW member;
DROP EXTENSION tenantguard;
SELECT count(*) AS schema_stays FROM pg_namespace WHERE nspname = 'tenantguard';
CREATE EXTENSION tenantguard;
DROP EXTENSION tenantguard;
DROP ROLE regress_install_other;
