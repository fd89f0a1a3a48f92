-- 50_keys.sql: which keys and indexes of guarded relations know the tenant,
-- and which rows cross already. Everything is read from the catalogs, but for
-- crossing_rows(), which reads the tables.

CREATE FUNCTION tenantguard.short_name(base text, suffix text)
RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kept	text := base;
BEGIN
	-- A name has room for 63 bytes. What is cut off is told apart by its hash.
	IF pg_catalog.octet_length(base || suffix) <= 63 THEN
		RETURN base || suffix;
	END IF;
	WHILE pg_catalog.octet_length(kept) > 54 - pg_catalog.octet_length(suffix) LOOP
		kept := pg_catalog.left(kept, -1);
	END LOOP;
	RETURN kept || '_' || pg_catalog.left(pg_catalog.md5(base), 8) || suffix;
END
$$;
COMMENT ON FUNCTION tenantguard.short_name(text, text) IS
	'The name with a suffix; where that has more than 63 bytes, as much of the name as fits, eight digits of its hash and the suffix.';

CREATE FUNCTION tenantguard.sees_all_rows(relation oid)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (tenantguard.current_bypass() IS NOT NULL OR NOT tenantguard.preloaded() OR g.relid IS NULL)
		AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
		AND (NOT c.relrowsecurity
			OR r.rolsuper OR r.rolbypassrls
			-- Ours let everything pass under a bypass; others may hide rows, and
			-- without a permissive one there are none.
			OR (tenantguard.preloaded() AND NOT EXISTS (SELECT 1 FROM tenantguard.user_policies(c.oid) AS p)
				AND EXISTS (SELECT 1 FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r'))))
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_roles AS r ON r.rolname = current_user
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = c.oid AND g.mode IN ('tenant', 'root', 'tenant_or_shared')
	WHERE c.oid = sees_all_rows.relation
$$;
COMMENT ON FUNCTION tenantguard.sees_all_rows(oid) IS
	'Whether the caller would read every row of the relation now: it may SELECT, a bypass is open, and no policy of somebody else can hide a row.';

CREATE FUNCTION tenantguard.require_all_rows(relation oid)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenantguard.sees_all_rows(require_all_rows.relation) THEN
		RAISE EXCEPTION 'cannot look at every row of %', require_all_rows.relation::regclass
			USING ERRCODE = '42501', CONSTRAINT = 'tenantguard_bypass_denied',
				DETAIL = 'bypass_denied: that takes the right to SELECT, an open bypass, and no policy that hides rows.',
				HINT = 'Use SELECT tenantguard.begin_bypass(''reason'') in the same transaction.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_all_rows(oid) IS
	'Returns when sees_all_rows(). Raises 42501 (bypass_denied) else.';

CREATE FUNCTION tenantguard.key_of_row(relation oid)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT COALESCE('pg_catalog.jsonb_build_object(' || (
			SELECT pg_catalog.string_agg(pg_catalog.format('%L, c.%I', a.attname, a.attname), ', ' ORDER BY k.position)
			FROM pg_catalog.pg_index AS i
			CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
			JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
			WHERE i.indrelid = key_of_row.relation AND i.indisprimary AND k.position <= i.indnkeyatts) || ')',
		'pg_catalog.jsonb_build_object(''ctid'', c.ctid)')
$$;
COMMENT ON FUNCTION tenantguard.key_of_row(oid) IS
	'An expression over a row "c" of the relation: its primary key as jsonb, or its ctid.';

CREATE FUNCTION tenantguard.foreign_key_shape(conid oid, tenant_column name DEFAULT NULL, ref_column name DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	con		pg_catalog.pg_constraint;
BEGIN
	SELECT c.* INTO con FROM pg_catalog.pg_constraint AS c WHERE c.oid = conid;
	RETURN pg_catalog.concat_ws('|', con.confrelid, con.confdeltype, con.confupdtype, con.condeferrable, con.condeferred,
		(SELECT pg_catalog.string_agg(x.pair, ',' ORDER BY x.pair COLLATE "C")
		 FROM (
			SELECT pg_catalog.format('%I=%I', a.attname, b.attname)
			FROM ROWS FROM (pg_catalog.unnest(con.conkey), pg_catalog.unnest(con.confkey)) AS k (attnum, refnum)
			JOIN pg_catalog.pg_attribute AS a ON a.attrelid = con.conrelid AND a.attnum = k.attnum
			JOIN pg_catalog.pg_attribute AS b ON b.attrelid = con.confrelid AND b.attnum = k.refnum
			UNION ALL
			SELECT pg_catalog.format('%I=%I', tenant_column, ref_column) WHERE tenant_column IS NOT NULL AND ref_column IS NOT NULL
		 ) AS x (pair)),
		(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ',' ORDER BY a.attname)
		 FROM pg_catalog.pg_attribute AS a
		 WHERE con.confdeltype IN ('n', 'd') AND a.attrelid = con.conrelid AND a.attnum = ANY (COALESCE(con.confdelsetcols, con.conkey))));
END
$$;
COMMENT ON FUNCTION tenantguard.foreign_key_shape(oid, name, name) IS
	'What a foreign key says, by names and without its own name: two keys of the same shape do the same, whatever the order of their columns. With a pair of columns, what it would say if that pair were added.';

-- The key with the tenant keeps the order of a unique key that is there.
CREATE TYPE tenantguard.foreign_key_fact AS (
	conid oid, conname name, relid oid, name text, relkind "char", object text,
	ref_id oid, ref_name text, ref_relkind "char", ref_relname name,
	tenant_column name, ref_column name, same_kind boolean,
	guarded boolean, crosses boolean, converts boolean, why text, keeps_old boolean,
	columns text, ref_columns text, target_columns text[], has_target boolean,
	definition text, twin oid, twin_valid boolean
);
COMMENT ON TYPE tenantguard.foreign_key_fact IS
	'What foreign_key_facts() says of one foreign key.';

CREATE FUNCTION tenantguard.foreign_key_facts(schema regnamespace, constraint_id oid DEFAULT NULL)
RETURNS SETOF tenantguard.foreign_key_fact
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	WITH fk AS MATERIALIZED (
		SELECT k.*, c.conrelid, f.relkind AS ref_relkind,
			t.attnotnull OR k.mode = 'root' AS always_set,
			tenantguard.type_family(t.atttypid) = tenantguard.type_family(a.atttypid)
				OR (tenantguard.type_family(t.atttypid) IN ('integer', 'bigint') AND tenantguard.type_family(a.atttypid) IN ('integer', 'bigint')) AS same_kind,
			COALESCE(k.mode IN ('tenant', 'root', 'tenant_or_shared') AND k.ref_mode IN ('tenant', 'root', 'tenant_or_shared'), false) AS guarded
		FROM tenantguard.checked_foreign_keys(foreign_key_facts.schema) AS k
		JOIN pg_catalog.pg_constraint AS c ON c.oid = k.conid
		JOIN pg_catalog.pg_class AS f ON f.oid = k.ref_id
		LEFT JOIN pg_catalog.pg_attribute AS t ON t.attrelid = c.conrelid AND t.attnum = k.attnum
		LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.ref_id AND a.attnum = k.ref_attnum
		WHERE foreign_key_facts.constraint_id IS NULL OR k.conid = foreign_key_facts.constraint_id
	),
	-- The unique index that the new key can refer to, if there is one.
	target AS MATERIALIZED (
		SELECT DISTINCT ON (k.conid) k.conid, (i.indkey::int2[])[0:i.indnkeyatts - 1] AS ref_key
		FROM fk AS k
		JOIN pg_catalog.pg_index AS i ON i.indrelid = k.ref_id
		WHERE k.guarded AND k.crosses
			AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
			AND i.indnkeyatts = pg_catalog.cardinality(k.ref_key) + 1
			AND (i.indkey::int2[])[0:i.indnkeyatts - 1] @> (k.ref_key || k.ref_attnum)
		ORDER BY k.conid, i.indisprimary DESC, i.indexrelid
	),
	pair AS MATERIALIZED (
		SELECT k.conid, p.attnum, p.refnum,
			COALESCE(pg_catalog.array_position(t.ref_key, p.refnum), p.position::int) AS position
		FROM fk AS k
		LEFT JOIN target AS t ON t.conid = k.conid
		CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.attnum || k.key), pg_catalog.unnest(k.ref_attnum || k.ref_key))
			WITH ORDINALITY AS p (attnum, refnum, position)
	),
	names AS MATERIALIZED (
		SELECT p.conid,
			pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY p.position) AS columns,
			pg_catalog.string_agg(pg_catalog.quote_ident(b.attname), ', ' ORDER BY p.position) AS ref_columns,
			pg_catalog.array_agg(b.attname::text ORDER BY p.position) AS target_columns,
			pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY p.position)
				FILTER (WHERE p.attnum = ANY (COALESCE(k.set_columns, k.key))) AS set_columns
		FROM pair AS p
		JOIN fk AS k ON k.conid = p.conid
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = p.attnum
		JOIN pg_catalog.pg_attribute AS b ON b.attrelid = k.ref_id AND b.attnum = p.refnum
		GROUP BY p.conid
	)
	SELECT k.conid, k.conname, k.conrelid, k.name, k.relkind, pg_catalog.format('%I on %s', k.conname, k.name),
		k.ref_id, k.ref_name, k.ref_relkind, k.ref_relname, k.tenant_column, k.ref_column, COALESCE(k.same_kind, false),
		k.guarded,
		k.guarded AND k.crosses AND NOT k.covered AND k.ref_mode <> 'root',
		w.why IS NULL AND k.guarded AND k.crosses AND k.ref_mode <> 'root' AND (x.oid IS NOT NULL OR NOT k.covered),
		CASE
			WHEN NOT k.guarded THEN 'one of the two tables does not hold tenants apart'
			WHEN k.ref_mode = 'root' THEN 'it refers to the registry'
			WHEN NOT k.crosses THEN 'it contains the tenant column'
			WHEN k.covered THEN 'a key with the tenant column stands beside it'
			ELSE pg_catalog.concat_ws(': ', 'it does not contain the tenant column', w.why) END,
		NOT COALESCE(k.always_set, false),
		n.columns, n.ref_columns, n.target_columns, t.conid IS NOT NULL,
		pg_catalog.format('FOREIGN KEY (%s) REFERENCES %s (%s)%s%s%s', n.columns, k.ref_name, n.ref_columns,
			CASE k.on_update WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' ELSE '' END,
			CASE k.on_delete
				WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT'
				WHEN 'n' THEN pg_catalog.format(' ON DELETE SET NULL (%s)', n.set_columns)
				WHEN 'd' THEN pg_catalog.format(' ON DELETE SET DEFAULT (%s)', n.set_columns)
				ELSE '' END,
			k.suffix),
		x.oid, x.convalidated
	FROM fk AS k
	LEFT JOIN names AS n ON n.conid = k.conid
	LEFT JOIN target AS t ON t.conid = k.conid
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN NOT k.guarded OR k.converts AND k.enforced THEN NULL
			WHEN NOT k.enforced THEN 'it is not enforced'
			WHEN k.ref_mode = 'tenant_or_shared' THEN 'a key with it could not refer to the rows of no tenant in ' || k.ref_name
			WHEN k.on_update IN ('n', 'd') THEN 'ON UPDATE SET NULL or SET DEFAULT would empty the tenant column, too'
			WHEN k.full_match AND pg_catalog.cardinality(k.key) > 1 THEN 'MATCH FULL would want all columns of it empty, or none'
			WHEN k.attnum = ANY (k.key) OR k.ref_attnum = ANY (k.ref_key) THEN 'it pairs a tenant column with another column'
			ELSE 'the tenant columns are of types that do not go together' END AS why
	) AS w
	-- A key that says the same with the tenant, made by us or by somebody.
	LEFT JOIN LATERAL (
		SELECT c.oid, c.convalidated
		FROM pg_catalog.pg_constraint AS c
		WHERE k.guarded AND k.crosses AND c.conrelid = k.conrelid AND c.confrelid = k.ref_id AND c.contype = 'f' AND c.conparentid = 0
			AND tenantguard.foreign_key_shape(c.oid) = tenantguard.foreign_key_shape(k.conid, k.tenant_column, k.ref_column)
		ORDER BY c.convalidated DESC, c.oid
		LIMIT 1
	) AS x ON true
$$;
COMMENT ON FUNCTION tenantguard.foreign_key_facts(regnamespace, oid) IS
	'Every foreign key of the schema (NULL: of all), or one: whether it can lead from one tenant to another and why, whether a key with the tenant column can take its place, what that would be, whether the unique key for it is there, and whether the new key itself is (twin). keeps_old: the tenant column may be NULL, so the old key goes on checking the rows of no tenant.';

CREATE FUNCTION tenantguard.crossing_rows(relation regclass, constraint_name name, max_rows int DEFAULT 20)
RETURNS TABLE (row_key jsonb, tenant text, refers_to jsonb, ref_tenant text, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	con			pg_catalog.pg_constraint;
	fact		record;
	query		text;
BEGIN
	SELECT c.* INTO con FROM pg_catalog.pg_constraint AS c
	WHERE c.conrelid = relation AND c.conname = constraint_name AND c.contype = 'f';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no foreign key "%" of %', constraint_name, relation
			USING ERRCODE = '22023',
				HINT = 'Use SELECT relation, name FROM tenantguard.foreign_keys.';
	END IF;
	PERFORM tenantguard.require_all_rows(con.conrelid);
	PERFORM tenantguard.require_all_rows(con.confrelid);

	SELECT r.mode, r.tenant_column, g.mode AS ref_mode, g.tenant_column AS ref_column,
		tenantguard.type_family(a.atttypid) = tenantguard.type_family(b.atttypid)
			OR tenantguard.type_family(a.atttypid) IN ('integer', 'bigint') AND tenantguard.type_family(b.atttypid) IN ('integer', 'bigint') AS same_kind
	INTO fact
	FROM (SELECT) AS one
	LEFT JOIN tenantguard.guarded_relation AS r ON r.relid = con.conrelid
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = con.confrelid
	LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = con.conrelid AND a.attname = r.tenant_column
	LEFT JOIN pg_catalog.pg_attribute AS b ON b.attrelid = con.confrelid AND b.attname = g.tenant_column;

	-- The server's own comparison, whatever the types: a key that matches by
	-- it is what the foreign key calls a reference.
	SELECT pg_catalog.format(
		'SELECT %s, %s, pg_catalog.jsonb_build_object(%s), %s, CASE WHEN p.%s IS NULL THEN ''points at nothing'' WHEN %s IS NULL THEN ''points at a row of no tenant'' WHEN %s IS NULL THEN ''belongs to no tenant'' ELSE ''points at another tenant'' END '
		'FROM %s AS c LEFT JOIN %s AS p ON %s WHERE %s AND (p.%s IS NULL OR %s) ORDER BY 1 LIMIT %s',
		tenantguard.key_of_row(con.conrelid),
		own.tenant,
		pg_catalog.string_agg(pg_catalog.format('%L, c.%I', a.attname, a.attname), ', ' ORDER BY e.position),
		own.ref_tenant,
		pg_catalog.quote_ident((pg_catalog.array_agg(b.attname ORDER BY e.position))[1]),
		own.ref_tenant, own.tenant,
		CASE con_rel.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || con.conrelid::regclass::text,
		CASE ref_rel.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || con.confrelid::regclass::text,
		pg_catalog.string_agg(pg_catalog.format('p.%I OPERATOR(%I.%s) c.%I', b.attname, n.nspname, o.oprname, a.attname), ' AND ' ORDER BY e.position),
		pg_catalog.string_agg(pg_catalog.format('c.%I IS NOT NULL', a.attname), ' AND ' ORDER BY e.position),
		pg_catalog.quote_ident((pg_catalog.array_agg(b.attname ORDER BY e.position))[1]),
		own.differ,
		max_rows)
	INTO query
	FROM ROWS FROM (pg_catalog.unnest(con.conkey), pg_catalog.unnest(con.confkey), pg_catalog.unnest(con.conpfeqop))
		WITH ORDINALITY AS e (attnum, refnum, operator, position)
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = con.conrelid AND a.attnum = e.attnum
	JOIN pg_catalog.pg_attribute AS b ON b.attrelid = con.confrelid AND b.attnum = e.refnum
	JOIN pg_catalog.pg_operator AS o ON o.oid = e.operator
	JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
	JOIN pg_catalog.pg_class AS con_rel ON con_rel.oid = con.conrelid
	JOIN pg_catalog.pg_class AS ref_rel ON ref_rel.oid = con.confrelid
	CROSS JOIN LATERAL (
		SELECT
			CASE WHEN fact.tenant_column IS NULL THEN 'NULL::text' ELSE pg_catalog.format('c.%I::text', fact.tenant_column) END AS tenant,
			CASE WHEN fact.ref_column IS NULL THEN 'NULL::text' ELSE pg_catalog.format('p.%I::text', fact.ref_column) END AS ref_tenant,
			CASE WHEN fact.tenant_column IS NULL OR fact.ref_column IS NULL OR fact.ref_mode = 'root'
				THEN 'false'
				WHEN fact.ref_mode = 'tenant_or_shared'
				THEN pg_catalog.format('p.%I::text <> c.%I::text', fact.ref_column, fact.tenant_column)
				WHEN fact.same_kind
				THEN pg_catalog.format('c.%I IS DISTINCT FROM p.%I', fact.tenant_column, fact.ref_column)
				ELSE pg_catalog.format('c.%I::text IS DISTINCT FROM p.%I::text', fact.tenant_column, fact.ref_column) END AS differ
	) AS own
	GROUP BY own.tenant, own.ref_tenant, own.differ, con_rel.relkind, ref_rel.relkind;
	RETURN QUERY EXECUTE query;
END
$$;
COMMENT ON FUNCTION tenantguard.crossing_rows(regclass, name, int) IS
	'Up to max_rows rows that a key with the tenant column would not let in: their primary key (or ctid), their tenant, what they refer to, its tenant, and what is wrong. Reads both tables under a bypass. For a constraint that the server validated over visible rows only, this finds the rows that point at nothing. Raises 42501 (bypass_denied) when some rows could be hidden, 22023 for an unknown key.';

CREATE FUNCTION tenantguard.require_no_crossing(relation regclass, constraint_name name)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	found	text;
BEGIN
	SELECT pg_catalog.string_agg(pg_catalog.format('row %s of tenant %s refers to %s: it %s%s',
		r.row_key, COALESCE(r.tenant, 'NULL'), r.refers_to, r.problem,
		CASE r.problem WHEN 'points at another tenant' THEN pg_catalog.format(', %s', r.ref_tenant) ELSE '' END), E'\n')
	INTO found
	FROM tenantguard.crossing_rows(relation, constraint_name) AS r;
	IF found IS NOT NULL THEN
		RAISE EXCEPTION 'rows of % cross tenants by foreign key "%"', relation, constraint_name
			USING ERRCODE = '23503', DETAIL = found,
				HINT = pg_catalog.format('Use SELECT * FROM tenantguard.crossing_rows(%L, %L, 1000) under a bypass, correct the rows, and repeat.',
					relation, constraint_name);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_no_crossing(regclass, name) IS
	'Returns when no row crosses by the foreign key. Raises 23503 with up to 20 rows, and what crossing_rows() raises.';

CREATE FUNCTION tenantguard.known_crossing_rows(conid oid)
RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	con		pg_catalog.pg_constraint;
BEGIN
	SELECT c.* INTO con FROM pg_catalog.pg_constraint AS c WHERE c.oid = known_crossing_rows.conid;
	IF con.oid IS NULL OR NOT (tenantguard.sees_all_rows(con.conrelid) AND tenantguard.sees_all_rows(con.confrelid)) THEN
		RETURN NULL;
	END IF;
	RETURN ARRAY(
		SELECT pg_catalog.format('%s %s', r.row_key, r.problem)
		FROM tenantguard.crossing_rows(con.conrelid, con.conname) AS r);
END
$$;
COMMENT ON FUNCTION tenantguard.known_crossing_rows(oid) IS
	'The primary keys of up to 20 rows that cross by the foreign key, and how; NULL when the caller does not see every row.';

CREATE VIEW tenantguard.foreign_keys AS
	SELECT f.relid::regclass AS relation, f.conname AS name, f.ref_id::regclass AS refers_to,
		f.crosses, f.why,
		CASE WHEN f.converts THEN f.definition END AS replaced_by,
		tenantguard.known_crossing_rows(f.conid) AS crossing_rows
	FROM tenantguard.foreign_key_facts(NULL) AS f
	WHERE f.guarded;
COMMENT ON VIEW tenantguard.foreign_keys IS
	'The foreign keys between guarded relations: whether each can lead from one tenant to another and why, the key that would replace it (NULL: none can), and the rows that cross or point at nothing already (NULL without a bypass; they are only looked for when the column is read).';

-- What depends on a unique key beside the rule itself.
CREATE FUNCTION tenantguard.conflict_target(source text, relname name, columns name[])
RETURNS boolean
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT conflict_target.source ~* 'on\s+conflict\s*\('
		AND pg_catalog.strpos(pg_catalog.lower(conflict_target.source), pg_catalog.lower(conflict_target.relname::text)) > 0
		AND EXISTS (
			SELECT 1
			FROM pg_catalog.regexp_matches(conflict_target.source, 'on\s+conflict\s*\(((?:[^()]|\([^()]*\))*)\)', 'gi') AS m (parts)
			WHERE ARRAY(
				SELECT pg_catalog.lower(pg_catalog.btrim(p.part, E' \t\n\r"'))
				FROM pg_catalog.regexp_split_to_table(m.parts[1], ',') AS p (part) ORDER BY 1)
				= ARRAY(SELECT pg_catalog.lower(c.name::text) FROM pg_catalog.unnest(conflict_target.columns) AS c (name) ORDER BY 1))
$$;
COMMENT ON FUNCTION tenantguard.conflict_target(text, name, name[]) IS
	'Whether a text names the table and has an ON CONFLICT with exactly these columns: such a statement fails (42P10) once the unique key has another column.';

CREATE FUNCTION tenantguard.conflict_texts()
RETURNS TABLE (name text, source text)
LANGUAGE plpgsql STABLE ROWS 20
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	statements	regclass;
BEGIN
	RETURN QUERY
		SELECT pg_catalog.format('ON CONFLICT in function %s', p.oid::regprocedure), p.prosrc
		FROM pg_catalog.pg_proc AS p
		WHERE p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace AND p.prosrc ~* 'on\s+conflict\s*\(';
	SELECT c.oid INTO statements
	FROM pg_catalog.pg_extension AS e
	JOIN pg_catalog.pg_class AS c ON c.relnamespace = e.extnamespace AND c.relname = 'pg_stat_statements'
	WHERE e.extname = 'pg_stat_statements';
	IF statements IS NOT NULL AND pg_catalog.has_table_privilege(statements, 'SELECT') THEN
		BEGIN
			RETURN QUERY EXECUTE pg_catalog.format(
				'SELECT pg_catalog.format(''ON CONFLICT in statement %%s'', s.queryid), s.query FROM %s AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid '
				'WHERE d.datname = pg_catalog.current_database() AND s.query ~* ''on\s+conflict\s*\(''', statements);
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			NULL;	-- the extension is there and its library is not loaded
		END;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.conflict_texts() IS
	'Functions and statements of pg_stat_statements that have an ON CONFLICT with columns, and their texts.';

CREATE FUNCTION tenantguard.key_columns(index oid)
RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.array_agg(a.attname ORDER BY k.position)
	FROM pg_catalog.pg_index AS i
	CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
	WHERE i.indexrelid = key_columns.index AND k.position <= i.indnkeyatts AND i.indexprs IS NULL
$$;
COMMENT ON FUNCTION tenantguard.key_columns(oid) IS
	'The columns of a unique index; NULL where it has expressions.';

CREATE FUNCTION tenantguard.key_consumers(index oid)
RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	rel			record;
	key_columns	name[] := tenantguard.key_columns(index);
BEGIN
	SELECT c.relname, i.indisreplident INTO rel
	FROM pg_catalog.pg_index AS i
	JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
	WHERE i.indexrelid = index;
	RETURN QUERY
		SELECT pg_catalog.format('foreign key %I on %s', c.conname, c.conrelid::regclass)
		FROM pg_catalog.pg_constraint AS c
		WHERE c.conindid = index AND c.contype = 'f' AND c.conparentid = 0
		ORDER BY 1;
	IF rel.indisreplident THEN
		RETURN NEXT 'replica identity';
	END IF;
	IF key_columns IS NOT NULL THEN
		RETURN QUERY
			SELECT DISTINCT t.name
			FROM tenantguard.conflict_texts() AS t
			WHERE tenantguard.conflict_target(t.source, rel.relname, key_columns)
			ORDER BY 1;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.key_consumers(oid) IS
	'What relies on the columns of a unique index: foreign keys, the replica identity, and ON CONFLICT with these columns in functions and in what pg_stat_statements has seen. Statements that no function holds and nobody ran are not found.';

CREATE FUNCTION tenantguard.index_tail(index oid)
RETURNS text
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Cut off by their length, since names may hold anything.
	RETURN (SELECT pg_catalog.substr(pg_catalog.pg_get_indexdef(i.indexrelid),
		pg_catalog.length(pg_catalog.format('CREATE %sINDEX %I ON %s%I.%I', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname,
			CASE c.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, n.nspname, r.relname)) + 1)
	FROM pg_catalog.pg_index AS i
	JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
	JOIN pg_catalog.pg_class AS r ON r.oid = i.indrelid
	JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
	WHERE i.indexrelid = index_tail.index);
END
$$;
COMMENT ON FUNCTION tenantguard.index_tail(oid) IS
	'The definition of an index from its access method on, as the server writes it: two indexes of a table with the same tail are the same but for their names and uniqueness.';

CREATE TYPE tenantguard.unique_key_fact AS (
	indexrelid oid, index_name name, relid oid, name text, relname name, relkind "char", object text, kind text, conid oid,
	mode text, tenant_column name, tenant_not_null boolean, global boolean, generated boolean, referenced boolean, tail text, code text, reason text
);
COMMENT ON TYPE tenantguard.unique_key_fact IS
	'What unique_key_facts() says of one unique key.';

CREATE FUNCTION tenantguard.unique_key_facts(schema regnamespace, index oid DEFAULT NULL)
RETURNS SETOF tenantguard.unique_key_fact
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT i.indexrelid, c.relname, r.relid, r.name, r.relname, r.relkind, o.object,
		CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint' WHEN 'x' THEN 'exclusion constraint' ELSE 'unique index' END,
		k.oid, r.mode, r.tenant_column, t.attnotnull,
		x.global, g.generated,
		EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS f WHERE f.conindid = i.indexrelid AND f.contype = 'f'),
		tenantguard.index_tail(i.indexrelid), y.code, s.reason
	FROM tenantguard.checked_relations(unique_key_facts.schema) AS r
	JOIN pg_catalog.pg_index AS i ON i.indrelid = r.relid
	JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
	JOIN pg_catalog.pg_attribute AS t ON t.attrelid = r.relid AND t.attnum = r.attnum
	LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = r.relid AND k.contype IN ('p', 'u', 'x')
	CROSS JOIN LATERAL (SELECT pg_catalog.format('%I on %s', c.relname, r.name) AS object) AS o
	CROSS JOIN LATERAL (
		SELECT CASE WHEN k.contype = 'x' THEN NOT EXISTS (
				SELECT 1 FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.conexclop)) AS e (attnum, operator)
				JOIN pg_catalog.pg_operator AS q ON q.oid = e.operator
				WHERE e.attnum = r.attnum AND q.oprname = '=')
			ELSE NOT r.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) END AS global
	) AS x
	-- One column that the server makes up is enough: nobody guesses the rest.
	CROSS JOIN LATERAL (
		SELECT COALESCE(pg_catalog.bool_or(a.attidentity <> '' OR a.atttypid = 'pg_catalog.uuid'::pg_catalog.regtype
			OR COALESCE(pg_catalog.starts_with(pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'nextval('), false)), false) AS generated
		FROM pg_catalog.pg_attribute AS a
		LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = r.relid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
	) AS g
	CROSS JOIN LATERAL (SELECT CASE WHEN k.contype = 'x' THEN 'TG511' WHEN g.generated THEN 'TG510' ELSE 'TG509' END AS code) AS y
	LEFT JOIN tenantguard.check_suppression AS s
		ON s.code = y.code AND s.object = o.object AND (s.until IS NULL OR s.until > pg_catalog.now())
	WHERE r.mode IN ('tenant', 'tenant_or_shared')
		AND (i.indisunique OR i.indisexclusion)
		AND (unique_key_facts.index IS NULL OR i.indexrelid = unique_key_facts.index)
		-- Indexes of partitions that belong to their parent's are not asked.
		AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid)
$$;
COMMENT ON FUNCTION tenantguard.unique_key_facts(regnamespace, oid) IS
	'Every unique index and exclusion constraint of a guarded relation of the schema (NULL: of all), or one: whether it is global, that is without the tenant, whether the server makes its values up, the rule of check() it belongs to, and why it was accepted.';

CREATE VIEW tenantguard.unique_keys AS
	SELECT u.relid::regclass AS relation, u.index_name AS name, u.kind, u.global,
		CASE
			WHEN NOT u.global THEN NULL
			WHEN u.generated THEN 'little: its values are made up by the server; numbers have gaps that others made'
			WHEN u.kind = 'exclusion constraint' THEN 'INSERT and UPDATE: error 23P01 tells that another tenant''s row conflicts; ON CONFLICT DO NOTHING inserts no row'
			ELSE 'INSERT and UPDATE: error 23505 tells that another tenant has the value; ON CONFLICT DO NOTHING inserts no row, DO UPDATE is refused (foreign_conflict)'
		END AS reveals,
		u.reason AS accepted,
		CASE WHEN u.global THEN ARRAY(SELECT * FROM tenantguard.key_consumers(u.indexrelid)) END AS consumers
	FROM tenantguard.unique_key_facts(NULL) AS u;
COMMENT ON VIEW tenantguard.unique_keys IS
	'The unique keys and exclusion constraints of guarded relations: whether each is global (without the tenant), what a tenant then learns of others from the error or from ON CONFLICT, the reason for which keep_global() accepted it, and what relies on its columns.';

CREATE FUNCTION tenantguard.keep_global(index regclass, reason text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	fact	tenantguard.unique_key_fact;
BEGIN
	SELECT u.* INTO fact FROM tenantguard.unique_key_facts(NULL, index) AS u WHERE u.indexrelid = index AND u.global;
	IF NOT FOUND THEN
		RAISE EXCEPTION '% is no unique key without the tenant', COALESCE(index::text, 'NULL')
			USING ERRCODE = '22023',
				DETAIL = 'Only a unique key or exclusion constraint of a guarded relation that does not contain the tenant column can be kept global.',
				HINT = 'Use SELECT relation, name FROM tenantguard.unique_keys WHERE global.';
	END IF;
	PERFORM tenantguard.suppress_finding(fact.code, fact.object, reason);
END
$$;
COMMENT ON FUNCTION tenantguard.keep_global(regclass, text) IS
	'Declares that a unique key must hold across tenants, such as an API token that says which tenant it is for: check() is silent about it and conversion leaves it alone. The same as suppress_finding(), and undone by restore_finding(). For superusers. Raises 22023 without a reason, and for what is no such key.';
