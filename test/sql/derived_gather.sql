-- derived_gather.sql: the tenant's parents gathered once in an execution, and a
-- hash table of them. The table is made at its first use and never again, so
-- wherever a plan runs in pieces or anew, it has to be of the right array.
-- uuid keys: the hash table points into the array.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE SCHEMA gather;
SET search_path = gather, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE folders (org_id bigint NOT NULL REFERENCES orgs, id uuid PRIMARY KEY);
CREATE INDEX ON folders (org_id);
CREATE TABLE docs (id int PRIMARY KEY, folder uuid REFERENCES folders, place int NOT NULL);
CREATE TABLE lines (id int PRIMARY KEY, doc int NOT NULL REFERENCES docs, place int NOT NULL);
CREATE FUNCTION folder(org int, n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(org || '-' || n)::uuid $$;
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO folders SELECT o, folder(o, n) FROM generate_series(1, 2) AS o, generate_series(1, o * 20) AS n;
-- org 1: 100 documents, org 2: 200, org 3: none; and 10 that are nobody's
INSERT INTO docs SELECT o * 1000 + n, folder(o, 1 + n % (o * 20)), n % 10 FROM generate_series(1, 2) AS o, generate_series(1, o * 100) AS n;
INSERT INTO docs SELECT n, NULL, n FROM generate_series(0, 9) AS n;
INSERT INTO lines SELECT id * 10 + n, id, place FROM docs, generate_series(1, 2) AS n WHERE folder IS NOT NULL;
ANALYZE orgs, folders, docs, lines;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('folders', 'org_id');
SET client_min_messages = error;
SELECT count(*) > 0 AS derived FROM tenantguard.derive('docs');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('lines');
SET client_min_messages = warning;

-- This is the plan that is tested here.
CREATE FUNCTION gathers(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line	text;
	found	boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		found := found OR line ~ 'InitPlan';
	END LOOP;
	RETURN found;
END $$;
BEGIN;
SET LOCAL app.current_org_id = '1';
SELECT gathers($$SELECT * FROM docs WHERE place > 3$$);

-- Another tenant, another array: each execution of a kept plan, of a function.
COMMIT;
SET plan_cache_mode = force_generic_plan;
PREPARE documents AS SELECT count(*), count(DISTINCT folder) FROM docs;
PREPARE deep (int) AS SELECT count(*) FROM lines WHERE place < $1;
CREATE FUNCTION documents() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM gather.docs); END $$;
\set asked 'EXECUTE documents; EXECUTE deep(5); SELECT documents(), documents();'
BEGIN; SET LOCAL app.current_org_id = '1'; :asked COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; :asked COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; :asked COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; :asked COMMIT;
RESET plan_cache_mode;

-- Run anew within an execution: inner sides of nested loops, sub-selects that
-- depend on the row outside, LATERAL, the steps of a recursion.
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;
BEGIN;
SET LOCAL app.current_org_id = '1';
SELECT gathers($$SELECT n, count(*) FROM generate_series(0, 2) AS n JOIN docs ON place > n GROUP BY n$$);
SELECT n, count(*) FROM generate_series(0, 2) AS n JOIN docs ON place > n GROUP BY n ORDER BY n;
SELECT n, (SELECT count(*) FROM docs WHERE place <= n) FROM generate_series(0, 2) AS n ORDER BY n;
SELECT n, (SELECT count(*) FROM lines WHERE place <= n) FROM generate_series(0, 2) AS n ORDER BY n;
SELECT n, d.* FROM generate_series(0, 2) AS n, LATERAL (SELECT count(*), max(folder::text) FROM (SELECT * FROM docs WHERE place <= n OFFSET 0) AS d) AS d ORDER BY n;
SELECT n, EXISTS (SELECT FROM docs WHERE place = n), n NOT IN (SELECT place FROM docs WHERE place > n - 2) AS absent FROM generate_series(8, 11) AS n ORDER BY n;
WITH RECURSIVE walk (place, found) AS (
	SELECT 0, (SELECT count(*) FROM docs WHERE place = 0)
	UNION ALL
	SELECT w.place + 1, w.found + d.found FROM walk AS w, LATERAL (SELECT count(*) AS found FROM docs WHERE place = w.place + 1) AS d WHERE w.place < 12)
SELECT * FROM walk WHERE place IN (0, 1, 9, 12) ORDER BY place;
-- both sides of a join, and a row that outer joins make up
SELECT count(*), count(a.folder = b.folder OR NULL) FROM docs AS a JOIN docs AS b ON a.place = b.place;
SELECT count(*), count(d.id) FROM generate_series(0, 12) AS n LEFT JOIN docs AS d ON d.place = n;
COMMIT;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material; RESET enable_memoize;

-- One folder is asked for but once where the query names it, and an array is not
-- searched again for each row of a join with its parent.
CREATE FUNCTION tell(folder uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE WARNING 'told %', folder; RETURN true; END $$;
CREATE INDEX ON docs (folder);
CREATE INDEX ON lines (doc);
PREPARE of_folder (uuid) AS SELECT count(*) FROM docs WHERE folder = $1;
PREPARE told (uuid) AS SELECT count(*) FROM docs WHERE tell(folder) AND folder = $1 AND place < 6;
BEGIN;
SET LOCAL app.current_org_id = '1';
SELECT gathers($$SELECT id FROM docs WHERE folder = '00000000-0000-0000-0000-000000000001'$$);
SELECT count(*) FROM docs WHERE folder = folder(1, 2);
SELECT count(*) FROM docs WHERE folder(2, 2) = folder;
SELECT count(*) FROM docs WHERE folder = folder(1, 2) OR folder = folder(2, 2);
SELECT count(*) FROM docs WHERE folder = folder(1, 2) AND folder = folder(2, 2);
SELECT count(*) FROM docs WHERE folder = NULL::uuid;
SELECT n, (SELECT count(*) FROM docs WHERE folder = folder(n, 2)) FROM generate_series(1, 3) AS n ORDER BY n;
SELECT max(id) FROM docs WHERE folder = folder(1, 2);
SELECT max(id) FROM docs WHERE folder = folder(2, 2);
SELECT count(*), count(d.id) FROM orgs LEFT JOIN docs AS d ON folder = folder(2, 2);
SELECT count(*), count(d.id) FROM orgs LEFT JOIN docs AS d ON folder = folder(1, 2);
SELECT count(*) FROM (SELECT FROM docs WHERE folder = folder(2, 2) FOR UPDATE) AS l;
SELECT count(*) FROM docs WHERE tell(folder) AND folder = folder(2, 2);
SELECT count(*) FROM docs WHERE tell(folder) AND folder = folder(1, 2) AND place < 6;
SET plan_cache_mode = force_generic_plan;
EXECUTE of_folder(folder(1, 2)); EXECUTE of_folder(folder(2, 2));
EXECUTE told(folder(2, 2)); EXECUTE told(folder(1, 2));
RESET plan_cache_mode;
SELECT gathers($$SELECT count(*) FROM lines AS l JOIN docs AS d ON d.id = l.doc$$);
SELECT count(*), sum(l.place) FROM lines AS l JOIN docs AS d ON d.id = l.doc;
SELECT count(*), count(DISTINCT f.id) FROM docs AS d JOIN folders AS f ON f.id = d.folder;
SELECT count(*), count(f.id) FROM docs AS d LEFT JOIN folders AS f ON f.id = d.folder;
SELECT count(*), count(d.id) FROM folders AS f LEFT JOIN docs AS d ON f.id = d.folder AND d.place < 5;
SELECT count(*), count(DISTINCT f.id) FROM lines AS l JOIN docs AS d ON d.id = l.doc JOIN folders AS f ON f.id = d.folder;
SELECT count(*) FROM docs WHERE folder IN (SELECT id FROM folders);
SELECT count(*) FROM docs AS a JOIN docs AS b ON a.folder = b.folder JOIN folders AS f ON f.id = a.folder;
SELECT d.id, f.org_id, l.id FROM lines AS l JOIN docs AS d ON d.id = l.doc JOIN folders AS f ON f.id = d.folder WHERE l.id IN (10011, 20011);
SELECT d.id, f.org_id, l.id FROM folders AS f JOIN docs AS d ON d.folder = f.id JOIN lines AS l ON d.id = l.doc WHERE l.id = 10011;
COMMIT;
DROP INDEX docs_folder_idx;
-- A link that does not speak is not asked, whatever the column's value.
CREATE TABLE marks (id int PRIMARY KEY, kind text NOT NULL, subject uuid NOT NULL);
CREATE INDEX ON marks (subject);
INSERT INTO marks VALUES (1, 'folder', folder(1, 2)), (2, 'other', folder(1, 2)), (3, 'folder', folder(2, 2));
SET client_min_messages = error;
SELECT tenantguard.add_link('marks', '{subject}', 'folders', '{id}', 'kind', 'folder');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('marks');
SET client_min_messages = warning;
BEGIN;
SET LOCAL app.current_org_id = '1';
SELECT id FROM marks WHERE subject = folder(1, 2);
SELECT id FROM marks WHERE subject = folder(2, 2);
COMMIT;

-- The form follows the tenant's size, as statistics tell it. The first rows of
-- an index are asked one by one where the tenant is known to have its share of
-- them; the whole relation is read where the tenant's parents are many, and
-- more of them than memory is granted for are not gathered. The same rows come
-- of it.
CREATE INDEX ON docs (place);
CREATE INDEX ON docs (folder);
CREATE FUNCTION form(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line	text;
	whole	text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		whole := whole || line;
	END LOOP;
	RETURN CASE WHEN whole ~ 'CASE WHEN' THEN 'sift' WHEN whole ~ 'InitPlan' THEN 'gather' WHEN whole ~ 'SubPlan' THEN 'ask' END;
END $$;
-- with a parameter each is planned for its tenant, also below a function
SET plan_cache_mode = auto;
PREPARE by_place (int) AS SELECT id FROM docs ORDER BY place LIMIT $1;
PREPARE by_two (int) AS SELECT id, place FROM docs ORDER BY place DESC, id LIMIT $1;
PREPARE any_rows (int) AS SELECT id FROM docs LIMIT $1;
PREPARE computed (int) AS SELECT id FROM docs ORDER BY place + 1 LIMIT $1;
PREPARE filtered (int) AS SELECT id FROM docs WHERE place > 3 ORDER BY place LIMIT $1;
PREPARE joined (int) AS SELECT d.id FROM docs AS d JOIN folders AS f ON f.id = d.folder ORDER BY d.place LIMIT $1;
PREPARE counted (int) AS SELECT count(*) FROM docs LIMIT $1;
PREPARE whole (int) AS SELECT count(*) FROM docs WHERE place + $1 > 0;
CREATE VIEW forms AS SELECT q, form('EXECUTE ' || q) FROM unnest('{by_place(5),by_two(5),any_rows(5),by_place(1000),computed(5),filtered(5),joined(5),counted(1),whole(5)}'::text[]) AS q;
CREATE FUNCTION pretend(relation regclass, rows real) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenantguard.begin_bypass('statistics of a large table');
	UPDATE pg_class SET reltuples = rows WHERE oid = relation;
END $$;
BEGIN; SELECT pretend('docs', 1e5); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM forms; EXECUTE by_two(5); EXECUTE whole(5); COMMIT;
-- nothing is known of a tenant that has no folder, nor in a plan for any
BEGIN; SET LOCAL app.current_org_id = '3'; SELECT * FROM forms; EXECUTE by_place(5); COMMIT;
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT form('EXECUTE by_two(2)'); EXECUTE by_two(2); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE by_two(2); COMMIT;
SET plan_cache_mode = auto;
BEGIN; SELECT pretend('folders', 1e5); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT form('EXECUTE whole(5)'); EXECUTE whole(5); COMMIT;
-- who listens hears of no other tenant's rows, in these forms as well
CREATE FUNCTION hears(folder uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	IF folder IS NULL OR folder <> ALL (ARRAY(SELECT gather.folder(1, n) FROM generate_series(1, 20) AS n)) THEN
		RAISE EXCEPTION 'heard of %', folder;
	END IF;
	RETURN true;
END $$;
PREPARE listening (int) AS SELECT count(*) FROM docs WHERE hears(folder) AND place + $1 = 5;
PREPARE listening_first (int) AS SELECT hears(folder) FROM docs ORDER BY place DESC, id LIMIT $1;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT form('EXECUTE listening(0)'), form('EXECUTE listening_first(2)');
EXECUTE listening_first(2); EXECUTE listening(0); COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('it does hear'); EXECUTE listening(0); ROLLBACK;
BEGIN; SELECT pretend('folders', 1e6); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT form('EXECUTE whole(5)'); EXECUTE whole(5);
SET LOCAL work_mem = '1GB'; SELECT form('EXECUTE whole(5)'); EXECUTE whole(5); COMMIT;
DROP INDEX docs_folder_idx;
ANALYZE docs, folders;
RESET plan_cache_mode;

-- A cursor keeps its array: the folder is new to the second query only.
BEGIN;
SET LOCAL app.current_org_id = '1';
DECLARE reader SCROLL CURSOR FOR SELECT id FROM docs WHERE place > 0 ORDER BY id;
FETCH 2 FROM reader;
INSERT INTO folders VALUES (1, folder(1, 1000));
INSERT INTO docs VALUES (1, folder(1, 1000), 5) ON CONFLICT (id) DO NOTHING;
INSERT INTO docs VALUES (5000, folder(1, 1000), 5);
MOVE ALL FROM reader;
FETCH BACKWARD 1 FROM reader;
FETCH FIRST FROM reader;
SELECT max(id) FROM docs WHERE place > 0;
SELECT max(id) FROM (SELECT id FROM docs WHERE place > 0 OFFSET 0) AS d;
ROLLBACK;

-- Written by what was read so.
BEGIN;
SET LOCAL app.current_org_id = '1';
UPDATE folders SET id = id WHERE id IN (SELECT folder FROM docs WHERE place > 7);
DELETE FROM lines WHERE doc IN (SELECT id FROM docs WHERE place > 7);
WITH gone AS (DELETE FROM lines WHERE place > 5 RETURNING doc)
SELECT count(*), (SELECT count(*) FROM docs WHERE id IN (SELECT doc FROM gone)) FROM gone;
SELECT count(*) FROM (SELECT f.id FROM folders AS f, (SELECT folder FROM docs WHERE place > 7 OFFSET 0) AS d WHERE d.folder = f.id FOR UPDATE OF f) AS l;
ROLLBACK;

-- Parallel workers get the array from their leader and make their own tables.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET enable_indexscan = off; SET enable_bitmapscan = off;
ALTER TABLE docs SET (parallel_workers = 2);
BEGIN;
SET LOCAL app.current_org_id = '2';
SELECT count(*), count(DISTINCT folder), max(folder::text) FROM docs WHERE place > 3;
SELECT n, (SELECT count(*) FROM docs WHERE place <= n) FROM generate_series(0, 1) AS n ORDER BY n;
COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA gather CASCADE;
