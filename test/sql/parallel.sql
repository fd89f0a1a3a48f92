-- parallel.sql: parallel workers are processes of their own. They take the
-- tenant and the bypass from their leader, and nothing that was left over.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_parallel_app;
CREATE SCHEMA parallel;
SET search_path = parallel, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text);
CREATE INDEX ON docs (org_id, id);
CREATE TABLE numbers (n int);
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO docs SELECT o, i, repeat('x', 100) FROM generate_series(1, 3) AS o, generate_series(1, 3000) AS i;
INSERT INTO numbers SELECT generate_series(1, 2000);
ALTER TABLE docs SET (parallel_workers = 2);
ALTER TABLE numbers SET (parallel_workers = 2);
ANALYZE docs, numbers;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('parallel') WHERE action <> 'listed';
GRANT USAGE ON SCHEMA parallel TO regress_parallel_app;
GRANT SELECT ON ALL TABLES IN SCHEMA parallel TO regress_parallel_app;
-- functions that query in the worker itself
CREATE FUNCTION whose(int) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN (SELECT min(org_id) || '-' || max(org_id) FROM parallel.docs WHERE id = $1); END $$;
CREATE FUNCTION whose_sql(int) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT min(org_id) || '-' || max(org_id) FROM parallel.docs WHERE id = $1 $$;
CREATE FUNCTION whose_definer(int) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER AS $$ SELECT min(org_id) || '-' || max(org_id) FROM parallel.docs WHERE id = $1 $$;
-- a function that says whether it runs in a worker
CREATE FUNCTION workers() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM parallel.docs WHERE id > 0' LOOP
		IF line LIKE '%Workers Launched: %' AND line NOT LIKE '%Workers Launched: 0%' THEN RETURN true; END IF;
	END LOOP;
	RETURN false;
END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
SET parallel_leader_participation = off;

BEGIN; SET LOCAL app.current_org_id = '2'; SELECT workers(); COMMIT;
-- scans, joins, aggregates, unions
BEGIN; SET LOCAL app.current_org_id = '2';
SELECT count(*), min(org_id), max(org_id) FROM docs;
SELECT count(*), min(org_id), max(org_id) FROM docs WHERE org_id IN (1, 2, 3) AND body LIKE 'x%';
SELECT count(*), min(d.org_id), max(d.org_id) FROM docs AS d JOIN docs AS e USING (id);
SELECT count(*), min(org_id), max(org_id) FROM (SELECT org_id FROM docs UNION ALL SELECT org_id FROM docs) AS u;
SELECT count(*) FROM numbers WHERE EXISTS (SELECT FROM docs WHERE id = n AND org_id <> 2);
SET LOCAL ROLE regress_parallel_app;
SELECT count(*), min(org_id), max(org_id) FROM docs;
COMMIT;
-- with plans that are prepared
PREPARE p AS SELECT count(*), min(org_id), max(org_id) FROM docs;
PREPARE p1 (int) AS SELECT count(*), min(org_id), max(org_id) FROM docs WHERE id <= $1;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; EXECUTE p1(100); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE p; EXECUTE p1(100); COMMIT;
RESET plan_cache_mode;
-- functions that query inside the worker
SET enable_indexscan = on;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(n), count(*) FROM numbers GROUP BY 1; SELECT whose_sql(n), count(*) FROM numbers GROUP BY 1; SELECT whose_definer(n), count(*) FROM numbers GROUP BY 1; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_parallel_app; SELECT whose(n), count(*) FROM numbers GROUP BY 1; SELECT whose_sql(n), count(*) FROM numbers GROUP BY 1; SELECT whose_definer(n), count(*) FROM numbers GROUP BY 1; COMMIT;
-- The tenant in force is the last one set, not one that was set before.
BEGIN; SET LOCAL app.current_org_id = '1'; SAVEPOINT s; SET LOCAL app.current_org_id = '2'; ROLLBACK TO s; SELECT whose(n), count(*) FROM numbers GROUP BY 1; COMMIT;
-- One that is left over counts as little in a worker as in its leader.
SET app.current_org_id = '1';
\set VERBOSITY sqlstate
SELECT count(*) FROM docs;
SELECT count(whose(n)) FROM numbers;
SELECT count(whose_sql(n)) FROM numbers;
BEGIN; SELECT count(whose(n)) FROM numbers; ROLLBACK;
\set VERBOSITY default
RESET app.current_org_id;
\set VERBOSITY sqlstate
SELECT count(whose(n)) FROM numbers;
BEGIN; SET LOCAL app.current_org_id = '77'; SELECT count(whose(n)) FROM numbers; ROLLBACK;
-- Pinned and reset: the worker does not fall back to anything.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM docs; RESET app.current_org_id; SELECT count(whose(n)) FROM numbers; ROLLBACK;
\set VERBOSITY default
-- Session scope and missing_context = empty reach the workers.
SET tenantguard.context_scope = session;
SET app.current_org_id = '3';
SELECT count(*), min(org_id), max(org_id) FROM docs;
SELECT whose(n), count(*) FROM numbers GROUP BY 1;
RESET app.current_org_id;
RESET tenantguard.context_scope;
SET tenantguard.missing_context = empty;
SELECT count(*) FROM docs;
SELECT whose(n), count(*) FROM numbers GROUP BY 1;
RESET tenantguard.missing_context;
-- So does a bypass, and its end.
BEGIN;
SELECT FROM tenantguard.begin_bypass('count');
SELECT count(*), min(org_id), max(org_id) FROM docs;
SELECT whose(n), count(*) FROM numbers GROUP BY 1;
SELECT FROM tenantguard.enter(2);
SELECT count(*), min(org_id), max(org_id) FROM docs;
SELECT whose(n), count(*) FROM numbers GROUP BY 1;
SELECT tenantguard.end_bypass();
SELECT whose_sql(n), count(*) FROM numbers GROUP BY 1;
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT whose(n), count(*) FROM numbers GROUP BY 1; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA parallel CASCADE;
DROP ROLE regress_parallel_app;
