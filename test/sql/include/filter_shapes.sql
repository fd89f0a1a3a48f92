-- filter_shapes.sql: every shape of SELECT over docs and notes, run in every way
-- by every role; for a schema "filter" of three tenants and twenty rows each.
-- what wraps a query: views of every kind, functions of every kind
CREATE VIEW super_view AS SELECT * FROM docs;
SET ROLE regress_filter_owner;
CREATE VIEW plain_view AS SELECT * FROM docs;
CREATE VIEW barrier_view WITH (security_barrier) AS SELECT * FROM docs WHERE amount > 0;
CREATE VIEW invoker_view WITH (security_invoker) AS SELECT * FROM docs;
CREATE VIEW nested_view AS SELECT v.* FROM barrier_view AS v JOIN plain_view AS p USING (org_id, id);
CREATE VIEW union_view AS SELECT org_id, id, body FROM docs UNION ALL SELECT org_id, id, body FROM notes;
CREATE FUNCTION inlined() RETURNS SETOF docs LANGUAGE sql STABLE AS 'SELECT * FROM docs';
CREATE FUNCTION inlined_atomic() RETURNS SETOF docs LANGUAGE sql STABLE BEGIN ATOMIC SELECT * FROM docs; END;
CREATE FUNCTION not_inlined() RETURNS SETOF docs LANGUAGE sql VOLATILE AS 'SELECT * FROM docs';
CREATE FUNCTION definer() RETURNS SETOF docs LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM docs';
CREATE FUNCTION in_plpgsql() RETURNS SETOF docs LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM docs; END';
CREATE FUNCTION in_plpgsql_dynamic() RETURNS SETOF docs LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN QUERY EXECUTE ''SELECT * FROM docs''; END';
CREATE FUNCTION in_loop() RETURNS SETOF docs LANGUAGE plpgsql AS 'DECLARE r docs; BEGIN FOR r IN SELECT * FROM docs LOOP RETURN NEXT r; END LOOP; END';
CREATE FUNCTION in_cursor() RETURNS SETOF docs LANGUAGE plpgsql AS 'DECLARE c CURSOR FOR SELECT * FROM docs; r docs; BEGIN OPEN c; LOOP FETCH c INTO r; EXIT WHEN NOT FOUND; RETURN NEXT r; END LOOP; END';
CREATE FUNCTION scalar(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT max(org_id) FROM docs WHERE id = $1';
RESET ROLE;
CREATE FUNCTION super_definer() RETURNS SETOF docs LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM docs';
GRANT USAGE ON SCHEMA filter TO PUBLIC;
GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA filter TO PUBLIC;

-- Each shape returns the tenant of the rows that it reached.
CREATE TABLE shape (name text PRIMARY KEY, query text NOT NULL);
INSERT INTO shape VALUES
	('plain', 'SELECT org_id FROM docs'),
	('asks for others', 'SELECT org_id FROM docs WHERE org_id IN (1, 2, 3)'),
	('or true', 'SELECT org_id FROM docs WHERE org_id = 2 OR true'),
	('only', 'SELECT org_id FROM ONLY docs'),
	('by another index', 'SELECT org_id FROM docs WHERE id = 5'),
	('cross join', 'SELECT n.org_id FROM docs AS d, notes AS n'),
	('inner join', 'SELECT n.org_id FROM docs AS d JOIN notes AS n ON n.doc_id = d.id'),
	('left join', 'SELECT n.org_id FROM docs AS d LEFT JOIN notes AS n ON n.doc_id = d.id'),
	('left join of values', 'SELECT d.org_id FROM (VALUES (1), (2), (3)) AS v (o) LEFT JOIN docs AS d ON d.org_id = v.o'),
	('right join', 'SELECT d.org_id FROM docs AS d RIGHT JOIN (VALUES (1), (2), (3)) AS v (o) ON d.org_id = v.o'),
	('full join', 'SELECT coalesce(d.org_id, n.org_id) AS org_id FROM docs AS d FULL JOIN notes AS n ON n.doc_id = d.id + 1'),
	('full join of values', 'SELECT d.org_id FROM docs AS d FULL JOIN (VALUES (2), (3)) AS v (o) ON d.org_id = v.o'),
	('natural join', 'SELECT org_id FROM docs NATURAL JOIN (SELECT org_id, id FROM notes) AS n'),
	('self join', 'SELECT b.org_id FROM docs AS a JOIN docs AS b ON a.id = b.parent'),
	('semi-join', 'SELECT org_id FROM docs WHERE id IN (SELECT doc_id FROM notes WHERE org_id <> 0)'),
	('anti-join', 'SELECT org_id FROM docs AS d WHERE NOT EXISTS (SELECT FROM notes AS n WHERE n.doc_id = d.id + 1)'),
	('exists', 'SELECT g AS org_id FROM generate_series(1, 3) AS g WHERE EXISTS (SELECT FROM docs WHERE org_id = g)'),
	('not in', 'SELECT 4 - g AS org_id FROM generate_series(1, 3) AS g WHERE g <> 2 AND g NOT IN (SELECT org_id FROM docs)'),
	('any array', 'SELECT g AS org_id FROM generate_series(1, 3) AS g WHERE g = ANY (ARRAY(SELECT org_id FROM docs))'),
	('scalar sub-select', 'SELECT (SELECT max(org_id) FROM docs) AS org_id'),
	('correlated sub-select', 'SELECT (SELECT max(n.org_id) FROM notes AS n WHERE n.doc_id = d.id) AS org_id FROM docs AS d'),
	('lateral', 'SELECT l.org_id FROM generate_series(1, 5) AS g, LATERAL (SELECT org_id FROM docs WHERE id = g LIMIT 9) AS l'),
	('cte', 'WITH c AS (SELECT * FROM docs) SELECT org_id FROM c'),
	('cte materialized', 'WITH c AS MATERIALIZED (SELECT * FROM docs) SELECT org_id FROM c'),
	('cte read twice', 'WITH c AS (SELECT * FROM docs) SELECT a.org_id FROM c AS a JOIN c AS b USING (id)'),
	('recursive', 'WITH RECURSIVE r AS (SELECT org_id, id FROM docs WHERE id = 1 UNION ALL SELECT d.org_id, d.id FROM docs AS d JOIN r ON d.parent = r.id AND r.id < 7) SELECT org_id FROM r'),
	('window', 'SELECT first_value(org_id) OVER (ORDER BY amount DESC) AS org_id FROM docs'),
	('window lag', 'SELECT coalesce(lead(org_id) OVER (ORDER BY org_id, id), org_id) AS org_id FROM docs'),
	('group by', 'SELECT org_id FROM docs GROUP BY org_id'),
	('grouping sets', 'SELECT coalesce(org_id, max(org_id)) AS org_id FROM docs GROUP BY GROUPING SETS ((org_id), (id), ())'),
	('cube', 'SELECT max(org_id) AS org_id FROM docs GROUP BY CUBE (org_id, parent)'),
	('having', 'SELECT max(org_id) AS org_id FROM docs GROUP BY id HAVING count(*) >= 1'),
	('aggregate', 'SELECT unnest(array_agg(org_id)) AS org_id FROM docs'),
	('min by index', 'SELECT min(org_id) AS org_id FROM docs'),
	('max by index', 'SELECT max(org_id) AS org_id FROM docs'),
	('max of another column', 'SELECT (max(amount) / 1000)::int AS org_id FROM docs'),
	('distinct', 'SELECT DISTINCT org_id FROM docs'),
	('distinct on', 'SELECT DISTINCT ON (id) org_id FROM docs ORDER BY id, org_id DESC'),
	('order by limit', 'SELECT org_id FROM docs ORDER BY org_id DESC, id DESC LIMIT 3'),
	('offset', 'SELECT org_id FROM docs OFFSET 1'),
	('fetch with ties', 'SELECT org_id FROM docs ORDER BY id FETCH FIRST 1 ROW WITH TIES'),
	('union', 'SELECT org_id FROM docs UNION SELECT org_id FROM notes'),
	('union all', 'SELECT org_id FROM docs UNION ALL SELECT org_id FROM notes'),
	('nested union all', 'SELECT * FROM (SELECT org_id FROM docs UNION ALL (SELECT org_id FROM notes UNION ALL SELECT org_id FROM docs)) AS u'),
	('intersect', 'SELECT org_id FROM docs INTERSECT SELECT org_id FROM notes'),
	('except', 'SELECT org_id FROM docs EXCEPT SELECT 0'),
	('tablesample system', 'SELECT org_id FROM docs TABLESAMPLE SYSTEM (100)'),
	('tablesample bernoulli', 'SELECT org_id FROM docs TABLESAMPLE BERNOULLI (100) REPEATABLE (1)'),
	('by ctid', 'SELECT org_id FROM docs WHERE ctid = ANY (ARRAY(SELECT format(''(0,%s)'', g)::tid FROM generate_series(1, 60) AS g))'),
	('by range of ctid', 'SELECT org_id FROM docs WHERE ctid >= ''(0,1)'' AND ctid < ''(9,1)'''),
	('whole row', 'SELECT (d).org_id FROM (SELECT docs AS d FROM docs) AS s'),
	('as json', 'SELECT (j ->> ''org_id'')::bigint AS org_id FROM (SELECT to_jsonb(docs) AS j FROM docs) AS s'),
	('for update', 'SELECT org_id FROM docs FOR UPDATE'),
	('for share of view', 'SELECT org_id FROM plain_view FOR SHARE'),
	('skip locked', 'SELECT org_id FROM docs FOR UPDATE SKIP LOCKED'),
	('view of a superuser', 'SELECT org_id FROM super_view'),
	('view of the owner', 'SELECT org_id FROM plain_view'),
	('security_barrier view', 'SELECT org_id FROM barrier_view'),
	('security_invoker view', 'SELECT org_id FROM invoker_view'),
	('view of views', 'SELECT org_id FROM nested_view'),
	('view with union all', 'SELECT org_id FROM union_view'),
	('inlined function', 'SELECT org_id FROM inlined()'),
	('inlined standard function', 'SELECT org_id FROM inlined_atomic()'),
	('function not inlined', 'SELECT org_id FROM not_inlined()'),
	('function in select list', 'SELECT (not_inlined()).org_id'),
	('security definer', 'SELECT org_id FROM definer()'),
	('security definer of a superuser', 'SELECT org_id FROM super_definer()'),
	('plpgsql', 'SELECT org_id FROM in_plpgsql()'),
	('plpgsql dynamic', 'SELECT org_id FROM in_plpgsql_dynamic()'),
	('plpgsql loop', 'SELECT org_id FROM in_loop()'),
	('plpgsql cursor', 'SELECT org_id FROM in_cursor()'),
	('scalar function', 'SELECT scalar(g) AS org_id FROM generate_series(1, 3) AS g'),
	('rows from', 'SELECT a AS org_id FROM ROWS FROM (inlined(), in_plpgsql()) AS r (a, b, c, d, e)'),
	('registry', 'SELECT id AS org_id FROM orgs'),
	('query_to_xml', 'SELECT (xpath(''/row/org_id/text()'', x))[1]::text::bigint AS org_id FROM (SELECT unnest(xpath(''/table/row'', query_to_xml(''SELECT org_id FROM docs'', false, false, ''''))) AS x) AS s'),
	('values of a sub-select', 'SELECT v AS org_id FROM (VALUES ((SELECT max(org_id) FROM docs)), ((SELECT min(org_id) FROM notes))) AS s (v)'),
	('case', 'SELECT CASE WHEN EXISTS (SELECT FROM docs WHERE org_id = 2) THEN 2 ELSE 1 END AS org_id');
GRANT SELECT ON shape TO PUBLIC;
CREATE TABLE result (role name, way text, shape text, own bigint, foreign_rows bigint);
GRANT ALL ON result TO PUBLIC;

-- First way: inside a function, with a plan that any tenant could run.
CREATE FUNCTION run_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s	shape;
BEGIN
	FOR s IN SELECT * FROM shape LOOP
		EXECUTE format('INSERT INTO result SELECT current_user, ''function'', %L, count(*) FILTER (WHERE org_id = 1), '
			'count(*) FILTER (WHERE org_id <> 1) FROM (%s) AS q', s.name, s.query);
	END LOOP;
END $$;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_filter_owner; SELECT run_all(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_filter_bypassrls; SELECT run_all(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_filter_app; SELECT run_all(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT run_all(); COMMIT;

-- Second way: as statements of their own, with the tenant as a constant.
\set ECHO errors
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT format('INSERT INTO result SELECT current_user, ''statement'', %L, count(*) FILTER (WHERE org_id = 1), '
	'count(*) FILTER (WHERE org_id <> 1) FROM (%s) AS q', name, query) FROM shape \gexec
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_filter_app;
SELECT format('INSERT INTO result SELECT current_user, ''statement'', %L, count(*) FILTER (WHERE org_id = 1), '
	'count(*) FILTER (WHERE org_id <> 1) FROM (%s) AS q', name, query) FROM shape \gexec
COMMIT;
-- Third way: as prepared statements, first with custom, then with generic plans.
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL plan_cache_mode = force_custom_plan;
SELECT format('PREPARE custom_%s AS INSERT INTO result SELECT current_user, ''prepared'', %L, count(*) FILTER (WHERE org_id = $1), '
	'count(*) FILTER (WHERE org_id <> $1) FROM (%s) AS q', row_number() OVER (ORDER BY name), name, query) FROM shape \gexec
SELECT format('EXECUTE custom_%s(1)', row_number() OVER (ORDER BY name)) FROM shape \gexec
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL plan_cache_mode = force_generic_plan;
SELECT format('EXECUTE custom_%s(1)', row_number() OVER (ORDER BY name)) FROM shape \gexec
COMMIT;
\set ECHO all

-- Rows of others that anybody saw, by any shape: none. The blind are listed as well.
SELECT * FROM result WHERE foreign_rows <> 0 OR own = 0 ORDER BY shape, role, way;
-- Every role sees the same by every way.
SELECT shape, array_agg(DISTINCT own) AS own FROM result GROUP BY shape HAVING count(DISTINCT own) <> 1 OR count(*) <> 8 ORDER BY shape;
SELECT CASE role WHEN session_user THEN 'superuser' ELSE role END AS role, way, count(*) AS shapes FROM result GROUP BY 1, 2 ORDER BY 1, 2;

