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
SELECT tenantguard.protect(c.oid, 'org_id')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('linked', 'carried') AND c.relkind = 'r'
AND c.relname ~ 'parent0';
SELECT format('SELECT tenantguard.derive(%s::regclass)', c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('linked', 'carried') AND c.relkind = 'r'
AND c.relname !~ 'parent0|mixed'
ORDER BY c.relname !~ 'parent', c.relname
\gexec
SELECT tenantguard.add_link(c.oid, '{parent_id}', p.oid, '{id}',
                            'parent_type', p.relname)
FROM pg_class c JOIN pg_class p USING (relnamespace)
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('linked', 'carried') AND c.relname = 'mixed'
AND p.relname IN ('parent0', 'parent1') AND c.relkind = 'r';
SELECT tenantguard.derive(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('linked', 'carried') AND c.relname = 'mixed';

-- And then those that carry the tenant in a column, which is filled already.
SELECT tenantguard.begin_bypass('carry', scope => 'session',
                                until => now() + interval '1 hour');
SELECT format(step, c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (VALUES
    (1, 'SELECT tenantguard.add_tenant_column(%s::regclass, ''org_id'')'),
    (2, 'CALL tenantguard.backfill_tenant_column(%s::regclass, 100000)'),
    (3, 'CALL tenantguard.finish_tenant_column(%s::regclass, true)')
) AS s (place, step)
WHERE n.nspname = 'carried' AND c.relkind = 'r' AND c.relname !~ 'parent'
ORDER BY c.relname, s.place
\gexec
SELECT format('DROP INDEX carried.%I', i.relname)
FROM pg_class i JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE n.nspname = 'carried' AND i.relkind = 'i'
AND i.relname ~ '^(large)?bare._org_id'
\gexec
SELECT tenantguard.end_bypass();
\o
\endif
