-- schemas_go_migrations.sql: two spellings, NULL for shared rows, circles of foreign keys.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_gomig_app;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/go_migrations.sql
\set again_file :inputs /schemas/again.sql
\set name gomig
\set named NULL
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('organizations', 'id', 'state');
SELECT * FROM tenantguard.propose('gomig');
\set named '''{org_id,orgid}'''
SELECT p.* FROM tenantguard.propose('gomig', :named) AS p EXCEPT SELECT q.* FROM tenantguard.propose('gomig') AS q ORDER BY relation;
-- two of them in one table stay a person's to choose
SELECT relation, mode, tenant_column, confidence, reason FROM tenantguard.propose('gomig', '{org_id,organization_id}') WHERE relation = 'peerings'::regclass;
SET client_min_messages = error;
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('gomig', tenant_columns => :named);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('alert_rules', 'organization_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('dashboards', 'org_id', shared_rows => true);
SELECT count(*) > 0 AS shared FROM tenantguard.share('regions');
SELECT FROM unnest('{step_a,step_b,step_c,jobs,goose_db_version,schema_migrations}'::regclass[]) AS t, tenantguard.exempt(t, 'of the operators');
SELECT FROM unnest('{panels,silences}'::regclass[]) AS t, tenantguard.derive(t);
SELECT tenantguard.assert_guarded('gomig');
-- The same decisions on another copy.
SELECT * FROM tenantguard.migration_script('gomig', :named);
\set ECHO none
\i :again_file
\set ECHO all

GRANT USAGE ON SCHEMA gomig TO regress_gomig_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON users, dashboards, alert_rules, alert_instances, peerings, usage TO regress_gomig_app;
SET ROLE regress_gomig_app;
BEGIN; SET LOCAL app.current_org_id = '11111111-1111-1111-1111-111111111111'; SELECT title FROM dashboards ORDER BY id; UPDATE dashboards SET title = 'mine' RETURNING org_id; SELECT count(*) FROM alert_instances; SELECT org_id FROM usage; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '22222222-2222-2222-2222-222222222222'; SELECT title FROM dashboards ORDER BY id; SELECT organization_id FROM alert_rules; INSERT INTO peerings (id, organization_id) VALUES ('00000000-0000-0000-0000-000000000001', '11111111-1111-1111-1111-111111111111') RETURNING org_id; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '33333333-3333-3333-3333-333333333333'; SELECT title FROM dashboards; ROLLBACK;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA gomig CASCADE;
DROP ROLE regress_gomig_app;
