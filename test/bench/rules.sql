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

SELECT format('ALTER ROLE %I SUPERUSER', rolname) FROM pg_roles
WHERE rolname IN ('bench_handsuper', 'bench_superuser')
\gexec

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
WHERE n.nspname IN ('guarded', 'superuser', 'redundant', 'owned')
AND c.relkind IN ('r', 'p') AND NOT c.relispartition;

-- Relations that lead to a tenant, each after those that it leads to.
SELECT tenantguard.protect(c.oid, 'org_id') FROM pg_class c
WHERE c.relnamespace = to_regnamespace('linked') AND c.relkind = 'r'
AND c.relname ~ 'parent0';
SELECT format('SELECT tenantguard.derive(%s::regclass)', c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'linked' AND c.relkind = 'r' AND c.relname !~ 'parent0|mixed'
ORDER BY c.relname !~ 'parent', c.relname
\gexec
SELECT tenantguard.add_link(c.oid, '{parent_id}', p.oid, '{id}',
                            'parent_type', p.relname)
FROM pg_class c JOIN pg_class p USING (relnamespace)
WHERE c.relnamespace = to_regnamespace('linked') AND c.relname = 'mixed'
AND p.relname IN ('parent0', 'parent1') AND c.relkind = 'r';
SELECT tenantguard.derive(c.oid) FROM pg_class c
WHERE c.relnamespace = to_regnamespace('linked') AND c.relname = 'mixed';
\o
\endif
