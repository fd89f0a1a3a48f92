-- doors_sessions.sql: what reaches the sessions of other tenants: locks,
-- notifications, roles, sequences, and functions of the server.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_sessions_app LOGIN;
CREATE SCHEMA sessions;
SET search_path = sessions, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id serial, body text, PRIMARY KEY (org_id, id));
CREATE TABLE parts (org_id bigint NOT NULL REFERENCES orgs, id int) PARTITION BY LIST (org_id);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE countries (code text);
CREATE TABLE above (org_id bigint);
CREATE TABLE below (org_id bigint);
CREATE TABLE free (id int);
CREATE INDEX blocks ON docs USING brin (id);
CREATE INDEX ON parts (org_id);
CREATE INDEX ON below (org_id);
CREATE VIEW shown AS SELECT * FROM docs;
INSERT INTO orgs VALUES (1), (2);
INSERT INTO docs (org_id, body) SELECT o, 'of ' || o FROM generate_series(1, 2) AS o, generate_series(1, 2);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('parts', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('below', 'org_id');
BEGIN; SELECT FROM tenantguard.begin_bypass('below an unguarded parent'); ALTER TABLE below INHERIT above; COMMIT;
SELECT count(*) > 0 AS shared FROM tenantguard.share('countries');
GRANT USAGE ON SCHEMA sessions TO regress_sessions_app;
GRANT ALL ON ALL TABLES IN SCHEMA sessions TO regress_sessions_app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA sessions TO regress_sessions_app;

CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; state text;
BEGIN
	EXECUTE command;
	RETURN 'runs';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, state = RETURNED_SQLSTATE;
	RETURN coalesce(nullif(split_part(detail, ': ', 1), ''), state || ' ' || SQLERRM);
END $$;

-- Locks: up to ROW EXCLUSIVE every statement takes them.
CREATE TABLE modes AS SELECT row_number() OVER () AS strength, mode FROM
	unnest(ARRAY['ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE']) AS mode;
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT mode, refusal(format('LOCK TABLE docs IN %s MODE', mode)) AS docs, refusal(format('LOCK TABLE free IN %s MODE', mode)) AS free FROM modes ORDER BY strength;
SELECT name, refusal(format('LOCK TABLE %s', name)), refusal(format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', name)) AS weak
FROM unnest(ARRAY['ONLY docs', 'orgs', 'parts', 'parts1', 'above', 'below', 'shown', 'countries', 'free, docs', 'tenantguard.registry', 'pg_class', 'free']) AS name;
SELECT refusal('LOCK TABLE nothing') AS nothing;
SET LOCAL ROLE regress_sessions_app;
SELECT refusal('LOCK TABLE docs NOWAIT') AS app;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM docs; RESET app.current_org_id; SELECT refusal('LOCK TABLE docs') AS reset; ROLLBACK;
SELECT refusal('LOCK TABLE docs') AS no_tenant, refusal('LOCK TABLE shown') AS no_tenant;
BEGIN; SELECT FROM tenantguard.begin_bypass('rebuild'); SELECT refusal('LOCK TABLE docs') AS bypass; ROLLBACK;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; LOCK TABLE docs; ROLLBACK;

-- LISTEN hears all tenants and outlives the transaction.
BEGIN; SET LOCAL app.current_org_id = '1'; LISTEN regress_channel; ROLLBACK;
SELECT count(*) FROM pg_listening_channels();
BEGIN; SET LOCAL app.current_org_id = '1'; NOTIFY regress_other; SELECT pg_notify('regress_other', 'x') IS NULL AS sent; UNLISTEN *; COMMIT;
LISTEN regress_channel;
SELECT * FROM pg_listening_channels();
BEGIN; SET LOCAL app.current_org_id = '1'; UNLISTEN regress_channel; COMMIT;
SELECT count(*) FROM pg_listening_channels();
BEGIN; SELECT FROM tenantguard.begin_bypass('hear'); LISTEN regress_channel; COMMIT;
SELECT * FROM pg_listening_channels();
UNLISTEN *;

-- Roles, databases and their settings.
CREATE TABLE commands (id int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO commands (command) VALUES
	('ALTER ROLE regress_sessions_app SET search_path = trojan'),
	('ALTER ROLE CURRENT_USER SET search_path = trojan'),
	('ALTER ROLE ALL SET work_mem = 64'),
	('ALTER ROLE regress_sessions_app RESET ALL'),
	('ALTER ROLE regress_sessions_app PASSWORD NULL'),
	('ALTER ROLE regress_sessions_app RENAME TO regress_sessions_other'),
	('ALTER DATABASE contrib_regression SET work_mem = 64'),
	('ALTER DATABASE contrib_regression CONNECTION LIMIT 0'),
	('DROP ROLE IF EXISTS regress_sessions_app');
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT refusal(command), count(*) FROM commands GROUP BY 1;
SET LOCAL ROLE regress_sessions_app;
SELECT refusal('ALTER ROLE CURRENT_USER SET search_path = trojan') AS oneself;
ROLLBACK;
BEGIN; SELECT command, refusal(command) FROM commands WHERE id < 9 ORDER BY id; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE ROLE regress_sessions_new; ROLLBACK;

-- Functions of the server, by name or by OID, from SQL or any language.
SET client_min_messages = error;
CREATE TABLE calls (id int GENERATED ALWAYS AS IDENTITY, call text);
INSERT INTO calls (call) VALUES
	('pg_terminate_backend(0)'), ('pg_cancel_backend(0)'),
	('count(*) FROM pg_stat_activity'), ('count(*) FROM pg_stat_get_activity(NULL)'), ('pg_stat_get_backend_activity(1)'),
	('length(pg_read_file(''PG_VERSION''))'), ('length(pg_read_file(''PG_VERSION'', 0, 1))'), ('length(pg_read_file(''nothing'', 0, 1, true))'),
	('length(pg_read_binary_file(''PG_VERSION''))'), ('length(pg_read_binary_file(''PG_VERSION'', 0, 1))'), ('length(pg_read_binary_file(''nothing'', 0, 1, true))'),
	('setval(''docs_id_seq'', 100)'), ('setval(''docs_id_seq'', 100, true)'),
	('brin_summarize_new_values(''blocks'')'), ('brin_summarize_range(''blocks'', 0)');
CREATE OPERATOR !!! (rightarg = int, function = pg_cancel_backend);
CREATE AGGREGATE killed (int) (sfunc = pg_catalog.int4pl, stype = int, initcond = 0, finalfunc = pg_cancel_backend);
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT refusal('SELECT ' || call), count(*) FROM calls GROUP BY 1;
SELECT refusal('SELECT !!! 0') AS operator, refusal('SELECT killed(i) FROM generate_series(1, 0) AS i') AS aggregate,
	refusal('SELECT true WHERE 0 < ALL (SELECT 1 WHERE pg_cancel_backend(0))') AS sublink,
	refusal('VALUES (nextval(''docs_id_seq'') > 0), (currval(''docs_id_seq'') > 0), (lastval() > 0)') AS nextval,
	refusal('SELECT pg_advisory_xact_lock(42), pg_backend_pid(), count(*) FROM pg_locks') AS advisory;
ROLLBACK;
PREPARE kept AS SELECT pg_cancel_backend(0);
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE kept; ROLLBACK;
DO $$ BEGIN PERFORM set_config('app.current_org_id', '1', true); PERFORM pg_cancel_backend(0); END $$;
SELECT call, refusal('SELECT ' || call) FROM calls WHERE refusal('SELECT ' || call) <> 'runs' ORDER BY id;
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT call, refusal('SELECT ' || call) FROM calls WHERE refusal('SELECT ' || call) <> 'runs' ORDER BY id; ROLLBACK;
-- A session of its own: the tenant's dump is restored there, setval() and all.
BEGIN; SET LOCAL tenantguard.context_scope = session; SET LOCAL app.current_org_id = '1'; SELECT refusal('SELECT setval(''docs_id_seq'', 100)') AS setval, refusal('SELECT pg_cancel_backend(0)') AS cancel; ROLLBACK;

-- The report says what would be refused, and refuses nothing.
SET tenantguard.enforce = log;
BEGIN; SET LOCAL app.current_org_id = '1'; LOCK TABLE docs; LISTEN regress_channel; SELECT pg_cancel_backend(0); COMMENT ON TABLE docs IS 'x'; ROLLBACK;
RESET tenantguard.enforce;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA sessions CASCADE;
DROP ROLE regress_sessions_app;
