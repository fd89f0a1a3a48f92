-- 52_indexes.sql: indexes for queries of one tenant, and the steps of a whole
-- schema.

CREATE VIEW tenantguard.indexes AS
	WITH rel AS MATERIALIZED (
		SELECT r.*, c.relispartition
		FROM tenantguard.checked_relations(NULL) AS r
		JOIN pg_catalog.pg_class AS c ON c.oid = r.relid
		WHERE r.attnum IS NOT NULL AND r.mode IN ('tenant', 'tenant_or_shared') AND r.relkind IN ('r', 'p', 'm')
	),
	idx AS MATERIALIZED (
		SELECT r.relid, r.attnum, r.relispartition, i.indexrelid, i.indisunique, i.indisexclusion, i.indisvalid AND i.indisready AS valid,
			i.indkey::int2[] AS keys, i.indnkeyatts, i.indnatts, c.relname AS index_name, c.relkind, m.amname,
			i.indkey[0] = r.attnum AS leads,
			-- Column by column, with operator class, collation and order.
			ARRAY(SELECT pg_catalog.concat_ws(' ', CASE i.indkey[k] WHEN 0 THEN pg_catalog.pg_get_indexdef(i.indexrelid, k + 1, false) ELSE i.indkey[k]::text END,
					i.indclass[k], i.indcollation[k], i.indoption[k])
				FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k ORDER BY k) AS parts,
			COALESCE(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '') AS predicate,
			EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid) AS inherited,
			EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid) AS needed
		FROM rel AS r
		JOIN pg_catalog.pg_index AS i ON i.indrelid = r.relid
		JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
	),
	-- Joined, so that a schema of thousands of tables is hashed.
	covered AS (
		SELECT DISTINCT ON (i.indexrelid) i.indexrelid, o.index_name AS other, o.parts = i.parts AS same
		FROM idx AS i
		JOIN idx AS o ON o.relid = i.relid AND o.amname = i.amname AND o.predicate = i.predicate
		WHERE o.indexrelid <> i.indexrelid AND o.valid AND i.valid
			AND (i.amname = 'btree' OR o.parts = i.parts)
			AND o.parts[1:pg_catalog.cardinality(i.parts)] = i.parts
			AND i.indnatts = i.indnkeyatts
			-- Of two that are the same, the later one; never one that a rule needs.
			AND NOT i.indisunique AND NOT i.indisexclusion AND NOT i.needed AND NOT i.inherited
			AND (o.parts <> i.parts OR o.indisunique OR o.needed OR o.indexrelid < i.indexrelid)
		ORDER BY i.indexrelid, o.parts = i.parts DESC, o.indexrelid
	),
	judged AS (
		SELECT i.*, w.other, w.same
		FROM idx AS i
		LEFT JOIN covered AS w ON w.indexrelid = i.indexrelid
	)
	SELECT j.relid::regclass AS relation, j.index_name AS name,
		CASE
			WHEN NOT j.valid THEN 'invalid'
			WHEN j.same THEN 'redundant'
			WHEN j.other IS NOT NULL THEN 'prefix of another'
			WHEN NOT j.leads THEN 'tenant not first'
		END AS problem,
		j.other AS covered_by,
		CASE WHEN j.relkind = 'i' THEN pg_catalog.pg_relation_size(j.indexrelid) END AS bytes,
		pg_catalog.pg_stat_get_numscans(j.indexrelid) AS scans,
		CASE
			WHEN NOT j.valid AND j.relkind = 'i' THEN pg_catalog.format('REINDEX INDEX CONCURRENTLY %s;', j.indexrelid::regclass)
			WHEN j.other IS NOT NULL THEN pg_catalog.format('DROP INDEX %s%s;', CASE j.relkind WHEN 'i' THEN 'CONCURRENTLY ' ELSE '' END, j.indexrelid::regclass)
		END AS fix
	FROM judged AS j
	UNION ALL
	SELECT r.relid::regclass, NULL, 'missing', NULL, NULL, NULL,
		pg_catalog.format('CREATE INDEX %sON %s (%I);', CASE r.relkind WHEN 'p' THEN '' ELSE 'CONCURRENTLY ' END, r.name, r.tenant_column)
	FROM rel AS r
	WHERE NOT r.relispartition
		AND r.relid NOT IN (SELECT i.relid FROM idx AS i WHERE i.leads AND i.valid AND i.predicate = '' AND i.amname IN ('btree', 'hash'))
		AND NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_partitioned_table AS p
			WHERE p.partrelid = r.relid AND p.partstrat = 'l' AND p.partattrs[0] = r.attnum);
COMMENT ON VIEW tenantguard.indexes IS
	'The indexes of guarded relations, and what is wrong with each: invalid, redundant or prefix of another (covered_by), tenant not first (which a rule may need all the same); and a row with problem missing for each relation without an index that leads with the tenant. fix is the SQL that helps.';

CREATE FUNCTION tenantguard.guess_index_size(relation oid, columns name[])
RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- An entry: its header and line pointer, the columns, aligned to 8; pages
	-- are filled to 90 %.
	SELECT (GREATEST(pg_catalog.sum(l.live), 0) * (12 + 8 * pg_catalog.ceil((SELECT pg_catalog.sum(COALESCE(s.avg_width, CASE WHEN a.attlen > 0 THEN a.attlen ELSE 32 END))
		FROM pg_catalog.pg_attribute AS a
		JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
		WHERE a.attrelid = guess_index_size.relation AND a.attname = ANY (guess_index_size.columns)) / 8.0)) / 0.9)::bigint
	FROM (
		SELECT GREATEST(c.reltuples, pg_catalog.pg_stat_get_live_tuples(c.oid))::numeric AS live
		FROM tenantguard.leaf_tables(guess_index_size.relation) AS t
		JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
	) AS l
$$;
COMMENT ON FUNCTION tenantguard.guess_index_size(oid, name[]) IS
	'About how many bytes an index over the columns would take, from the statistics of the table.';

CREATE FUNCTION tenantguard.index_writes(relation oid)
RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(t.relid)
		+ pg_catalog.pg_stat_get_tuples_updated(t.relid) - pg_catalog.pg_stat_get_tuples_hot_updated(t.relid)), 0)::bigint
	FROM tenantguard.leaf_tables(index_writes.relation) AS t
$$;
COMMENT ON FUNCTION tenantguard.index_writes(oid) IS
	'How many entries a further index would have got since the statistics were reset: inserts, and updates that were not HOT.';

CREATE FUNCTION tenantguard.queried_columns(relation oid)
RETURNS TABLE (columns name[], calls bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	statements	regclass;
	rel			pg_catalog.pg_class;
BEGIN
	SELECT c.oid INTO statements
	FROM pg_catalog.pg_extension AS e
	JOIN pg_catalog.pg_class AS c ON c.relnamespace = e.extnamespace AND c.relname = 'pg_stat_statements'
	WHERE e.extname = 'pg_stat_statements';
	IF statements IS NULL OR NOT pg_catalog.has_table_privilege(statements, 'SELECT') THEN
		RETURN;
	END IF;
	SELECT c.* INTO rel FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
	BEGIN
		-- A rough reading: statements that name this table and no join, and in
		-- them the columns that are compared with a parameter, then the first
		-- that the rows are ordered by.
		RETURN QUERY EXECUTE pg_catalog.format($query$
			SELECT x.columns, pg_catalog.sum(x.calls)::bigint
			FROM (
				SELECT s.calls, ARRAY(
					SELECT a.attname FROM pg_catalog.pg_attribute AS a
					WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> $3
						AND s.query ~* pg_catalog.format('[^a-z0-9_]%%s"?\s*(=|in\s*\()\s*(any\s*\(\s*)?\$', pg_catalog.regexp_replace(a.attname::text, '([^A-Za-z0-9_])', '\\\1', 'g'))
					ORDER BY a.attnum) || ARRAY(
					SELECT a.attname FROM pg_catalog.pg_attribute AS a
					WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> $3
						AND s.query ~* pg_catalog.format('order\s+by\s+([a-z0-9_"]+\.)?"?%%s"?(\s|,|$)', pg_catalog.regexp_replace(a.attname::text, '([^A-Za-z0-9_])', '\\\1', 'g'))
						AND NOT s.query ~* pg_catalog.format('[^a-z0-9_]%%s"?\s*(=|in\s*\()\s*(any\s*\(\s*)?\$', pg_catalog.regexp_replace(a.attname::text, '([^A-Za-z0-9_])', '\\\1', 'g'))) AS columns
				FROM %s AS s
				JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
				WHERE d.datname = pg_catalog.current_database()
					AND pg_catalog.strpos(pg_catalog.lower(s.query), pg_catalog.lower($2)) > 0
					AND s.query ~* pg_catalog.format('(from|update|into)\s+(only\s+)?([a-z0-9_"]+\.)?"?%%s"?(\s|;|$)', pg_catalog.regexp_replace($2, '([^A-Za-z0-9_])', '\\\1', 'g'))
					AND s.query ~* '^\s*(select|update|delete|with)' AND s.query !~* '\mjoin\M'
			) AS x
			WHERE pg_catalog.cardinality(x.columns) BETWEEN 1 AND 3
			GROUP BY x.columns
			ORDER BY 2 DESC, 1
			LIMIT 5 $query$, statements)
		USING relation, rel.relname::text, (SELECT g.tenant_column FROM tenantguard.guarded_relation AS g WHERE g.relid = relation);
	EXCEPTION WHEN object_not_in_prerequisite_state THEN
		NULL;	-- the extension is there and its library is not loaded
	END;
END
$$;
COMMENT ON FUNCTION tenantguard.queried_columns(oid) IS
	'By which columns the statements in pg_stat_statements look up rows of the table alone, at most five sets, the most frequent first; nothing without that extension. Read from the texts: a hint, no proof.';

CREATE FUNCTION tenantguard.wanted_indexes(schema regnamespace)
RETURNS TABLE (relid oid, name text, relname name, columns name[], tail text, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH rel AS MATERIALIZED (
		SELECT r.relid, r.name, r.relname, r.tenant_column, r.attnum, r.relkind,
			COALESCE((SELECT p.partstrat = 'l' AND p.partattrs[0] = r.attnum FROM pg_catalog.pg_partitioned_table AS p WHERE p.partrelid = r.relid), false) AS by_tenant
		FROM tenantguard.checked_relations(wanted_indexes.schema) AS r
		JOIN pg_catalog.pg_class AS c ON c.oid = r.relid
		WHERE r.attnum IS NOT NULL AND r.mode IN ('tenant', 'tenant_or_shared') AND r.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
	),
	-- What somebody wants to find rows by, beside the tenant.
	want AS (
		SELECT r.relid, ARRAY(
				SELECT a.attname FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (attnum, n)
				JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.relid AND a.attnum = k.attnum
				WHERE k.attnum <> r.attnum ORDER BY k.n) AS columns,
			1 AS weight, pg_catalog.format('foreign key %I: changes of %s look for its rows', c.conname, c.confrelid::regclass) AS reason
		FROM rel AS r
		JOIN pg_catalog.pg_constraint AS c ON c.conrelid = r.relid AND c.contype = 'f' AND c.conparentid = 0
		WHERE NOT (c.conkey = ARRAY[r.attnum])
		UNION ALL
		SELECT r.relid, ARRAY(
				SELECT a.attname FROM pg_catalog.unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, n)
				JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.relid AND a.attnum = k.attnum
				WHERE k.attnum <> r.attnum ORDER BY k.n),
			2, pg_catalog.format('index %I does not begin with the tenant', x.relname)
		FROM rel AS r
		JOIN pg_catalog.pg_index AS i ON i.indrelid = r.relid AND i.indkey[0] <> r.attnum AND i.indisvalid
			AND NOT i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
		JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
		JOIN pg_catalog.pg_am AS m ON m.oid = x.relam AND m.amname = 'btree'
		UNION ALL
		SELECT r.relid, q.columns, 3, pg_catalog.format('pg_stat_statements: %s calls', q.calls)
		FROM rel AS r
		CROSS JOIN LATERAL tenantguard.queried_columns(r.relid) AS q
		UNION ALL
		SELECT r.relid, '{}', 4, 'no index begins with the tenant' FROM rel AS r WHERE NOT r.by_tenant
	),
	-- Those that an index serves already are not wanted.
	open AS (
		SELECT r.relid, r.name, r.relname, r.relkind, r.tenant_column || w.columns AS columns, pg_catalog.min(w.weight) AS weight,
			pg_catalog.string_agg(DISTINCT w.reason, '; ') AS reason
		FROM want AS w
		JOIN rel AS r ON r.relid = w.relid
		WHERE NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_index AS i
			JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
			JOIN pg_catalog.pg_am AS m ON m.oid = x.relam AND m.amname = 'btree'
			WHERE i.indrelid = r.relid AND i.indisvalid AND i.indpred IS NULL
				AND ARRAY(SELECT a.attname FROM pg_catalog.unnest((i.indkey::int2[])[0:pg_catalog.cardinality(w.columns)]) WITH ORDINALITY AS k (attnum, n)
					JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.relid AND a.attnum = k.attnum ORDER BY k.n)
				  = r.tenant_column || w.columns)
		GROUP BY r.relid, r.name, r.relname, r.relkind, r.tenant_column, w.columns
	)
	SELECT o.relid, o.name, o.relname, o.columns,
		pg_catalog.format(' USING btree (%s)', (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.name), ', ' ORDER BY c.n) FROM pg_catalog.unnest(o.columns) WITH ORDINALITY AS c (name, n))),
		o.reason
	FROM open AS o
	-- One that begins with these columns serves for them, too.
	WHERE NOT EXISTS (
		SELECT 1 FROM open AS b
		WHERE b.relid = o.relid AND b.columns <> o.columns AND b.columns[1:pg_catalog.cardinality(o.columns)] = o.columns)
	ORDER BY o.name COLLATE "C", o.weight, o.columns;
END
$$;
COMMENT ON FUNCTION tenantguard.wanted_indexes(regnamespace) IS
	'The indexes (tenant, ...) that the foreign keys, the other indexes and pg_stat_statements ask for in the schema (NULL: in all) and that are not there, with the reasons. For a column that is a prefix of another, the longer one.';

CREATE FUNCTION tenantguard.try_index(relation oid, columns name[], tail text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	suppose		text;
	forget		text;
	supposed	oid;
	clauses		text;
	plan		text;
	line		text;
BEGIN
	SELECT pg_catalog.format('%I.hypopg_create_index', n.nspname), pg_catalog.format('%I.hypopg_drop_index', n.nspname) INTO suppose, forget
	FROM pg_catalog.pg_extension AS e
	JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
	WHERE e.extname = 'hypopg';
	IF suppose IS NULL OR NOT tenantguard.sees_all_rows(relation) THEN
		RETURN NULL;
	END IF;
	-- A value of each column that is there; the planner judges by it.
	SELECT pg_catalog.string_agg(pg_catalog.format('%I = (%L)::%s', c.name, v.value, pg_catalog.format_type(a.atttypid, NULL)), ' AND ' ORDER BY c.n)
	INTO clauses
	FROM pg_catalog.unnest(columns) WITH ORDINALITY AS c (name, n)
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = relation AND a.attname = c.name
	CROSS JOIN LATERAL (
		SELECT COALESCE((s.most_common_vals::text::text[])[1], (s.histogram_bounds::text::text[])[1]) AS value
		FROM pg_catalog.pg_stats AS s
		JOIN pg_catalog.pg_class AS k ON k.relname = s.tablename AND k.oid = relation
		JOIN pg_catalog.pg_namespace AS n ON n.oid = k.relnamespace AND n.nspname = s.schemaname
		WHERE s.attname = c.name
		ORDER BY s.inherited DESC
		LIMIT 1
	) AS v
	WHERE v.value IS NOT NULL;
	IF clauses IS NULL THEN
		RETURN NULL;
	END IF;
	EXECUTE pg_catalog.format('SELECT indexrelid FROM %s($1)', suppose) INTO supposed
	USING pg_catalog.format('CREATE INDEX ON %s%s', relation::regclass, tail);
	plan := '';
	FOR line IN EXECUTE pg_catalog.format('EXPLAIN (COSTS OFF) SELECT * FROM %s WHERE %s', relation::regclass, clauses) LOOP
		plan := plan || line || E'\n';
	END LOOP;
	EXECUTE pg_catalog.format('SELECT %s($1)', forget) USING supposed;
	RETURN pg_catalog.strpos(plan, '<' || supposed::text || '>') > 0;
END
$$;
COMMENT ON FUNCTION tenantguard.try_index(oid, name[], text) IS
	'Whether the planner would use such an index for a look-up by all its columns, as hypopg supposes it; NULL without hypopg, statistics or a bypass.';

CREATE FUNCTION tenantguard.propose_indexes(schema regnamespace)
RETURNS TABLE (relation regclass, columns name[], reason text, bytes bigint, writes bigint, would_be_used boolean, statement text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
		SELECT w.relid::regclass, w.columns, w.reason, tenantguard.guess_index_size(w.relid, w.columns), tenantguard.index_writes(w.relid),
			tenantguard.try_index(w.relid, w.columns, w.tail),
			pg_catalog.format('CREATE INDEX %sON %s%s', CASE c.relkind WHEN 'p' THEN '' ELSE 'CONCURRENTLY ' END, w.name, w.tail)
		FROM tenantguard.wanted_indexes(propose_indexes.schema) AS w
		JOIN pg_catalog.pg_class AS c ON c.oid = w.relid;
END
$$;
COMMENT ON FUNCTION tenantguard.propose_indexes(regnamespace) IS
	'Indexes that lead with the tenant and are not there: why each is wanted, about how many bytes it would take, how many entries the writes since the last reset of the statistics would have added, and whether the planner would use it (hypopg, under a bypass; else NULL). Creates nothing but hypothetical indexes, which it removes.';

CREATE FUNCTION tenantguard.conversion_steps(schema regnamespace, kinds text[] DEFAULT '{foreign_keys,unique_keys,indexes}')
RETURNS TABLE (step bigint, phase int, object text, purpose text, statement text, in_transaction boolean, blocks text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	IF NOT kinds <@ '{foreign_keys,unique_keys,primary_keys,indexes}'::text[] THEN
		RAISE EXCEPTION 'there is no such kind of step'
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Found: %s.', kinds),
				HINT = 'Use foreign_keys, unique_keys, primary_keys and indexes.';
	END IF;
	RETURN QUERY
	WITH conflicts AS MATERIALIZED (
		SELECT t.source FROM tenantguard.conflict_texts() AS t
	),
	keys AS MATERIALIZED (
		SELECT s.*
		FROM tenantguard.foreign_key_facts(conversion_steps.schema) AS f
		CROSS JOIN LATERAL tenantguard.foreign_key_steps(f) AS s
		WHERE 'foreign_keys' = ANY (kinds) AND f.converts
		UNION ALL
		-- What is accepted stays, what the server makes up tells little; known
		-- consumers are for a person, and so are primary keys, which code
		-- relies on, until that person asks for them.
		SELECT s.*
		FROM tenantguard.unique_key_facts(conversion_steps.schema) AS u
		CROSS JOIN LATERAL tenantguard.unique_key_steps(u) AS s
		WHERE u.global AND u.reason IS NULL
			AND CASE u.kind WHEN 'primary key' THEN 'primary_keys' = ANY (kinds) ELSE 'unique_keys' = ANY (kinds) AND NOT u.generated END
			AND NOT EXISTS (
				SELECT 1 FROM conflicts AS c
				WHERE tenantguard.conflict_target(c.source, u.relname, tenantguard.key_columns(u.indexrelid)))
	),
	-- The tables and columns that a new key brings an index for. Names may
	-- hold anything in quotes.
	served AS MATERIALIZED (
		SELECT DISTINCT p.parts[1] AS name, p.parts[2] AS tail
		FROM keys AS k
		CROSS JOIN LATERAL pg_catalog.regexp_match(k.statement,
			'^CREATE UNIQUE INDEX (?:CONCURRENTLY )?(?:"(?:[^"]|"")*"|[^" ]+) ON ((?:"(?:[^"]|"")*"|[^". ]+)\.(?:"(?:[^"]|"")*"|[^". ]+))( USING .*)$') AS p (parts)
	),
	todo AS (
		SELECT k.* FROM keys AS k
		UNION ALL
		-- Not what an index that the keys bring along will serve.
		SELECT s.*
		FROM tenantguard.wanted_indexes(conversion_steps.schema) AS w
		CROSS JOIN LATERAL tenantguard.build_steps(w.relid, w.tail, false,
			pg_catalog.format('%s_%s', w.relname, pg_catalog.array_to_string(w.columns, '_')), pg_catalog.array_to_string(w.columns, '_'), '_idx',
			pg_catalog.format('index (%s) on %s', pg_catalog.array_to_string(w.columns, ', '), w.name), 220, true) AS s
		WHERE 'indexes' = ANY (kinds) AND NOT EXISTS (
			SELECT 1 FROM served AS v
			WHERE v.name = w.name
				AND (pg_catalog.starts_with(v.tail, pg_catalog.left(w.tail, -1) || ',') OR pg_catalog.starts_with(v.tail, w.tail)))
	),
	-- Several keys may want the same index.
	once AS (
		SELECT DISTINCT ON (t.statement) t.*
		FROM todo AS t
		ORDER BY t.statement, t.phase, t.object COLLATE "C"
	)
	SELECT pg_catalog.row_number() OVER (ORDER BY o.phase, o.object COLLATE "C", o.statement COLLATE "C"),
		o.phase, o.object, o.purpose, o.statement, o.in_transaction, o.blocks
	FROM once AS o
	ORDER BY 1;
END
$$;
COMMENT ON FUNCTION tenantguard.conversion_steps(regnamespace, text[]) IS
	'The steps that remain for the foreign keys, unique keys and indexes of a schema (NULL: of all), in order; all of one phase come before the next. Unique keys that foreign keys refer to come when one asks again after those. Primary keys, generated or not, with kind primary_keys; see primary_key_costs() first. Left out, as for a person to decide: keys that cannot be converted, generated unique keys, those that keep_global() accepted, and those that a known ON CONFLICT names. Changes nothing.';

CREATE FUNCTION tenantguard.primary_key_costs(schema regnamespace)
RETURNS TABLE (relation regclass, name name, becomes text, bytes bigint, bytes_after bigint, scans bigint, consumers text[], why_not text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT u.relid::regclass, u.index_name, x.becomes, x.bytes,
		-- Foreign keys refer to the same columns by then, so one of two goes.
		CASE WHEN x.there IS NOT NULL OR u.referenced THEN 0 ELSE tenantguard.guess_index_size(u.relid, u.tenant_column || tenantguard.key_columns(u.indexrelid)) END,
		x.scans, ARRAY(SELECT * FROM tenantguard.key_consumers(u.indexrelid)), tenantguard.why_not_unique(u)
	FROM tenantguard.unique_key_facts(primary_key_costs.schema) AS u
	CROSS JOIN LATERAL (
		SELECT pg_catalog.format('(%I, %s', u.tenant_column, pg_catalog.substr(u.tail, pg_catalog.strpos(u.tail, '(') + 1)) AS becomes,
			pg_catalog.sum(pg_catalog.pg_relation_size(t.indexrelid))::bigint AS bytes,
			pg_catalog.sum(pg_catalog.pg_stat_get_numscans(t.indexrelid))::bigint AS scans,
			tenantguard.same_index(u.relid, pg_catalog.format(' USING btree (%I, %s', u.tenant_column, pg_catalog.substr(u.tail, pg_catalog.strpos(u.tail, '(') + 1)), true, true) AS there
		FROM (
			SELECT u.indexrelid AS indexrelid
			UNION ALL
			SELECT p.relid FROM pg_catalog.pg_partition_tree(u.indexrelid::regclass) AS p WHERE p.isleaf AND p.level > 0
		) AS t
	) AS x
	WHERE u.kind = 'primary key' AND u.global
	ORDER BY u.name COLLATE "C"
$$;
COMMENT ON FUNCTION tenantguard.primary_key_costs(regnamespace) IS
	'What it costs to take the tenant into the primary keys of the schema (NULL: of all): the columns that each would have, the bytes of its index now, about how many a new one would take (0: the unique index that foreign keys refer to by then takes its place, and the old one goes), how often the old one was used since the statistics were reset (look-ups without the tenant will not use the new one), what relies on its columns, and what is in the way (NULL: nothing).';

CREATE FUNCTION tenantguard.conversion_script(schema regnamespace, kinds text[] DEFAULT '{foreign_keys,unique_keys,indexes}')
RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	item	record;
	about	text := '';
BEGIN
	RETURN NEXT tenantguard.as_comment(pg_catalog.format('How keys and indexes of schema %s take the tenant in. For psql -v ON_ERROR_STOP=1, under a bypass,', schema));
	RETURN NEXT '-- outside of a transaction; the program "tenantguard migrate" runs the same steps with a limit on waiting.';
	RETURN NEXT 'SELECT tenantguard.begin_bypass(''key conversion'', ''session'', pg_catalog.now() + ''1 day'');';
	RETURN NEXT 'SET lock_timeout = ''1s'';';
	FOR item IN SELECT s.* FROM tenantguard.conversion_steps(conversion_script.schema, kinds) AS s LOOP
		IF item.object <> about THEN
			about := item.object;
			RETURN NEXT tenantguard.as_comment(about);
		END IF;
		RETURN NEXT CASE WHEN item.in_transaction THEN '' ELSE 'SET lock_timeout = 0; ' END
			|| CASE WHEN pg_catalog.strpos(item.statement, '; ') > 0 THEN 'BEGIN; ' || item.statement || '; COMMIT;' ELSE item.statement || ';' END
			|| CASE WHEN item.in_transaction THEN '' ELSE ' SET lock_timeout = ''1s'';' END;
	END LOOP;
	FOR item IN
		SELECT f.object, f.why FROM tenantguard.foreign_key_facts(conversion_script.schema) AS f
		WHERE f.crosses AND NOT f.converts
		UNION ALL
		SELECT u.object, CASE WHEN u.reason IS NOT NULL THEN 'kept global: ' || u.reason
			ELSE COALESCE(tenantguard.why_not_unique(u), (
				SELECT pg_catalog.string_agg(k.name, ', ') FROM tenantguard.key_consumers(u.indexrelid) AS k (name) WHERE k.name LIKE 'ON CONFLICT %'),
				CASE WHEN u.kind = 'primary key' AND NOT 'primary_keys' = ANY (kinds) THEN pg_catalog.format('a primary key: see tenantguard.primary_key_costs(%L)', (SELECT c.relnamespace::pg_catalog.regnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = u.relid)) END) END
		FROM tenantguard.unique_key_facts(conversion_script.schema) AS u
		WHERE u.global AND (NOT u.generated OR u.kind = 'primary key' AND 'primary_keys' = ANY (kinds))
		ORDER BY 1
	LOOP
		IF item.why IS NOT NULL THEN
			RETURN NEXT tenantguard.as_comment(pg_catalog.format('TO DECIDE, %s: %s', item.object, item.why));
		END IF;
	END LOOP;
	RETURN NEXT 'SELECT tenantguard.end_bypass();';
END
$$;
COMMENT ON FUNCTION tenantguard.conversion_script(regnamespace, text[]) IS
	'The steps of conversion_steps() as a script to review and to commit, and what a person must decide as comments: the counterpart of migration_script() for keys and indexes. Changes nothing.';
