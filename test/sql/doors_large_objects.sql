-- doors_large_objects.sql: a large object has no tenant, so nobody reaches one
-- without a bypass where the guard is in force.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_lo_app;
CREATE SCHEMA los;
SET search_path = los, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int, bytes bytea, PRIMARY KEY (org_id, id));
INSERT INTO orgs VALUES (1), (2);
-- before a registry is adopted nothing changes
SELECT lo_from_bytea(4001, 'secret of one') AS made;
SELECT lo_get(4001) AS bytes;
GRANT ALL ON LARGE OBJECT 4001 TO regress_lo_app;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs', 'org_id');

CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; state text;
BEGIN
	EXECUTE command;
	RETURN 'runs';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, state = RETURNED_SQLSTATE;
	RETURN coalesce(nullif(split_part(detail, ': ', 1), ''), state || ' ' || SQLERRM);
END $$;
-- every function of the server that takes or makes one; a test of the list
SELECT proname, count(*) FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_|loread|lowrite)' GROUP BY 1 ORDER BY 1;
CREATE TABLE calls AS SELECT * FROM (VALUES
	('lo_close(0)'), ('lo_creat(-1)'), ('lo_create(0)'), ('lo_export(4001, ''/dev/null'')'), ('lo_from_bytea(0, ''x'')'),
	('lo_get(4001)'), ('lo_get(4001, 0, 1)'), ('lo_import(''/dev/null'')'), ('lo_import(''/dev/null'', 4003)'), ('lo_lseek(0, 0, 0)'),
	('lo_lseek64(0, 0, 0)'), ('lo_open(4001, 262144)'), ('lo_put(4001, 0, ''x'')'), ('lo_tell(0)'), ('lo_tell64(0)'),
	('lo_truncate(0, 0)'), ('lo_truncate64(0, 0)'), ('lo_unlink(4001)'), ('loread(0, 1)'), ('lowrite(0, ''x'')')) AS c (call);
SELECT refusal('SELECT ' || call), count(*) FROM calls GROUP BY 1;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT refusal('SELECT ' || call), count(*) FROM calls GROUP BY 1; ROLLBACK;
SET ROLE regress_lo_app;
\set VERBOSITY sqlstate
SELECT lo_get(4001);
RESET ROLE;
\set VERBOSITY default
SELECT lo_get(4001);
-- the client's own, which goes by the fast path
\lo_import /dev/null
\lo_export 4001 /dev/null
\lo_unlink 4001
-- behind an operator, in a prepared statement, from a trigger
CREATE OPERATOR !!! (rightarg = oid, function = lo_get);
PREPARE kept AS SELECT !!! 4001::oid;
EXECUTE kept;
CREATE FUNCTION cleans() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM lo_unlink(4001); RETURN OLD; END $$;
CREATE TABLE free (id int);
CREATE TRIGGER cleans BEFORE DELETE ON free FOR EACH ROW EXECUTE FUNCTION cleans();
INSERT INTO free VALUES (1);
SELECT refusal('DELETE FROM free');
-- their table, and commands about them
SELECT refusal(c), c FROM unnest(ARRAY['SELECT * FROM pg_largeobject', 'SELECT count(*) FROM pg_largeobject WHERE loid = 4001',
	'DELETE FROM pg_largeobject', 'UPDATE pg_largeobject SET data = ''x''', 'COPY pg_largeobject TO ''/dev/null''', 'COPY (SELECT data FROM pg_largeobject) TO ''/dev/null''',
	'COPY pg_largeobject FROM ''/dev/null''', 'SELECT query_to_xml(''SELECT * FROM pg_largeobject'', true, true, '''')',
	'SELECT count(*) FROM pg_largeobject_metadata', 'COMMENT ON LARGE OBJECT 4001 IS ''x''', 'GRANT SELECT ON LARGE OBJECT 4001 TO PUBLIC',
	'ALTER LARGE OBJECT 4001 OWNER TO regress_lo_app', 'DROP OWNED BY regress_lo_app', 'REASSIGN OWNED BY regress_lo_app TO CURRENT_USER']) AS c;

-- Under a bypass all of them work, and what was opened ends with it.
BEGIN; SELECT FROM tenantguard.begin_bypass('move the bytes');
SELECT lo_get(4001), lo_create(4002);
SELECT lo_put(4002, 0, 'abc') IS NULL AS put;
SELECT lo_open(4002, 131072 | 262144) AS fd;
SELECT loread(0, 10), !!! 4001::oid AS shown;
SELECT loid, data FROM pg_largeobject ORDER BY 1;
EXECUTE kept;
PREPARE kept_read AS SELECT count(*) FROM pg_largeobject;
EXECUTE kept_read;
INSERT INTO docs VALUES (1, 1, lo_get(4001));
SELECT tenantguard.end_bypass();
SAVEPOINT ended;
SELECT loread(0, 10);
ROLLBACK TO ended;
EXECUTE kept_read;
ROLLBACK TO ended;
EXECUTE kept;
ROLLBACK TO ended;
COMMIT;
\set VERBOSITY sqlstate
EXECUTE kept_read;
EXECUTE kept;
SELECT lo_get(4001);
\set VERBOSITY default
-- The remedy is the tenant's own.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT bytes FROM docs; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT bytes FROM docs; COMMIT;
-- reported, not refused
SET tenantguard.enforce = log;
SELECT lo_get(4001), (SELECT count(*) FROM pg_largeobject) AS pages;
RESET tenantguard.enforce;
BEGIN; SELECT FROM tenantguard.begin_bypass('clean up'); SELECT lo_unlink(4001), lo_unlink(4002); COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
SELECT lo_unlink(lo_create(0)) AS free_again;
DROP SCHEMA los CASCADE;
DROP ROLE regress_lo_app;
