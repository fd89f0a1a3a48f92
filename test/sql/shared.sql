-- shared.sql: reference data that all tenants read, and tables whose rows
-- belong to a tenant or to all.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_shared_app;
CREATE SCHEMA shared;
SET search_path = shared, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE templates (org_id bigint REFERENCES orgs, id int PRIMARY KEY, body text);
CREATE INDEX ON templates (org_id);
INSERT INTO orgs VALUES (1), (2);
INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France');
INSERT INTO templates VALUES (NULL, 1, 'for all'), (1, 2, 'of org 1'), (2, 3, 'of org 2');
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT * FROM tenantguard.share('countries');
SELECT * FROM tenantguard.share('countries');
SELECT * FROM tenantguard.protect('templates', shared_rows => true);
GRANT USAGE ON SCHEMA shared TO regress_shared_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shared TO regress_shared_app;
SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text;

-- Shared: everybody reads, with and without a tenant, and nobody writes.
SELECT count(*) FROM countries;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_shared_app; SELECT count(*) FROM countries; COMMIT;
-- reading it does not freeze the tenant
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM countries; SET LOCAL app.current_org_id = '2'; SELECT id FROM templates ORDER BY id; COMMIT;
INSERT INTO countries VALUES ('it', 'Italy');
\set VERBOSITY sqlstate
UPDATE countries SET name = 'x';
DELETE FROM countries;
TRUNCATE countries;
MERGE INTO countries USING (VALUES ('de')) AS v (c) ON code = c WHEN MATCHED THEN UPDATE SET name = 'x';
INSERT INTO countries VALUES ('de', 'x') ON CONFLICT (code) DO UPDATE SET name = 'x';
WITH d AS (DELETE FROM countries RETURNING *) SELECT count(*) FROM d;
DO $$ BEGIN DELETE FROM shared.countries; END $$;
COPY countries FROM stdin;
\.
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE countries SET name = 'x'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_shared_app; DELETE FROM countries; ROLLBACK;
\set VERBOSITY default
PREPARE add AS INSERT INTO countries VALUES ($1, $2);
BEGIN; SELECT FROM tenantguard.begin_bypass('new country'); INSERT INTO countries VALUES ('it', 'Italy'); EXECUTE add('es', 'Spain'); COMMIT;
\set VERBOSITY sqlstate
EXECUTE add('pt', 'Portugal');
\set VERBOSITY default
SELECT count(*) FROM countries;
COPY countries TO stdout;

-- Tenant or shared: NULL is read by all and written by none.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM templates ORDER BY id; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_shared_app; SELECT * FROM templates ORDER BY id; COMMIT;
PREPARE p AS SELECT string_agg(body, ', ' ORDER BY id) FROM templates;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE p; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM (SELECT body FROM templates UNION ALL SELECT body FROM templates WHERE org_id IS NULL) AS u ORDER BY 1; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO templates (id) VALUES (10) RETURNING *;
INSERT INTO templates VALUES (NULL, 11) RETURNING *;
INSERT INTO templates VALUES (DEFAULT, 12) RETURNING *;
UPDATE templates SET body = 'mine' RETURNING id;
UPDATE templates SET body = 'mine' WHERE org_id IS NULL;
DELETE FROM templates WHERE id = 1 RETURNING id;
DELETE FROM templates RETURNING id;
SELECT * FROM templates;
ROLLBACK;
-- joined with the shared row, own rows change, and only they
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE templates AS t SET body = s.body FROM templates AS s WHERE s.id = 1 RETURNING t.id, t.body; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO templates AS t USING (VALUES (1)) AS v (i) ON t.org_id IS NULL WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING; SELECT count(*) FROM templates; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE templates SET org_id = NULL WHERE id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE templates SET org_id = 2 WHERE id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO templates VALUES (2, 20); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO templates (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET body = 'taken'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO templates (id) VALUES (3) ON CONFLICT (id) DO UPDATE SET body = 'taken'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_shared_app; UPDATE templates SET org_id = NULL WHERE id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_shared_app; INSERT INTO templates VALUES (2, 20); ROLLBACK;
SELECT * FROM templates;
\set VERBOSITY default
BEGIN; SELECT FROM tenantguard.begin_bypass('for all'); INSERT INTO templates VALUES (NULL, 30, 'new, for all') RETURNING *; SELECT * FROM templates ORDER BY id; ROLLBACK;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA shared CASCADE;
DROP ROLE regress_shared_app;
