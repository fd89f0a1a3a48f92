-- schemas_prisma.sql: names that need quotes, two levels.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_prisma_app;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/prisma.sql
\set again_file :inputs /schemas/again.sql
\set name prisma
\set named NULL
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('"Organization"', 'id');
SELECT * FROM tenantguard.propose('prisma');
-- the workspace is not the tenant, whoever names it
SELECT relation, mode, tenant_column, confidence FROM tenantguard.propose('prisma', '{workspaceId}') AS p WHERE tenant_column = 'workspaceId' OR relation = '"WorkspaceMember"'::regclass;
SELECT p.* FROM tenantguard.propose('prisma', '{organizationId,organization_id,orgId,ownerOrganizationId}') AS p EXCEPT SELECT q.* FROM tenantguard.propose('prisma') AS q ORDER BY relation;
SET client_min_messages = error;
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('prisma', tenant_columns => '{organizationId,organization_id,orgId,ownerOrganizationId}');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('"Template"', 'organizationId', shared_rows => true);
SELECT count(*) > 0 AS shared FROM tenantguard.share('"Feature"');
SELECT FROM unnest(ARRAY['"User"', '"Session"', '_prisma_migrations']::regclass[]) AS t, tenantguard.exempt(t, 'before the tenant is known');
SELECT tenantguard.assert_guarded('prisma');
-- The same decisions on another copy.
SELECT * FROM tenantguard.migration_script('prisma', :named);
\set ECHO none
\i :again_file
\set ECHO all

GRANT USAGE ON SCHEMA prisma TO regress_prisma_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON "Document", "Tag", "Template", "AuditEvent", "Workspace" TO regress_prisma_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA prisma TO regress_prisma_app;
SET ROLE regress_prisma_app;
BEGIN; SET LOCAL app.current_org_id = 'org_one'; SELECT d.id, w.name FROM "Document" AS d JOIN "Workspace" AS w ON w.id = d."workspaceId"; INSERT INTO "AuditEvent" ("select") VALUES ('x') RETURNING "organizationId", "workspaceId"; SELECT id FROM "Template"; COMMIT;
BEGIN; SET LOCAL app.current_org_id = 'org_two'; UPDATE "Document" SET title = upper(title) RETURNING id, title; SELECT id FROM "Template" ORDER BY id; SELECT count(*) FROM "AuditEvent"; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = 'org_two'; INSERT INTO "Document" VALUES ('d9', 'org_one', 'w1', NULL, 'foreign'); ROLLBACK;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA prisma CASCADE;
DROP ROLE regress_prisma_app;
