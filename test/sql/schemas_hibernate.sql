-- schemas_hibernate.sql: a discriminator column without any foreign key.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_hibernate_app;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/hibernate.sql
\set again_file :inputs /schemas/again.sql
\set name hibernate
\set named NULL
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('organisation', 'id');
SELECT * FROM tenantguard.propose('hibernate');
BEGIN;
SELECT FROM tenantguard.begin_bypass('a look at the data');
SELECT relation, mode, tenant_column, confidence, split_part(reason, '; ', -1) AS figures FROM tenantguard.propose('hibernate', with_data => true) WHERE relation IN ('customer'::regclass, 'product'::regclass, 'employee'::regclass, 'ledger'::regclass, 'discount'::regclass, '"Order"'::regclass);
COMMIT;
-- Nothing is certain until somebody names the column.
SELECT relation, action FROM tenantguard.protect_all('hibernate') WHERE action <> 'listed';
\set named 'ARRAY[''tenant_id'', ''tenantId'']::name[]'
SELECT p.* FROM tenantguard.propose('hibernate', :named) AS p EXCEPT SELECT q.* FROM tenantguard.propose('hibernate') AS q ORDER BY relation;
SET client_min_messages = error;
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('hibernate', tenant_columns => :named) WHERE action <> 'listed';
SELECT count(*) > 0 AS protected FROM tenantguard.protect('ledger', 'company_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('customer_aud', 'tenant_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('discount', 'tenant_id', shared_rows => true);
SELECT count(*) > 0 AS shared FROM tenantguard.share('currency');
SELECT FROM unnest('{databasechangelog,databasechangeloglock,hibernate_sequences,revinfo}'::regclass[]) AS t, tenantguard.exempt(t, 'of Hibernate and Liquibase');
SELECT tenantguard.assert_guarded('hibernate');
-- The same decisions on another copy.
SELECT * FROM tenantguard.migration_script('hibernate', :named);
\set ECHO none
\i :again_file
\set ECHO all

GRANT USAGE ON SCHEMA hibernate TO regress_hibernate_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON customer, product, "Order", discount, ledger, customer_aud TO regress_hibernate_app;
SET ROLE regress_hibernate_app;
BEGIN; SET LOCAL app.current_org_id = '11111111-1111-1111-1111-111111111111'; SELECT name FROM customer; INSERT INTO customer (id, name) VALUES (3, 'not random') RETURNING tenant_id; SELECT id FROM product; SELECT id FROM discount ORDER BY id; SELECT count(*) FROM ledger; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '22222222-2222-2222-2222-222222222222'; SELECT id FROM "Order"; SELECT id FROM product; SELECT id FROM discount ORDER BY id; INSERT INTO discount (id, rate) VALUES (3, 1) RETURNING tenant_id; SELECT count(*) FROM customer_aud; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '00000000-0000-0000-0000-000000000000'; SELECT * FROM product; ROLLBACK;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA hibernate CASCADE;
DROP ROLE regress_hibernate_app;
