-- by_hand.sql
--   The usual policy, as tutorials give it, for every table with a tenant
--   column: what the demo compares tenantguard with.
--
-- The setting has a name of its own (app.org_by_hand): the server of the demo
-- has loaded tenantguard, and nothing of it shall help this database.

\set ON_ERROR_STOP on
SET ROLE helpdesk_owner;

SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass),
	   format('CREATE POLICY by_hand ON %s '
			  'USING (%I = current_setting(''app.org_by_hand'')::bigint)',
			  c.oid::regclass, a.attname)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('org_id', 'orgId')
WHERE c.relnamespace = 'helpdesk'::regnamespace
	AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname
\gexec

ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_hand ON organizations
	USING (id = current_setting('app.org_by_hand')::bigint);
RESET ROLE;
