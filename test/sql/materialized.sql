-- materialized.sql: materialized views that are guarded by a tenant column.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_materialized_app;
CREATE SCHEMA mats;
SET search_path = mats, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2), (3);
CREATE TABLE sales (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, total int, PRIMARY KEY (org_id, id));
INSERT INTO sales SELECT o, i, o * 100 FROM generate_series(1, 3) AS o, generate_series(1, 4) AS i;
CREATE TABLE free_sales AS SELECT * FROM sales;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('sales');

-- Made under a bypass, or over tables that nobody guards.
BEGIN;
SELECT FROM tenantguard.begin_bypass('totals');
CREATE MATERIALIZED VIEW totals AS SELECT org_id, count(*) AS sales, sum(total) AS total FROM sales GROUP BY org_id;
COMMIT;
CREATE MATERIALIZED VIEW copies AS SELECT org_id, id, total FROM free_sales;
CREATE MATERIALIZED VIEW untold AS SELECT id, total FROM free_sales;
CREATE UNIQUE INDEX ON totals (org_id);
CREATE UNIQUE INDEX ON copies (org_id, id);
SELECT * FROM tenantguard.propose('mats') WHERE relation IN ('totals'::regclass, 'copies'::regclass, 'untold'::regclass);
SELECT * FROM tenantguard.protect('totals', 'org_id', dry_run => true);
SELECT * FROM tenantguard.protect('totals', 'org_id');
SELECT * FROM tenantguard.protect('totals', 'org_id');
SELECT * FROM tenantguard.protect('copies', 'org_id');
SELECT * FROM tenantguard.protect('untold', 'org_id');
SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text;
GRANT USAGE ON SCHEMA mats TO regress_materialized_app;
GRANT SELECT ON ALL TABLES IN SCHEMA mats TO regress_materialized_app;

-- Each tenant sees its rows, whoever asks and however.
SELECT * FROM totals;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM totals; SELECT count(*), max(org_id) FROM copies; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_materialized_app; SELECT * FROM totals; SELECT count(*), max(org_id) FROM copies; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; SELECT t.*, c.id FROM totals AS t JOIN copies AS c USING (org_id) ORDER BY c.id; SELECT * FROM totals WHERE org_id = 1; COMMIT;
PREPARE p AS SELECT * FROM totals;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE p; COMMIT;
CREATE VIEW over_totals AS SELECT * FROM totals;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM over_totals; COPY (SELECT * FROM totals) TO stdout; COMMIT;
-- a leaky function does not run before the filter
CREATE FUNCTION leak(bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
SET client_min_messages = notice;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM totals WHERE leak(org_id); COMMIT;
SET client_min_messages = warning;

-- REFRESH: complete under a bypass, refused without one, also where nothing
-- that it reads is guarded, and for a tenant.
INSERT INTO free_sales VALUES (1, 5, 100);
REFRESH MATERIALIZED VIEW totals;
REFRESH MATERIALIZED VIEW copies;
REFRESH MATERIALIZED VIEW CONCURRENTLY copies;
BEGIN; SET LOCAL app.current_org_id = '1'; REFRESH MATERIALIZED VIEW copies; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; REFRESH MATERIALIZED VIEW CONCURRENTLY totals; ROLLBACK;
DO $$ BEGIN REFRESH MATERIALIZED VIEW copies; END $$;
BEGIN;
SELECT FROM tenantguard.begin_bypass('more sales');
INSERT INTO sales VALUES (2, 5, 200);
REFRESH MATERIALIZED VIEW CONCURRENTLY totals;
SELECT * FROM totals ORDER BY org_id;
REFRESH MATERIALIZED VIEW totals;
SELECT * FROM totals ORDER BY org_id;
REFRESH MATERIALIZED VIEW CONCURRENTLY copies;
SELECT org_id, count(*) FROM copies GROUP BY org_id ORDER BY org_id;
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM totals; COMMIT;
-- a tenant that is set under the bypass does not shrink it either
BEGIN;
SELECT FROM tenantguard.begin_bypass('one tenant at a time');
SELECT FROM tenantguard.enter(1);
SAVEPOINT s;
REFRESH MATERIALIZED VIEW totals;
ROLLBACK TO s;
REFRESH MATERIALIZED VIEW CONCURRENTLY copies;
ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT count(*) FROM totals; SELECT count(*) FROM copies; COMMIT;

-- What it was made of does not leave it, and its guard follows its column.
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE MATERIALIZED VIEW mine AS SELECT * FROM totals; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE TABLE mine AS SELECT * FROM copies; ROLLBACK;
CREATE MATERIALIZED VIEW mine AS SELECT * FROM totals;
BEGIN; SET LOCAL app.current_org_id = '1'; CREATE INDEX ON totals (leak(org_id)); ROLLBACK;
SELECT tenantguard.unprotect('totals', 'no longer');
\set VERBOSITY default
ALTER MATERIALIZED VIEW totals RENAME COLUMN org_id TO tenant;
ALTER MATERIALIZED VIEW totals RENAME TO sums;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM sums; COMMIT;
SET ROLE regress_materialized_app;
SELECT tenantguard.protect('mats.untold', 'id');
RESET ROLE;
BEGIN; SELECT FROM tenantguard.begin_bypass('no longer'); SELECT * FROM tenantguard.unprotect('sums', 'public figures'); COMMIT;
SELECT count(*) FROM sums;
SELECT * FROM tenantguard.exempt('untold', 'sums of all tenants, shown on the front page');
DROP MATERIALIZED VIEW copies;
SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA mats CASCADE;
DROP ROLE regress_materialized_app;
