-- What the variants do to keep tenants apart.
-- Variable: guard (off leaves the extension out).
\set ON_ERROR_STOP on
\set QUIET on
\pset tuples_only on

-- The two usual policies.
SELECT format('ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY; '
              'CREATE POLICY tenant ON %1$s USING (org_id = %2$s)',
              c.oid::regclass,
              CASE n.nspname
                  WHEN 'policy'
                  THEN 'current_setting(''app.current_org_id'')::bigint'
                  ELSE '(SELECT current_setting(''app.current_org_id'')::bigint)'
              END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('policy', 'subselect') AND c.relkind IN ('r', 'p')
AND NOT c.relispartition
\gexec

ALTER ROLE bench_handsuper SUPERUSER;
ALTER ROLE bench_superuser SUPERUSER;

\if :guard
CREATE TABLE public.organizations (
    id bigint PRIMARY KEY, name text NOT NULL, status text NOT NULL);
INSERT INTO public.organizations
SELECT o, 'organization ' || o, 'active' FROM generate_series(1, 50) o;
ANALYZE public.organizations;
CREATE EXTENSION tenantguard;
\o /dev/null
SELECT tenantguard.adopt_registry('public.organizations', 'id', 'status');
SELECT tenantguard.protect(c.oid, 'org_id')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('guarded', 'superuser', 'redundant') AND c.relkind IN ('r', 'p')
AND NOT c.relispartition;
\o
\endif
