-- schemas_own_policies.sql: row security that was there before keeps its meaning.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_pols_app;
CREATE ROLE regress_pols_hr;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/own_policies.sql
\set again_file :inputs /schemas/again.sql
\set name pols
\set named NULL
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('tenants', 'id');
SELECT * FROM tenantguard.propose('pols');
-- Before: what the roles see without the guard.
SET client_min_messages = error;
GRANT USAGE ON SCHEMA pols TO regress_pols_app, regress_pols_hr;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pols TO regress_pols_app, regress_pols_hr;
SET ROLE regress_pols_app;
SELECT (SELECT array_agg(id ORDER BY id) FROM notes) AS notes, (SELECT array_agg(id ORDER BY id) FROM boards) AS boards, (SELECT array_agg(id ORDER BY id) FROM cards) AS cards, (SELECT array_agg(id ORDER BY id) FROM salaries) AS salaries, (SELECT array_agg(id ORDER BY id) FROM drafts) AS drafts, (SELECT array_agg(id ORDER BY id) FROM secrets) AS secrets;
RESET ROLE;
-- drafts has a policy that was switched off: protect() says so
SET client_min_messages = notice;
SELECT relation, action FROM tenantguard.protect_all('pols') WHERE action <> 'listed';
SET client_min_messages = error;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('files', 'tenant_id', shared_rows => true);
SELECT count(*) > 0 AS shared FROM tenantguard.share('emojis');
SELECT code, object FROM tenantguard.check('pols') WHERE severity = 'critical';
SELECT polrelid::regclass AS relation, polname FROM pg_policy WHERE polname LIKE 'tenantguard\_%' AND polrelid IN ('notes'::regclass, 'boards'::regclass, 'cards'::regclass, 'salaries'::regclass, 'drafts'::regclass, 'secrets'::regclass) ORDER BY 1, 2;
-- The same decisions on another copy.
SELECT * FROM tenantguard.migration_script('pols', :named);
\set ECHO none
\i :again_file
\set ECHO all

GRANT USAGE ON SCHEMA pols TO regress_pols_app, regress_pols_hr;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pols TO regress_pols_app, regress_pols_hr;
-- After: the same within each tenant.
PREPARE seen AS SELECT (SELECT array_agg(id ORDER BY id) FROM notes) AS notes, (SELECT array_agg(id ORDER BY id) FROM boards) AS boards, (SELECT array_agg(id ORDER BY id) FROM cards) AS cards, (SELECT array_agg(id ORDER BY id) FROM salaries) AS salaries, (SELECT array_agg(id ORDER BY id) FROM drafts) AS drafts, (SELECT array_agg(id ORDER BY id) FROM secrets) AS secrets;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_pols_app; EXECUTE seen; UPDATE notes SET body = 'changed' RETURNING id; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_pols_app; EXECUTE seen; DELETE FROM notes RETURNING id; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_pols_hr; EXECUTE seen; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_pols_app; INSERT INTO notes VALUES (9, 1, 'another', 'forged'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_pols_app; INSERT INTO secrets VALUES (9, 1, 'x'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_pols_app; INSERT INTO cards VALUES (9, 2, 2, 'x'); ROLLBACK;
DEALLOCATE seen;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA pols CASCADE;
DROP ROLE regress_pols_app, regress_pols_hr;
