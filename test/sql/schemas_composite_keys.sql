-- schemas_composite_keys.sql: the tenant is in every key already.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_composite_app;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/composite_keys.sql
\set again_file :inputs /schemas/again.sql
\set name composite
\set named NULL
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('shops', 'shop_no');
SELECT * FROM tenantguard.propose('composite');
-- from_shop and to_shop: who owns the row is a decision, stated once
SELECT relation, mode, tenant_column, confidence, reason FROM tenantguard.propose('composite', '{shop_no,from_shop}') WHERE relation IN ('moves'::regclass, 'counts'::regclass, 'items'::regclass);
SET client_min_messages = error;
SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('composite', tenant_columns => '{shop_no,from_shop,s}');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('notes', 'shop_no', shared_rows => true);
SELECT count(*) > 0 AS shared FROM tenantguard.share('units');
SELECT tenantguard.protect('labels', 'shop_no');
SELECT FROM tenantguard.exempt('labels', 'its column is to become an integer');
SELECT tenantguard.assert_guarded('composite');
-- The same decisions on another copy.
SELECT * FROM tenantguard.migration_script('composite', :named);
\set ECHO none
\i :again_file
\set ECHO all

GRANT USAGE ON SCHEMA composite TO regress_composite_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA composite TO regress_composite_app;
SET ROLE regress_composite_app;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM stock ORDER BY 3; SELECT s, item, counted FROM counts ORDER BY 2; INSERT INTO stock (store_no, item_no) SELECT 7, 2 WHERE false; SELECT * FROM moves; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE stock SET quantity = quantity + 1 RETURNING shop_no, quantity; INSERT INTO counts (store, item, day) VALUES (7, 1, '2026-01-02') RETURNING s; SELECT * FROM moves; COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO stock VALUES (2, 7, 1, 0); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO units VALUES ('lb'); ROLLBACK;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA composite CASCADE;
DROP ROLE regress_composite_app;
