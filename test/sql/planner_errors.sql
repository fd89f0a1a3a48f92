-- planner_errors.sql: a planner call may run inside another one, in a function
-- that is folded, and fail there, and the function may catch the error.  The
-- outer plan must be guarded and stamped as if nothing had happened.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA planner_errors;
CREATE ROLE regress_planner_errors_app;
SET search_path = planner_errors, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE free (id int NOT NULL);
INSERT INTO orgs SELECT generate_series(1, 3);
INSERT INTO docs SELECT o, i FROM generate_series(1, 3) AS o, generate_series(1, 4) AS i;
INSERT INTO free SELECT generate_series(1, 4);
ANALYZE docs;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT tenantguard.protect('docs', 'org_id') IS NOT NULL AS protected LIMIT 1;

-- The inner call fails before it meets a relation, or after it, for docs has
-- statistics that the planner compares with the value of fails().
CREATE FUNCTION fails() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
CREATE FUNCTION early() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN PERFORM FROM docs WHERE id = 1 / 0; RETURN 0; EXCEPTION WHEN division_by_zero THEN RETURN 4; END $$;
CREATE FUNCTION late() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN PERFORM FROM docs WHERE id <= fails() + 0; RETURN 0; EXCEPTION WHEN raise_exception THEN RETURN 4; END $$;
CREATE FUNCTION late_free() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN PERFORM FROM free WHERE id <= fails() + 0; RETURN 0; EXCEPTION WHEN raise_exception THEN RETURN 4; END $$;
-- Ten calls deep: each level is folded while the level above is planned.
CREATE FUNCTION deep(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE r int;
BEGIN
	IF n = 0 THEN RETURN early(); END IF;
	EXECUTE format('SELECT min(id) FROM docs WHERE id >= deep(%s)', n - 1) INTO r;
	PERFORM FROM docs WHERE id = 1 / 0;
	RETURN 0;
EXCEPTION WHEN division_by_zero THEN RETURN r;
END $$;

-- One statement, planned and run once.
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT DISTINCT org_id, count(*) FROM docs WHERE id <= early() GROUP BY org_id;
SELECT DISTINCT org_id, count(*) FROM docs WHERE id <= late() GROUP BY org_id;
SELECT DISTINCT org_id, count(*) FROM docs WHERE id <= late_free() GROUP BY org_id;
SELECT DISTINCT org_id, count(*) FROM docs WHERE id <= deep(9) GROUP BY org_id;
SELECT DISTINCT d.org_id, count(*) FROM free JOIN docs d ON d.id <= early() + free.id AND d.id <= late() GROUP BY d.org_id;
UPDATE docs SET id = id + 100 WHERE id <= early() AND id >= late() RETURNING *;
INSERT INTO docs (id) SELECT early() + 200 RETURNING *;
DELETE FROM docs WHERE id > late() + 100 RETURNING *;
ROLLBACK;

-- Without a tenant each is refused.
\set VERBOSITY sqlstate
SELECT count(*) FROM docs WHERE id <= early();
SELECT count(*) FROM docs WHERE id <= late();
SELECT count(*) FROM docs WHERE id <= late_free();
UPDATE docs SET id = id WHERE id <= early();
\set VERBOSITY default

-- Kept plans, filled for one tenant and run for another: early, late, deep.
PREPARE pe AS SELECT org_id, count(*) FROM docs WHERE id <= early() GROUP BY org_id;
PREPARE pl AS SELECT org_id, count(*) FROM docs WHERE id <= late() GROUP BY org_id;
PREPARE pd AS SELECT org_id, count(*) FROM docs WHERE id <= deep(3) GROUP BY org_id;
PREPARE pu AS UPDATE docs SET id = id WHERE id <= early() AND id >= late() RETURNING org_id;
SET plan_cache_mode = force_custom_plan;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE pe; EXECUTE pl; EXECUTE pd; EXECUTE pu; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE pe; EXECUTE pl; EXECUTE pd; EXECUTE pu; COMMIT;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE pe; EXECUTE pl; EXECUTE pd; EXECUTE pu; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE pe; EXECUTE pl; EXECUTE pd; EXECUTE pu; COMMIT;
RESET plan_cache_mode;
\set VERBOSITY sqlstate
EXECUTE pe;
EXECUTE pl;
EXECUTE pu;
\set VERBOSITY default

-- Filled under a bypass, run without it.
DEALLOCATE pe;
PREPARE pe AS SELECT count(DISTINCT org_id) AS orgs FROM docs WHERE id <= early() AND id <= late();
BEGIN; SELECT FROM tenantguard.begin_bypass('fill'); EXECUTE pe; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE pe; COMMIT;
\set VERBOSITY sqlstate
EXECUTE pe;
\set VERBOSITY default

-- Errors that nobody catches, and those that a savepoint or a block does.
BEGIN; SET LOCAL app.current_org_id = '1';
SAVEPOINT s;
SELECT count(*) FROM docs WHERE id <= fails() + 0;
ROLLBACK TO s;
SELECT org_id, count(*) FROM docs GROUP BY org_id;
DO $$
BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			EXECUTE 'SELECT count(*) FROM docs WHERE id <= late() AND id = 1 / 0';
		EXCEPTION WHEN division_by_zero THEN
			ASSERT (SELECT array_agg(DISTINCT org_id) FROM docs) = '{1}';
		END;
	END LOOP;
END $$;
SELECT count(*) FROM docs WHERE id <= fails() + 0;
ROLLBACK;
SELECT count(*) AS free FROM free;
CREATE INDEX ON docs (id);

-- A look-up stays one when a policy of the user's own plans and fails.
CREATE POLICY own ON docs USING (early() = 4);
GRANT USAGE ON SCHEMA planner_errors TO regress_planner_errors_app;
GRANT SELECT ON ALL TABLES IN SCHEMA planner_errors TO regress_planner_errors_app;
SELECT FROM tenantguard.register_lookup('by_id', 'docs', '{id}', '{org_id}', 10);
SET ROLE regress_planner_errors_app;
SELECT count(*) AS found FROM tenantguard.lookup('by_id', '2');
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT org_id, count(*) FROM docs WHERE id <= late() GROUP BY org_id; COMMIT;
RESET ROLE;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA planner_errors CASCADE;
DROP ROLE regress_planner_errors_app;
