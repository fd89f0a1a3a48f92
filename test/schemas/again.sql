-- again.sql: the script of what was decided about schema :name, run on another
-- copy of it, gives the same record. Lists what differs.
CREATE TEMP TABLE decided AS SELECT relation::text, mode, tenant_column, reason FROM tenantguard.relations;
CREATE TEMP TABLE script AS SELECT s.* FROM tenantguard.migration_script(:'name', :named) WITH ORDINALITY AS s (line, place);
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA :name CASCADE;
CREATE EXTENSION tenantguard;
\i :schema_file
\o /dev/null
SELECT line FROM script ORDER BY place \gexec
\o
\echo differences:
SELECT 'only before' AS difference, d.* FROM (SELECT * FROM decided EXCEPT SELECT relation::text, mode, tenant_column, reason FROM tenantguard.relations) AS d
UNION ALL
SELECT 'only after', d.* FROM (SELECT relation::text, mode, tenant_column, reason FROM tenantguard.relations EXCEPT SELECT * FROM decided) AS d
ORDER BY 1, 2;
DROP TABLE decided, script;
SET client_min_messages = warning;
