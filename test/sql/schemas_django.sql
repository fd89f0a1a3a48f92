-- schemas_django.sql: a schema in the style of Django, with a status column.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_django_app;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/django.sql
\set again_file :inputs /schemas/again.sql
\set name django
\set named NULL
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('tenants_tenant', 'id', 'is_active', '{true}');
SELECT * FROM tenantguard.propose('django');
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('django');
SELECT p.* FROM tenantguard.propose('django', '{tenant_id,tenant}') AS p EXCEPT SELECT q.* FROM tenantguard.propose('django') AS q ORDER BY relation;
-- Decisions: the second spelling is named, and what Django writes is exempt.
SET client_min_messages = error;
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('django', tenant_columns => '{tenant_id,tenant}') WHERE action <> 'already';
SELECT count(*) > 0 AS protected FROM tenantguard.protect('planner_template', 'tenant_id', shared_rows => true);
SELECT count(*) > 0 AS shared FROM unnest('{auth_group,billing_plan,auth_permission,auth_group_permissions}'::regclass[]) AS t, tenantguard.share(t);
SELECT FROM unnest('{django_content_type,django_migrations,django_session}'::regclass[]) AS t, tenantguard.exempt(t, 'of Django itself');
SELECT tenantguard.assert_guarded('django');
-- The same decisions on another copy.
SELECT * FROM tenantguard.migration_script('django', :named);
\set ECHO none
\i :again_file
\set ECHO all

-- Two tenants and one that is not active.
GRANT USAGE ON SCHEMA django TO regress_django_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON planner_project, planner_task, planner_template, billing_usage TO regress_django_app;
SET ROLE regress_django_app;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT title FROM planner_task ORDER BY id; SELECT title FROM planner_template ORDER BY id; INSERT INTO planner_project (title, tenant_id) VALUES ('sent as NULL', NULL) RETURNING tenant_id; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT p.title, t.title FROM planner_project AS p JOIN planner_task AS t ON t.project_id = p.id ORDER BY t.id; SELECT quantity FROM billing_usage; DELETE FROM planner_template; SELECT title FROM planner_template; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '3'; SELECT * FROM planner_task; ROLLBACK;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA django CASCADE;
DROP ROLE regress_django_app;
