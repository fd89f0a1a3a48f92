-- named_tenant.sql: queries that say WHERE org_id = ... themselves. Their
-- clause and the filter become one, and mean what both meant.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_named_app;
CREATE SCHEMA named;
SET search_path = named, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2), (3);
CREATE TABLE items (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, body text, PRIMARY KEY (org_id, id));
CREATE TABLE parts (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, item int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE texts (org_id text NOT NULL, id int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE names (org_id varchar(20) NOT NULL, id int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE smalls (org_id int NOT NULL, id int NOT NULL, PRIMARY KEY (org_id, id));
CREATE TABLE mixed (org_id bigint, id int);
CREATE INDEX ON mixed (org_id);
CREATE TABLE parted (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, PRIMARY KEY (org_id, id)) PARTITION BY LIST (org_id);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE TABLE parted_else PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT o, o * 10 FROM generate_series(1, 3) AS o;
INSERT INTO items SELECT o, i, 'item ' || i FROM generate_series(1, 3) AS o, generate_series(1, 4) AS i;
INSERT INTO parts SELECT o, i, i FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
INSERT INTO texts SELECT o::text, i FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
INSERT INTO names SELECT * FROM texts;
INSERT INTO smalls SELECT o, i FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
INSERT INTO mixed VALUES (1, 1), (2, 2), (NULL, 3);
ANALYZE items, parts;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect_all('named');
SELECT count(*) > 0 AS protected FROM (SELECT tenantguard.protect(t, 'org_id', t = 'mixed'::regclass) FROM (VALUES ('texts'::regclass), ('names'), ('smalls'), ('mixed')) AS v (t)) AS p;
GRANT USAGE ON SCHEMA named TO regress_named_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA named TO regress_named_app;
SET enable_seqscan = off;
SET enable_bitmapscan = off;

-- One clause in the plan, of whoever asks.
BEGIN; SET LOCAL app.current_org_id = '2';
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE org_id = 2 AND id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE 2::bigint = org_id AND id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE org_id = 3 AND id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM texts WHERE org_id = '2' AND id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM texts WHERE org_id = '02' AND id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM mixed WHERE org_id = 2;
EXPLAIN (COSTS OFF) UPDATE items SET body = 'x' WHERE org_id = 2 AND id = 1;
SET LOCAL ROLE regress_named_app;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE org_id = 2 AND id = 1;
COMMIT;
PREPARE point(bigint, int) AS SELECT * FROM items WHERE org_id = $1 AND id = $2;
PREPARE cross_type(int, int) AS SELECT * FROM items WHERE org_id = $1 AND id = $2;
PREPARE turned(bigint, int) AS SELECT * FROM items WHERE $1 = org_id AND id = $2;
PREPARE as_text(text, int) AS SELECT * FROM texts WHERE org_id = $1 AND id = $2;
PREPARE as_name(varchar, int) AS SELECT * FROM names WHERE org_id = $1 AND id = $2;
PREPARE as_small(int, int) AS SELECT * FROM smalls WHERE org_id = $1 AND id = $2;
PREPARE or_shared(bigint) AS SELECT * FROM mixed WHERE org_id = $1;
PREPARE joined(bigint) AS SELECT i.id, p.id AS part FROM items AS i JOIN parts AS p ON p.org_id = $1 AND p.item = i.id WHERE i.org_id = $1 ORDER BY 1;
PREPARE half(bigint) AS SELECT i.id, p.id AS part FROM items AS i JOIN parts AS p ON p.item = i.id AND p.org_id = i.org_id WHERE i.org_id = $1 ORDER BY 1;
PREPARE left_of(bigint) AS SELECT i.id, p.id AS part FROM items AS i LEFT JOIN parts AS p ON p.item = i.id AND p.org_id = $1 ORDER BY 1;
PREPARE left_on(bigint) AS SELECT i.id, p.id AS part FROM items AS i LEFT JOIN parts AS p ON p.item = i.id AND i.org_id = $1 ORDER BY 1;
PREPARE left_where(bigint) AS SELECT i.id, p.id AS part FROM items AS i LEFT JOIN parts AS p ON p.item = i.id WHERE i.org_id = $1 ORDER BY 1;
PREPARE full_on(bigint) AS SELECT count(i.id) AS items, count(p.id) AS parts FROM (SELECT * FROM items WHERE org_id = $1) AS i FULL JOIN (SELECT * FROM parts WHERE org_id = $1) AS p ON p.id = i.id;
PREPARE semi(bigint) AS SELECT id FROM items AS i WHERE EXISTS (SELECT FROM parts AS p WHERE p.item = i.id AND p.org_id = $1) ORDER BY 1;
PREPARE anti(bigint) AS SELECT id FROM items AS i WHERE NOT EXISTS (SELECT FROM parts AS p WHERE p.item = i.id AND p.org_id = $1) ORDER BY 1;
PREPARE either(bigint) AS SELECT count(*) FROM items WHERE org_id = $1 OR id = 1;
PREPARE negated(bigint) AS SELECT count(*) FROM items WHERE NOT (org_id = $1);
PREPARE twice(bigint, bigint) AS SELECT count(*) FROM items WHERE org_id = $1 AND org_id = $2;
PREPARE literal AS SELECT count(*) FROM items WHERE org_id = 2;
PREPARE change(bigint, int) AS UPDATE items SET body = 'changed' WHERE org_id = $1 AND id = $2 RETURNING *;
PREPARE remove(bigint, int) AS DELETE FROM items WHERE org_id = $1 AND id = $2 RETURNING *;
PREPARE merges(bigint) AS MERGE INTO items AS i USING (VALUES (1)) AS v (n) ON i.id = v.n AND i.org_id = $1 WHEN MATCHED THEN UPDATE SET body = 'merged' WHEN NOT MATCHED THEN DO NOTHING;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '2';
EXPLAIN (COSTS OFF) EXECUTE point(2, 1);
EXPLAIN (COSTS OFF) EXECUTE cross_type(2, 1);
EXPLAIN (COSTS OFF) EXECUTE turned(2, 1);
EXPLAIN (COSTS OFF) EXECUTE as_text('2', 1);
EXPLAIN (COSTS OFF) EXECUTE as_name('2', 1);
EXPLAIN (COSTS OFF) EXECUTE left_on(2);
EXPLAIN (COSTS OFF) EXECUTE change(2, 1);
SET LOCAL ROLE regress_named_app;
EXPLAIN (COSTS OFF) EXECUTE point(2, 1);
COMMIT;

-- The same answers under generic and custom plans, for the tenant itself,
-- for another, and for NULL.
CREATE FUNCTION ask(tenant text, named text) RETURNS TABLE (statement text, answer text) LANGUAGE plpgsql AS $$
DECLARE
	call text;
BEGIN
	PERFORM set_config('app.current_org_id', tenant, true);
	FOREACH call IN ARRAY ARRAY['point(%s, 1)', 'cross_type(%s, 1)', 'turned(%s, 1)', 'as_text(%s::text, 1)', 'as_name(%s::text, 1)', 'as_small(%s, 1)', 'or_shared(%s)',
		'joined(%s)', 'half(%s)', 'left_of(%s)', 'left_on(%s)', 'left_where(%s)', 'full_on(%s)', 'semi(%s)', 'anti(%s)', 'either(%s)', 'negated(%s)', 'twice(%s, 2)', 'literal',
		'change(%s, 4)', 'remove(%s, 4)'] LOOP
		statement := call;
		answer := '';
		DECLARE
			rec record;
		BEGIN
			FOR rec IN EXECUTE 'EXECUTE ' || replace(call, '%s', named) LOOP
				answer := answer || rec::text;
			END LOOP;
		END;
		RETURN NEXT;
	END LOOP;
END $$;
BEGIN; SELECT * FROM ask('2', '2'); ROLLBACK;
BEGIN; SELECT * FROM ask('2', '3'); ROLLBACK;
BEGIN; SELECT * FROM ask('2', 'NULL'); ROLLBACK;
SET plan_cache_mode = force_custom_plan;
BEGIN; SELECT * FROM ask('2', '2'); ROLLBACK;
BEGIN; SELECT * FROM ask('2', '3'); ROLLBACK;
BEGIN; SELECT * FROM ask('2', 'NULL'); ROLLBACK;
RESET plan_cache_mode;
-- as a role that is subject to the policies
BEGIN; SET LOCAL ROLE regress_named_app; SELECT * FROM ask('1', '1') WHERE statement LIKE 'point%' OR statement LIKE '%join%'; ROLLBACK;
BEGIN; SET LOCAL ROLE regress_named_app; SELECT * FROM ask('1', '2') WHERE statement LIKE 'point%' OR statement LIKE '%join%'; ROLLBACK;
-- MERGE
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE merges(2); EXECUTE merges(1); SELECT org_id, id FROM items WHERE body = 'merged'; ROLLBACK;

-- A clause that stays, before one that goes: the filter is whole.
SET plan_cache_mode = force_generic_plan;
PREPARE two_ways(bigint) AS SELECT org_id, id FROM items WHERE org_id = (SELECT $1) AND org_id = 2 AND id < 3 ORDER BY 2;
PREPARE of_parted(bigint) AS SELECT org_id, id FROM parted WHERE org_id = $1 AND org_id = 2 ORDER BY 2;
BEGIN; SET LOCAL app.current_org_id = '2';
SELECT org_id, id FROM items WHERE org_id = (SELECT 2::bigint) AND org_id = 2 AND id < 3 ORDER BY 2;
SELECT org_id, id FROM items WHERE org_id = (SELECT 1::bigint) AND org_id = 2 AND id < 3 ORDER BY 2;
SELECT org_id, id FROM texts WHERE org_id = (SELECT '2'::text) AND org_id = '2' ORDER BY 2;
EXECUTE two_ways(2); EXECUTE two_ways(1); EXECUTE of_parted(2); EXECUTE of_parted(1);
COMMIT;
-- A parameter of a type that is no key's is compared by the operator.
PREPARE as_oid(oid) AS SELECT org_id, id FROM smalls WHERE org_id = $1::int ORDER BY 2;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE as_oid(2); EXECUTE as_oid(1); COMMIT;
RESET plan_cache_mode;

-- In PL/pgSQL the parameter is a variable that the next call gives anew.
CREATE FUNCTION of_org(org bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM items WHERE org_id = org); END $$;
CREATE FUNCTION loop_org(org bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	item record;
	seen text := '';
BEGIN
	FOR item IN SELECT * FROM items WHERE org_id = org ORDER BY id LOOP
		org := 3;
		seen := seen || item.org_id || '.' || item.id || ' ';
	END LOOP;
	RETURN seen;
END $$;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT o, of_org(o), loop_org(o) FROM generate_series(1, 3) AS o; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; SELECT o, of_org(o), loop_org(o) FROM generate_series(1, 3) AS o; COMMIT;
-- in parallel workers
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
RESET enable_seqscan;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
PREPARE counted(bigint) AS SELECT count(*), min(org_id), max(org_id) FROM items WHERE org_id = $1;
BEGIN; SET LOCAL app.current_org_id = '2'; EXPLAIN (COSTS OFF) EXECUTE counted(2); EXECUTE counted(2); EXECUTE counted(3); COMMIT;
RESET ALL;
SET search_path = named, public;
-- Under a bypass and without a tenant the clause is the query's alone.
BEGIN; SELECT FROM tenantguard.begin_bypass('all'); EXECUTE point(3, 1); SELECT count(*) FROM items WHERE org_id = 3; COMMIT;
EXECUTE point(1, 1);
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE point(1, 1); COMMIT;
-- Where the missing tenant is answered by no rows
SET tenantguard.missing_context = empty;
EXECUTE point(1, 1);
SELECT count(*) FROM items WHERE org_id = 1;
RESET tenantguard.missing_context;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA named CASCADE;
DROP ROLE regress_named_app;
