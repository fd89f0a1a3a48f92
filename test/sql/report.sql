-- report.sql: tenantguard.enforce = log. Statements run as they did before
-- the guard, with the same rows and errors; the server log says the rest.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_report_app;
CREATE SCHEMA report;
SET search_path = report, public;
CREATE TABLE orgs (id bigint PRIMARY KEY, name text);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id));
CREATE TABLE parts (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id)) PARTITION BY HASH (org_id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE countries (code text);
INSERT INTO orgs VALUES (1, 'one'), (2, 'two');
INSERT INTO docs SELECT o, i FROM generate_series(1, 2) AS o, generate_series(1, 3) AS i;
INSERT INTO parts SELECT org_id, id FROM docs;
CREATE VIEW view AS SELECT * FROM docs;
CREATE FUNCTION counts() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM report.docs); END $$;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('report') WHERE action = 'protected';
SELECT FROM tenantguard.share('countries');
GRANT USAGE ON SCHEMA report TO regress_report_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA report TO regress_report_app;

SET tenantguard.enforce = log;
-- Without a tenant, and with one: every row is seen, as before.
SELECT count(*), counts() FROM docs;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*), counts() FROM docs; COMMIT;
SET ROLE regress_report_app;
SELECT count(*) FROM docs;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT org_id, count(*) FROM view GROUP BY 1 ORDER BY 1; SELECT count(*) FROM parts; SELECT count(*) FROM parts_0; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO docs VALUES (2, 50, 'foreign') RETURNING *; UPDATE docs SET body = 'x' WHERE org_id = 2 RETURNING id; DELETE FROM docs WHERE org_id = 2 AND id = 50 RETURNING id; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT d.id, p.id FROM docs AS d JOIN parts AS p USING (org_id, id) WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO docs USING (VALUES (2, 1)) AS v (o, i) ON org_id = o AND id = i WHEN MATCHED THEN UPDATE SET body = 'merged'; SELECT count(*) FROM docs WHERE body = 'merged'; ROLLBACK;
COPY docs (org_id, id) TO stdout;
INSERT INTO countries VALUES ('de');
RESET ROLE;
-- a tenant that nobody knows, another in the middle
BEGIN; SET LOCAL app.current_org_id = '77'; SELECT count(*) FROM docs; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM docs; ROLLBACK;
-- what was an error before still is one; nothing is filled in
INSERT INTO docs (id) VALUES (60);
INSERT INTO docs VALUES (3, 60);
-- what was possible in bulk is possible
BEGIN; TRUNCATE docs; SELECT count(*) FROM docs; ROLLBACK;
BEGIN; COPY docs (org_id, id) FROM stdin;
1	70
2	70
\.
SELECT count(*) FROM docs WHERE id = 70;
ROLLBACK;
BEGIN; CREATE TABLE copied AS SELECT * FROM docs; SELECT count(*) FROM copied; ROLLBACK;
BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM docs ORDER BY 1, 2; COMMIT;
FETCH 1 FROM c;
CLOSE c;
-- The user's own row security goes on.
CREATE POLICY small ON docs USING (id < 3);
SET ROLE regress_report_app;
SELECT count(*) FROM docs;
RESET ROLE;

-- A role may not switch it on for itself; a superuser does so for a role.
SET ROLE regress_report_app;
SET tenantguard.enforce = log;
SET tenantguard.enforce = on;
RESET ROLE;
ALTER ROLE regress_report_app SET tenantguard.enforce = log;
ALTER ROLE regress_report_app RESET tenantguard.enforce;
SET tenantguard.enforce = on;
SELECT count(*) FROM docs;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*), counts() FROM docs; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA report CASCADE;
DROP ROLE regress_report_app;
