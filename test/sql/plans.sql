-- plans.sql: plans outlive the tenant and the bypass they were built for.
-- Each cache in turn is filled for one and used by another.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA plans;
SET search_path = plans, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
INSERT INTO orgs SELECT generate_series(1, 9);
INSERT INTO docs SELECT o, i FROM generate_series(1, 9) AS o, generate_series(1, 4) AS i;
ANALYZE docs;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('plans');
CREATE FUNCTION whose() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT string_agg(DISTINCT org_id::text, ',') FROM docs); END $$;
CREATE FUNCTION whose_with(n int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT string_agg(DISTINCT org_id::text, ',') FROM docs WHERE id <= n); END $$;
CREATE FUNCTION whose_sql() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(DISTINCT org_id::text, ',') FROM docs $$;
CREATE FUNCTION whose_dynamic() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN EXECUTE 'SELECT string_agg(DISTINCT org_id::text, '','') FROM docs' INTO r; RETURN r; END $$;
CREATE FUNCTION whose_loop() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text := ''; d docs; BEGIN FOR d IN SELECT * FROM docs ORDER BY org_id, id LOOP r := r || d.org_id; END LOOP; RETURN r; END $$;
CREATE FUNCTION whose_rows() RETURNS SETOF docs LANGUAGE sql STABLE AS $$ SELECT * FROM docs $$;
CREATE VIEW whose_all AS
	SELECT whose(), whose_with(3), whose_sql(), whose_dynamic(), whose_loop(), (SELECT string_agg(DISTINCT org_id::text, ',') FROM whose_rows()) AS whose_rows;
PREPARE p AS SELECT string_agg(DISTINCT org_id::text, ',') AS prepared FROM docs;
PREPARE p1 (int) AS SELECT string_agg(DISTINCT org_id::text, ',') AS prepared FROM docs WHERE id <= $1;
PREPARE pf AS SELECT * FROM whose_all;
PREPARE upd AS UPDATE docs SET id = id + 100 WHERE id = 1 RETURNING org_id, id;
PREPARE ins AS INSERT INTO docs (id) VALUES (77) RETURNING org_id, id;
PREPARE del AS DELETE FROM docs WHERE id >= 77 RETURNING org_id, id;

-- One after the other, with plans as the server chooses them.
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; EXECUTE p1(2); EXECUTE pf; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE p; EXECUTE p1(2); EXECUTE pf; COMMIT;
-- Seven times over, so that custom plans give way to generic ones.
DO $$ BEGIN PERFORM set_config('app.current_org_id', '3', true); FOR i IN 1..7 LOOP PERFORM * FROM whose_all; END LOOP; END $$;
DO $$ BEGIN PERFORM set_config('app.current_org_id', '4', true); FOR i IN 1..7 LOOP ASSERT (SELECT whose_with || whose || whose_rows FROM whose_all) = '444'; END LOOP; END $$;
BEGIN; SET LOCAL app.current_org_id = '5'; SELECT * FROM whose_all; EXECUTE pf; COMMIT;
-- Custom plans hold the tenant as a constant: they must not be met again.
SET plan_cache_mode = force_custom_plan;
BEGIN; SET LOCAL app.current_org_id = '6'; EXECUTE p; EXECUTE p1(2); EXECUTE upd; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '7'; EXECUTE p; EXECUTE p1(2); EXECUTE upd; ROLLBACK;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '6'; EXECUTE p; EXECUTE p1(2); EXECUTE upd; EXECUTE ins; EXECUTE del; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '7'; EXECUTE p; EXECUTE p1(2); EXECUTE upd; EXECUTE ins; EXECUTE del; ROLLBACK;
RESET plan_cache_mode;

-- Filled without a tenant (refused), then used with one, and the reverse.
\set VERBOSITY sqlstate
SELECT * FROM whose_all;
BEGIN; SET LOCAL app.current_org_id = '8'; SELECT * FROM whose_all; COMMIT;
EXECUTE p;
EXECUTE p1(1);
SELECT whose();
SELECT whose_sql();
EXECUTE upd;
\set VERBOSITY default

-- Cached under a bypass, executed without it.
BEGIN;
SELECT FROM tenantguard.begin_bypass('fill every cache');
EXECUTE p; EXECUTE p1(2); EXECUTE pf; SELECT * FROM whose_all;
EXECUTE p; EXECUTE p1(2); EXECUTE pf;
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '9'; EXECUTE p; EXECUTE p1(2); EXECUTE pf; SELECT * FROM whose_all; COMMIT;
\set VERBOSITY sqlstate
EXECUTE p;
SELECT whose();
EXECUTE pf;
\set VERBOSITY default
-- In one transaction: before, under and after the bypass.
BEGIN;
SELECT FROM tenantguard.begin_bypass('inside');
EXECUTE p; SELECT whose();
SELECT tenantguard.end_bypass();
SET LOCAL app.current_org_id = '2';
EXECUTE p; SELECT whose();
COMMIT;
-- Cached for a tenant, executed under a bypass: it shows everybody.
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE p; SELECT whose(); COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('the reverse'); EXECUTE p; SELECT whose(); COMMIT;
-- A bypass that ends while a function runs takes the function's plans along.
CREATE FUNCTION ends_meanwhile() RETURNS text LANGUAGE plpgsql AS $$
DECLARE before text := whose();
BEGIN
	PERFORM tenantguard.end_bypass();
	RETURN before || ' then ' || whose();
END $$;
\set VERBOSITY sqlstate
BEGIN; SELECT FROM tenantguard.begin_bypass('ends meanwhile'); SELECT ends_meanwhile(); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('ends meanwhile'); SET LOCAL app.current_org_id = '3'; SELECT ends_meanwhile(); ROLLBACK;
\set VERBOSITY default

-- enforce = log shows everything; plans cached meanwhile do not outlive it.
SET tenantguard.enforce = log;
EXECUTE p; SELECT whose(); EXECUTE p1(1);
SET tenantguard.enforce = on;
BEGIN; SET LOCAL app.current_org_id = '4'; EXECUTE p; SELECT whose(); EXECUTE p1(1); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '4'; SET LOCAL tenantguard.enforce = log; EXECUTE p; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '5'; EXECUTE p; COMMIT;

-- A plan that was made before the table was guarded.
CREATE TABLE late (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id));
INSERT INTO late SELECT o, 1 FROM generate_series(1, 9) AS o;
PREPARE early AS SELECT string_agg(org_id::text, ',' ORDER BY org_id) FROM late;
EXECUTE early;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('late');
BEGIN; SET LOCAL app.current_org_id = '4'; EXECUTE early; COMMIT;
-- Dropped and made again under the same name: not guarded, and no stale guard.
DROP TABLE late;
CREATE TABLE late (org_id bigint NOT NULL, id int NOT NULL);
INSERT INTO late VALUES (1, 1), (2, 2);
EXECUTE early;

-- Over few partitions a plan is kept; over many, whose locks would cost more
-- than planning anew, it is not.
RESET plan_cache_mode;
CREATE TABLE few (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id)) PARTITION BY HASH (org_id);
CREATE TABLE many (LIKE few INCLUDING ALL) PARTITION BY HASH (org_id);
DO $$
BEGIN
	FOR i IN 0 .. 159 LOOP
		EXECUTE format('CREATE TABLE many_%s PARTITION OF many FOR VALUES WITH (MODULUS 160, REMAINDER %s)', i, i);
		IF i < 16 THEN
			EXECUTE format('CREATE TABLE few_%s PARTITION OF few FOR VALUES WITH (MODULUS 16, REMAINDER %s)', i, i);
		END IF;
	END LOOP;
END $$;
INSERT INTO few SELECT o, i FROM generate_series(1, 9) AS o, generate_series(1, 1000) AS i;
INSERT INTO many TABLE few;
ANALYZE few, many;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('few');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('many', 'org_id');
PREPARE of_few (int) AS SELECT org_id FROM few WHERE id = $1;
PREPARE of_many (int) AS SELECT org_id FROM many WHERE id = $1;
BEGIN; SET LOCAL app.current_org_id = '4';
DO $$
DECLARE
	answer bigint;
BEGIN
	FOR i IN 1 .. 8 LOOP
		EXECUTE format('EXECUTE of_few(%s)', i) INTO STRICT answer;
		ASSERT answer = 4;
		EXECUTE format('EXECUTE of_many(%s)', i) INTO STRICT answer;
		ASSERT answer = 4;
	END LOOP;
END $$;
COMMIT;
SELECT name, custom_plans, generic_plans FROM pg_prepared_statements WHERE name LIKE 'of%' ORDER BY name;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA plans CASCADE;
