-- leaky_probes.sql: what a function that tells is shown of docs and notes, in
-- every shape of query; for a schema "leaky" of three tenants and fifty rows each.
-- What is switched off costs so much that every statement would be compiled.
SET jit = off;
CREATE FUNCTION tell(body text) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0000001 AS $$
BEGIN
	IF body <> 'org 1' THEN
		RAISE WARNING 'a function was shown a row of %', body;
	END IF;
	RETURN true;
END $$;
CREATE FUNCTION tell_id(org bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
	IF org <> 1 THEN RAISE WARNING 'a function was shown a row of org %', org; END IF;
	RETURN org;
END $$;
CREATE FUNCTION tell_text(body text) RETURNS text LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
	IF body <> 'org 1' THEN RAISE WARNING 'a function was shown a row of %', body; END IF;
	RETURN body;
END $$;
CREATE FUNCTION tell_equal(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
	IF a <> 'org 1' THEN RAISE WARNING 'an operator was shown a row of %', a; END IF;
	RETURN a = b;
END $$;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = tell_equal, COMMUTATOR = OPERATOR(leaky.===),
	RESTRICT = eqsel, JOIN = eqjoinsel);
-- a function that lies: nothing but a superuser may mark it so
CREATE FUNCTION tell_leakproof(body text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE LEAKPROOF COST 0.0000001 AS $$
BEGIN
	IF body <> 'org 1' THEN RAISE WARNING 'a leakproof function was shown a row of %', body; END IF;
	RETURN true;
END $$;
CREATE VIEW plain_view AS SELECT * FROM docs;
CREATE VIEW barrier_view WITH (security_barrier) AS SELECT * FROM docs;
CREATE VIEW union_view AS SELECT org_id, id, body FROM docs UNION ALL SELECT org_id, id, body FROM notes;
CREATE FUNCTION inlined() RETURNS SETOF docs LANGUAGE sql STABLE AS 'SELECT * FROM docs';
CREATE FUNCTION inlined_union() RETURNS TABLE (org_id bigint, id int, body text) LANGUAGE sql STABLE
	AS 'SELECT org_id, id, body FROM docs UNION ALL SELECT org_id, id, body FROM notes';
ANALYZE docs, notes, lines;

-- Every statement runs with each kind of scan and of join switched off in turn.
-- A WARNING from one of them is a leak.
CREATE FUNCTION probe(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n		text;
	answers	text[];
	setting	text;
BEGIN
	PERFORM set_config('app.current_org_id', '1', true);
	FOREACH setting IN ARRAY '{geqo,enable_indexscan,enable_bitmapscan,enable_seqscan,enable_hashjoin,enable_mergejoin,enable_nestloop}'::text[] LOOP
		PERFORM set_config(setting, 'off', true);
		EXECUTE query INTO n;
		answers := answers || n;
		PERFORM set_config(setting, 'on', true);
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT a, ' differs from ') FROM unnest(answers) AS a);
END $$;
\pset tuples_only on
-- WHERE
SELECT probe('SELECT count(*) FROM docs WHERE tell(body)');
SELECT probe('SELECT count(*) FROM docs WHERE tell(body) AND org_id = 1');
SELECT probe('SELECT count(*) FROM docs WHERE tell(body) AND id < 10');
SELECT probe('SELECT count(*) FROM docs WHERE tell_id(org_id) = 1');
SELECT probe('SELECT count(*) FROM docs WHERE tell_text(body) = ''org 1'' OR id = 5');
SELECT probe('SELECT count(*) FROM docs WHERE body === ''org 1''');
SELECT probe('SELECT count(*) FROM docs WHERE tell_leakproof(body)');
SELECT probe('SELECT count(*) FROM docs WHERE CASE WHEN org_id <> 1 THEN tell(body) ELSE true END');
-- what fails on a foreign row
SELECT probe('SELECT count(*) FROM docs WHERE 1 / (org_id - 2) < 5');
SELECT probe('SELECT count(*) FROM docs WHERE (body || ''x'')::text <> '''' AND CASE WHEN org_id = 3 THEN body::int > 0 ELSE true END');
SELECT probe('SELECT count(*) FROM docs WHERE substr(body, 5)::int % 2 = 1 AND 1 / (substr(body, 5)::int - 3) < 1');
-- HAVING, GROUP BY, aggregates and windows
SELECT probe('SELECT count(*) FROM (SELECT body FROM docs GROUP BY body HAVING tell(body)) AS s');
SELECT probe('SELECT count(*) FROM (SELECT tell_id(org_id) FROM docs GROUP BY 1) AS s');
SELECT probe('SELECT count(*) FILTER (WHERE tell(body)) FROM docs');
SELECT probe('SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY tell_text(body)) FROM docs) AS s');
-- joins
SELECT probe('SELECT count(*) FROM docs AS a JOIN notes AS b ON a.id = b.id AND tell(b.body)');
SELECT probe('SELECT count(*) FROM docs AS a JOIN notes AS b ON a.id = b.id AND tell(a.body || substr(b.body, 99))');
SELECT probe('SELECT count(*) FROM docs AS a LEFT JOIN notes AS b ON a.id = b.id AND tell(b.body)');
SELECT probe('SELECT count(*) FROM lines AS a LEFT JOIN notes AS b ON a.id = b.id AND tell(b.body) WHERE tell(coalesce(b.body, ''org 1''))');
SELECT probe('SELECT count(*) FROM docs AS a FULL JOIN notes AS b ON a.id = b.id WHERE tell(a.body) AND tell(b.body)');
SELECT probe('SELECT count(*) FROM lines AS a JOIN docs AS b ON tell_text(b.body) = a.body AND a.id = b.id');
SELECT probe('SELECT count(*) FROM lines AS a JOIN docs AS b ON b.body === a.body AND a.id = b.id');
SELECT probe('SELECT count(*) FROM lines AS a, LATERAL (SELECT * FROM docs AS d WHERE d.id = a.id AND tell(d.body)) AS b');
SELECT probe('SELECT count(*) FROM lines AS a, LATERAL (SELECT * FROM docs AS d WHERE tell(d.body) OFFSET 0) AS b WHERE a.id = b.id');
SELECT probe('SELECT count(*) FROM lines AS a WHERE EXISTS (SELECT FROM docs AS d WHERE d.id = a.id AND tell(d.body))');
SELECT probe('SELECT count(*) FROM lines AS a WHERE a.id IN (SELECT d.id FROM docs AS d WHERE tell(d.body))');
SELECT probe('SELECT count(*) FROM lines AS a WHERE a.id NOT IN (SELECT d.id FROM docs AS d WHERE tell(d.body))');
-- UNION ALL: the children get the parent's clauses
SELECT probe('SELECT count(*) FROM (SELECT org_id, body FROM docs UNION ALL SELECT org_id, body FROM notes) AS u WHERE tell(body)');
SELECT probe('SELECT count(*) FROM (SELECT org_id, body FROM docs UNION ALL SELECT org_id, body FROM notes) AS u WHERE tell_leakproof(body)');
SELECT probe('SELECT count(*) FROM (SELECT id, body FROM docs UNION ALL SELECT id, body FROM lines) AS u WHERE tell(body)');
SELECT probe('SELECT count(*) FROM (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS u, (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS v WHERE u.id = v.id AND tell(u.body) AND tell(v.body)');
SELECT probe('SELECT count(*) FROM (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS u JOIN (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS v ON u.id = v.id AND tell(v.body || substr(u.body, 99))');
SELECT probe('SELECT count(*) FROM (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS u JOIN (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS v ON tell_text(u.body) = tell_text(v.body) AND u.id = v.id');
SELECT probe('SELECT count(*) FROM (SELECT id, body FROM (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS i WHERE tell(body) UNION ALL (SELECT id, body FROM docs UNION ALL SELECT id, body FROM lines)) AS u WHERE tell(body)');
SELECT probe('SELECT count(*) FROM (SELECT org_id, tell_text(body) AS body FROM docs UNION ALL SELECT org_id, body FROM notes) AS u WHERE body = ''org 1''');
SELECT probe('SELECT count(*) FROM lines AS l, LATERAL (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS u WHERE u.id = l.id AND tell(u.body || substr(l.body, 99))');
SELECT probe('SELECT count(*) FROM lines AS l LEFT JOIN (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS u ON u.id = l.id AND tell(u.body)');
SELECT probe('SELECT count(*) FROM lines AS l LEFT JOIN (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS u ON tell_text(u.body) = l.body AND l.id = u.id');
SELECT probe('SELECT count(*) FROM lines AS l WHERE EXISTS (SELECT FROM (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS u WHERE u.id = l.id AND tell(u.body))');
SELECT probe('SELECT count(*) FROM (SELECT DISTINCT body FROM (SELECT id, body FROM docs UNION ALL SELECT id, body FROM notes) AS i) AS u WHERE tell(body)');
SELECT probe('SELECT count(*) FROM (SELECT id, body FROM docs UNION SELECT id, body FROM notes) AS u WHERE tell(body)');
SELECT probe('SELECT count(*) FROM (SELECT body FROM docs EXCEPT SELECT ''none'') AS u WHERE tell(body)');
-- views, sub-selects and functions that are inlined
SELECT probe('SELECT count(*) FROM plain_view WHERE tell(body)');
SELECT probe('SELECT count(*) FROM barrier_view WHERE tell(body)');
SELECT probe('SELECT count(*) FROM union_view WHERE tell(body)');
SELECT probe('SELECT count(*) FROM union_view AS a JOIN union_view AS b USING (id) WHERE tell(a.body) AND tell(b.body)');
SELECT probe('SELECT count(*) FROM inlined() WHERE tell(body)');
SELECT probe('SELECT count(*) FROM inlined_union() WHERE tell(body)');
SELECT probe('SELECT count(*) FROM lines AS l JOIN inlined_union() AS u ON u.id = l.id AND tell(u.body || substr(l.body, 99))');
SELECT probe('SELECT count(*) FROM (SELECT * FROM docs OFFSET 0) AS s WHERE tell(body)');
SELECT probe('WITH c AS (SELECT * FROM docs) SELECT count(*) FROM c WHERE tell(body)');
SELECT probe('WITH c AS MATERIALIZED (SELECT * FROM docs) SELECT count(*) FROM c WHERE tell(body)');
-- writes read, too
SELECT probe('WITH u AS (UPDATE docs SET id = id WHERE tell(body) RETURNING body) SELECT count(*) FROM u WHERE tell(body)');
SELECT probe('WITH u AS (UPDATE docs AS d SET id = d.id FROM notes AS n WHERE n.id = d.id AND tell(n.body) AND tell(d.body) RETURNING d.body) SELECT count(*) FROM u');
SELECT probe('WITH d AS (DELETE FROM notes WHERE tell(body) AND id = 99 RETURNING body) SELECT count(*) FROM d');
