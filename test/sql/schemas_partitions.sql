-- schemas_partitions.sql: partitions that a function makes at run time.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_telemetry_app;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/partitions.sql
\set again_file :inputs /schemas/again.sql
\set name telemetry
\set named NULL
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('customers', 'id');
SELECT * FROM tenantguard.propose('telemetry');
SET client_min_messages = error;
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('telemetry', tenant_columns => '{customer_id}');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('retention', 'customer_id', shared_rows => true);
SELECT count(*) > 0 AS shared FROM unnest('{firmware,partition_config}'::regclass[]) AS t, tenantguard.share(t);
SELECT FROM tenantguard.exempt('migrations', 'of the migration tool');
SELECT tenantguard.assert_guarded('telemetry');
\set named '''{customer_id}'''
-- The same decisions on another copy.
SELECT * FROM tenantguard.migration_script('telemetry', :named);
\set ECHO none
\i :again_file
\set ECHO all

-- Partitions that are made afterwards are guarded, and the schema stays clean.
SELECT make_partition('events', '2026-02-01'), make_hashed('metrics', '2026-02-01');
SELECT tenantguard.assert_guarded('telemetry');
SELECT count(*) AS recorded, count(*) FILTER (WHERE mode = 'tenant') AS tenant FROM tenantguard.guarded_relation WHERE relid::text LIKE '%2026_02_01%';
GRANT USAGE ON SCHEMA telemetry TO regress_telemetry_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA telemetry TO regress_telemetry_app;
SET ROLE regress_telemetry_app;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO events (device_id, at, body) VALUES (1, '2026-02-01', 'late') RETURNING customer_id; SELECT at, body FROM events ORDER BY at; SELECT body FROM documents_rest; SELECT line FROM logs ORDER BY at; SELECT line FROM logs_2025; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT body FROM "events_2026_02_01"; SELECT value FROM metrics; SELECT body FROM documents_1; SELECT body FROM documents; UPDATE events SET at = '2026-02-01' WHERE at = '2026-01-01' RETURNING customer_id; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO "metrics_2026_02_01_0" VALUES (1, '2026-02-01', 0); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO events_2026_02_01 VALUES (1, 1, '2026-02-01', 'x'); ROLLBACK;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA telemetry CASCADE;
DROP ROLE regress_telemetry_app;
