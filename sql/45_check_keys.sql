-- 45_check_keys.sql: rules TG501 to TG599, keys and indexes.

INSERT INTO tenantguard.check_rule (code, severity, title) VALUES
	('TG501', 'critical', 'a foreign key carries changes from one tenant to another'),
	('TG502', 'warning', 'a foreign key lets a row point at another tenant''s'),
	('TG503', 'warning', 'a foreign key of a guarded table is not validated'),
	('TG504', 'warning', 'a foreign key of a guarded table is not enforced'),
	('TG505', 'notice', 'a second column refers to the registry'),
	('TG506', 'critical', 'a foreign key shows rows of one tenant to all when it empties the tenant column'),
	('TG507', 'warning', 'a foreign key loses rows when it empties the tenant column'),
	('TG508', 'warning', 'a table that is not guarded carries changes into a guarded one'),
	('TG509', 'warning', 'a unique key without the tenant tells what other tenants have'),
	('TG510', 'notice', 'a generated key is unique without the tenant'),
	('TG511', 'warning', 'an exclusion constraint without the tenant tells what other tenants have'),
	('TG512', 'warning', 'no index begins with the tenant column'),
	('TG513', 'notice', 'guarded queries cannot use an index'),
	('TG514', 'warning', 'an index of a guarded table is invalid'),
	('TG515', 'notice', 'partitions cannot be told apart by tenant'),
	('TG516', 'warning', 'the tenant column has another kind of type than the registry''s key'),
	('TG517', 'notice', 'the tenant column is narrower than the registry''s key'),
	('TG518', 'notice', 'a unique key does not hold for the rows of no tenant'),
	('TG519', 'critical', 'rows refer to another tenant''s, or to nothing'),
	('TG520', 'warning', 'rows do not satisfy a check that counts as validated');

CREATE FUNCTION tenantguard.checked_foreign_keys(schema regnamespace)
RETURNS TABLE (
	conid oid, conname name, name text, relkind "char", mode text, tenant_column name, attnum smallint,
	ref_id oid, ref_name text, ref_relname name, ref_mode text, ref_column name, ref_attnum smallint,
	key smallint[], ref_key smallint[], on_delete "char", on_update "char", set_columns smallint[],
	full_match boolean, suffix text, validated boolean, enforced boolean, crosses boolean, converts boolean, covered boolean
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.oid, c.conname, r.name, r.relkind, r.mode, r.tenant_column, r.attnum,
		f.oid, pg_catalog.format('%I.%I', n.nspname, f.relname), f.relname, g.mode, a.attname, a.attnum,
		c.conkey, c.confkey, c.confdeltype, c.confupdtype, c.confdelsetcols,
		c.confmatchtype = 'f',
		CASE WHEN c.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN c.condeferrable THEN ' DEFERRABLE' ELSE '' END,
		-- PostgreSQL 18 knows foreign keys that are not enforced.
		c.convalidated, COALESCE(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true',
		NOT EXISTS (
			SELECT 1 FROM pg_catalog.generate_subscripts(c.conkey, 1) AS k
			WHERE c.conkey[k] = r.attnum AND c.confkey[k] = a.attnum),
		-- Can a key (tenant, column) take its place?
		NOT r.attnum = ANY (c.conkey) AND NOT a.attnum = ANY (c.confkey)
			AND g.mode <> 'tenant_or_shared'
			AND c.confupdtype NOT IN ('n', 'd')
			AND NOT (c.confmatchtype = 'f' AND pg_catalog.cardinality(c.conkey) > 1)
			AND COALESCE(b.atttypid = a.atttypid
				OR (b.atttypid IN ('pg_catalog.int4'::regtype, 'pg_catalog.int8'::regtype)
					AND a.atttypid IN ('pg_catalog.int4'::regtype, 'pg_catalog.int8'::regtype))
				OR tenantguard.type_family(b.atttypid) = tenantguard.type_family(a.atttypid), false),
		EXISTS (
			SELECT 1
			FROM pg_catalog.pg_constraint AS o
			WHERE o.conrelid = c.conrelid AND o.confrelid = c.confrelid AND o.contype = 'f' AND o.convalidated AND o.oid <> c.oid
				AND COALESCE(pg_catalog.to_jsonb(o) ->> 'conenforced', 'true') = 'true'
				AND NOT EXISTS (
					SELECT 1
					FROM ROWS FROM (pg_catalog.unnest(r.attnum || c.conkey), pg_catalog.unnest(a.attnum || c.confkey)) AS w (attnum, refnum)
					WHERE NOT EXISTS (
						SELECT 1
						FROM ROWS FROM (pg_catalog.unnest(o.conkey), pg_catalog.unnest(o.confkey)) AS h (attnum, refnum)
						WHERE h.attnum = w.attnum AND h.refnum = w.refnum)))
	FROM tenantguard.checked_relations(checked_foreign_keys.schema) AS r
	JOIN pg_catalog.pg_constraint AS c ON c.conrelid = r.relid AND c.contype = 'f' AND c.conparentid = 0
	JOIN pg_catalog.pg_class AS f ON f.oid = c.confrelid
	JOIN pg_catalog.pg_namespace AS n ON n.oid = f.relnamespace
	LEFT JOIN pg_catalog.pg_attribute AS b ON b.attrelid = r.relid AND b.attnum = r.attnum
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = c.confrelid
	LEFT JOIN pg_catalog.pg_attribute AS a
		ON a.attrelid = c.confrelid AND a.attname = g.tenant_column AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION tenantguard.checked_foreign_keys(regnamespace) IS
	'Every foreign key of a relation of the schema (NULL: of all): both ends and what is recorded about them, whether it lacks the tenant column (crosses), whether a key with it can replace it (converts), and whether a validated key with it stands beside it (covered).';

CREATE FUNCTION tenantguard.check_foreign_keys(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH fk AS MATERIALIZED (
		SELECT k.*, pg_catalog.format('%I on %s', k.conname, k.name) AS object,
			COALESCE(k.mode IN ('tenant', 'root', 'tenant_or_shared'), false) AS guarded,
			COALESCE(k.ref_mode IN ('tenant', 'root', 'tenant_or_shared'), false) AS ref_guarded
		FROM tenantguard.checked_foreign_keys(check_foreign_keys.schema) AS k
	),
	crossing AS (
		SELECT k.* FROM fk AS k
		WHERE k.guarded AND k.ref_guarded AND k.crosses AND NOT k.covered AND k.ref_mode <> 'root'
	)
	SELECT CASE WHEN k.on_delete IN ('c', 'n', 'd') OR k.on_update IN ('c', 'n', 'd') THEN 'TG501' ELSE 'TG502' END,
		k.object,
		pg_catalog.format('a row can point at another tenant''s row in %s, %s.%s', k.ref_name,
			CASE WHEN k.on_delete IN ('c', 'n', 'd') OR k.on_update IN ('c', 'n', 'd')
				THEN 'and goes or changes with it: one tenant''s statement reaches another''s rows'
				ELSE 'which can then not be deleted, and the error tells which keys exist' END,
			CASE WHEN k.ref_mode = 'tenant_or_shared' THEN ' A key with the tenant column could not refer to its rows of no tenant.' ELSE '' END),
		-- Steps for psql, none of which keeps anybody waiting for long.
		CASE WHEN k.converts AND k.enforced THEN pg_catalog.format(
			'SELECT statement FROM tenantguard.convert_foreign_key(%L, %L) ORDER BY step \gexec', k.name, k.conname) END
	FROM crossing AS k
	UNION ALL
	SELECT 'TG503', k.object,
		'rows that were there before it may point at nothing, or at another tenant''s row.',
		pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', k.name, k.conname)
	FROM fk AS k
	WHERE (k.guarded OR k.ref_guarded) AND k.enforced AND NOT k.validated
	UNION ALL
	SELECT 'TG504', k.object,
		'references are not checked: a row can point at any tenant''s, and the tenant column is not tied to the registry by it.',
		pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s;', k.name, k.conname, k.conname,
			pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.conid), ' NOT ENFORCED$', ''))
	FROM fk AS k
	WHERE (k.guarded OR k.ref_guarded) AND NOT k.enforced
	UNION ALL
	SELECT 'TG505', k.object,
		pg_catalog.format('it names a tenant beside %I: a tenant learns which other tenants exist.', k.tenant_column), NULL
	FROM fk AS k
	WHERE k.guarded AND k.mode <> 'root' AND k.ref_mode = 'root' AND k.crosses
	UNION ALL
	SELECT CASE k.mode WHEN 'tenant_or_shared' THEN 'TG506' ELSE 'TG507' END, k.object,
		CASE k.mode
			WHEN 'tenant_or_shared' THEN pg_catalog.format('when the row in %s goes, %I becomes NULL and every tenant reads the row.', k.ref_name, k.tenant_column)
			ELSE pg_catalog.format('when the row in %s goes, %I becomes NULL and no tenant finds the row any more.', k.ref_name, k.tenant_column) END,
		CASE WHEN l.others IS NOT NULL AND NOT k.full_match THEN pg_catalog.format(
			'ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I FOREIGN KEY (%s) REFERENCES %s (%s)%s ON DELETE %s%s;',
			k.name, k.conname, k.conname, l.columns, k.ref_name, l.ref_columns,
			CASE k.on_update WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' ELSE '' END,
			CASE k.on_delete WHEN 'n' THEN pg_catalog.format('SET NULL (%s)', l.others)
				WHEN 'c' THEN 'CASCADE' WHEN 'r' THEN 'RESTRICT'
				WHEN 'd' THEN pg_catalog.format('SET DEFAULT (%s)', l.others) ELSE 'NO ACTION' END,
			k.suffix) END
	FROM fk AS k
	JOIN pg_catalog.pg_constraint AS c ON c.oid = k.conid
	JOIN pg_catalog.pg_attribute AS t ON t.attrelid = c.conrelid AND t.attnum = k.attnum
	CROSS JOIN LATERAL (
		SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY p.position) AS columns,
			pg_catalog.string_agg(pg_catalog.quote_ident(b.attname), ', ' ORDER BY p.position) AS ref_columns,
			pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY p.position)
				FILTER (WHERE p.attnum <> k.attnum AND (k.set_columns IS NULL OR p.attnum = ANY (k.set_columns))) AS others
		FROM ROWS FROM (pg_catalog.unnest(k.key), pg_catalog.unnest(k.ref_key)) WITH ORDINALITY AS p (attnum, refnum, position)
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = p.attnum
		JOIN pg_catalog.pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = p.refnum
	) AS l
	WHERE k.guarded AND k.mode <> 'root' AND NOT t.attnotnull
		AND ((k.on_delete = 'n' AND k.attnum = ANY (COALESCE(k.set_columns, k.key)))
			 OR (k.on_update = 'n' AND k.attnum = ANY (k.key)))
	UNION ALL
	SELECT 'TG508', k.object,
		pg_catalog.format('whoever changes %s, which is not guarded, changes or removes rows of every tenant here.', k.ref_name), NULL
	FROM fk AS k
	WHERE k.guarded AND COALESCE(k.ref_mode, 'exempt') = 'exempt'
		AND (k.on_delete IN ('c', 'n', 'd') OR k.on_update IN ('c', 'n', 'd'))
$$;
COMMENT ON FUNCTION tenantguard.check_foreign_keys(regnamespace) IS
	'Findings TG501 to TG508: foreign keys of relations of the schema (NULL: of all).';

CREATE FUNCTION tenantguard.check_unique_keys(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- The key of the registry is the tenant, so its own keys are not asked.
	WITH rel AS MATERIALIZED (
		SELECT r.*
		FROM tenantguard.checked_relations(check_unique_keys.schema) AS r
		WHERE r.attnum IS NOT NULL AND r.mode IN ('tenant', 'tenant_or_shared')
	),
	-- Indexes of partitions that belong to their parent's are not asked.
	uni AS MATERIALIZED (
		SELECT r.relid, r.name, r.mode, r.tenant_column, i.indexrelid, c.relname AS index_name,
			pg_catalog.format('%I on %s', c.relname, r.name) AS object,
			r.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS has_tenant,
			k.oid AS conid, COALESCE(k.contype, 'i') AS contype, i.indnullsnotdistinct, i.indpred IS NOT NULL AS partial,
			(i.indkey::int2[])[0:i.indnkeyatts - 1] AS key, m.amname, c.relkind,
			EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS f
				WHERE f.conindid = i.indexrelid AND f.contype = 'f' AND f.conrelid IS NOT NULL) AS referenced
		FROM rel AS r
		JOIN pg_catalog.pg_index AS i ON i.indrelid = r.relid
		JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
		LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = r.relid AND k.contype IN ('p', 'u', 'x')
		WHERE (i.indisunique OR i.indisexclusion)
			AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid)
	),
	open AS (
		SELECT u.*, COALESCE(s.generated, false) AS generated
		FROM uni AS u
		-- One column that the server makes up is enough: nobody guesses the rest.
		CROSS JOIN LATERAL (
			SELECT pg_catalog.bool_or(a.attidentity <> '' OR a.atttypid = 'pg_catalog.uuid'::pg_catalog.regtype
				OR COALESCE(pg_catalog.starts_with(pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'nextval('), false)) AS generated
			FROM pg_catalog.pg_attribute AS a
			LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			WHERE a.attrelid = u.relid AND a.attnum = ANY (u.key)
		) AS s
		WHERE NOT u.has_tenant AND u.contype <> 'x'
	)
	SELECT 'TG509', u.object,
		'the error of an INSERT tells that another tenant has the value.'
			|| CASE WHEN u.referenced THEN ' Foreign keys refer to it: convert them first (TG501, TG502).' ELSE '' END,
		CASE WHEN NOT u.referenced AND NOT (u.contype = 'p' AND u.mode = 'tenant_or_shared') THEN pg_catalog.format(
			'SELECT statement FROM tenantguard.convert_unique_key(%L) ORDER BY step \gexec', u.indexrelid::regclass) END
	FROM open AS u
	WHERE NOT u.generated
	UNION ALL
	SELECT 'TG510', u.object,
		'its values are made up by the server, so a collision tells little; as numbers they have gaps that others made.', NULL
	FROM open AS u
	WHERE u.generated
	UNION ALL
	SELECT 'TG511', u.object,
		'the error of an INSERT tells that another tenant''s row conflicts.',
		CASE WHEN u.amname = 'gist' AND NOT u.has_tenant THEN pg_catalog.format(
			'CREATE EXTENSION IF NOT EXISTS btree_gist; ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s(%I WITH =, %s;',
			u.name, u.index_name, u.index_name, pg_catalog.split_part(x.definition, '(', 1), u.tenant_column,
			pg_catalog.substr(x.definition, pg_catalog.strpos(x.definition, '(') + 1)) END
	FROM uni AS u
	CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_constraintdef(u.conid) AS definition) AS x
	JOIN pg_catalog.pg_constraint AS c ON c.oid = u.conid
	JOIN rel AS r ON r.relid = u.relid
	WHERE u.contype = 'x'
		AND NOT EXISTS (
			SELECT 1
			FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.conexclop)) AS e (attnum, operator)
			JOIN pg_catalog.pg_operator AS o ON o.oid = e.operator
			WHERE e.attnum = r.attnum AND o.oprname = '=')
	UNION ALL
	SELECT 'TG518', u.object,
		'NULL is distinct from NULL, so the rows of no tenant may hold the same value twice.',
		CASE WHEN NOT u.referenced THEN pg_catalog.format(
			'ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I UNIQUE NULLS NOT DISTINCT %s;', u.name, u.index_name, u.index_name,
			pg_catalog.substr(x.definition, pg_catalog.strpos(x.definition, '('))) END
	FROM uni AS u
	CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_constraintdef(u.conid) AS definition) AS x
	WHERE u.has_tenant AND u.mode = 'tenant_or_shared' AND u.contype = 'u' AND NOT u.indnullsnotdistinct
		AND NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_attribute AS a
			WHERE a.attrelid = u.relid AND a.attnum = ANY (u.key) AND a.attname <> u.tenant_column AND NOT a.attnotnull)
$$;
COMMENT ON FUNCTION tenantguard.check_unique_keys(regnamespace) IS
	'Findings TG509 to TG511 and TG518: unique keys and exclusion constraints of guarded relations of the schema (NULL: of all).';

CREATE FUNCTION tenantguard.check_indexes(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH rel AS MATERIALIZED (
		SELECT r.*, c.relispartition
		FROM tenantguard.checked_relations(check_indexes.schema) AS r
		JOIN pg_catalog.pg_class AS c ON c.oid = r.relid
		WHERE r.attnum IS NOT NULL AND r.mode <> 'root'
	),
	idx AS MATERIALIZED (
		SELECT r.relid, r.name, r.attnum, r.tenant_column, i.*, c.relname AS index_name, c.relkind, m.amname,
			pg_catalog.format('%I on %s', c.relname, r.name) AS object,
			i.indkey[0] = r.attnum AS leads,
			EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid) AS inherited
		FROM rel AS r
		JOIN pg_catalog.pg_index AS i ON i.indrelid = r.relid
		JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
	)
	SELECT 'TG512', r.name,
		'every query of a tenant reads the rows of all.',
		pg_catalog.format('CREATE INDEX %sON %s (%I);', CASE r.relkind WHEN 'p' THEN '' ELSE 'CONCURRENTLY ' END, r.name, r.tenant_column)
	FROM rel AS r
	WHERE r.relkind IN ('r', 'p', 'm') AND NOT r.relispartition
		AND r.relid NOT IN (SELECT q.* FROM tenantguard.quarantines() AS q)
		-- NOT IN is hashed; NOT EXISTS was a loop over all tables and indexes.
		AND r.relid NOT IN (
			SELECT i.relid FROM idx AS i
			WHERE i.leads AND i.indisvalid AND i.indpred IS NULL AND i.amname IN ('btree', 'hash'))
		-- A partition for each tenant needs none.
		AND NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_partitioned_table AS p
			WHERE p.partrelid = r.relid AND p.partstrat = 'l' AND p.partattrs[0] = r.attnum)
	UNION ALL
	SELECT 'TG513', i.object,
		'what is not LEAKPROOF comes after the tenant''s clause, as a filter: the index serves work under a bypass only.', NULL
	FROM idx AS i
	WHERE NOT i.leads AND NOT i.inherited AND i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion
		AND (i.amname IN ('gin', 'gist', 'spgist') OR (i.amname = 'btree' AND i.indkey[0] = 0))
	UNION ALL
	SELECT 'TG514', i.object,
		CASE i.relkind WHEN 'I' THEN 'a partition has no index attached to it.'
			ELSE 'a CREATE INDEX CONCURRENTLY failed: queries do not use it, and a unique one lets through what was there before.' END,
		CASE i.relkind WHEN 'I' THEN NULL ELSE pg_catalog.format('REINDEX INDEX CONCURRENTLY %s;', i.indexrelid::regclass) END
	FROM idx AS i
	WHERE NOT (i.indisvalid AND i.indisready)
	UNION ALL
	SELECT 'TG515', r.name,
		'its partition key has no tenant column: a query of a tenant looks into every partition that its own conditions leave.', NULL
	FROM rel AS r
	JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = r.relid
	WHERE r.parent IS NULL AND NOT r.attnum = ANY (p.partattrs::int2[])
		AND NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_inherits AS h
			JOIN pg_catalog.pg_partitioned_table AS s ON s.partrelid = h.inhrelid
			JOIN pg_catalog.pg_attribute AS a ON a.attrelid = h.inhrelid AND a.attname = r.tenant_column
			WHERE h.inhparent = r.relid AND a.attnum = ANY (s.partattrs::int2[]))
	UNION ALL
	SELECT CASE WHEN c.family = 'integer' THEN 'TG517' ELSE 'TG516' END,
		pg_catalog.format('%s.%I', r.name, r.tenant_column),
		pg_catalog.format('its type is %s, the key of the registry has type %s: %s',
			pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(k.type, NULL),
			CASE WHEN c.family = 'integer' THEN 'keys above 2147483647 do not fit.'
				ELSE 'no foreign key can tie it, and joins to the registry use no index.' END),
		NULL
	FROM rel AS r
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.relid AND a.attnum = r.attnum
	CROSS JOIN tenantguard.registry_key() AS k
	CROSS JOIN LATERAL (SELECT tenantguard.type_family(a.atttypid) AS family) AS c
	CROSS JOIN LATERAL (SELECT tenantguard.type_family(k.type) AS family) AS w
	WHERE r.parent IS NULL AND a.atttypid <> k.type
		AND c.family <> w.family AND (c.family, w.family) <> ('bigint', 'integer')
$$;
COMMENT ON FUNCTION tenantguard.check_indexes(regnamespace) IS
	'Findings TG512 to TG517: indexes, partition keys and types of the tenant columns of guarded relations of the schema (NULL: of all).';

CREATE FUNCTION tenantguard.checked_constraints(schema regnamespace)
RETURNS TABLE (conid oid, conname name, contype "char", relid oid, object text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.oid, c.conname, c.contype, r.relid, pg_catalog.format('%I on %s', c.conname, r.name)
	FROM tenantguard.checked_relations(checked_constraints.schema) AS r
	JOIN pg_catalog.pg_constraint AS c ON c.conrelid = r.relid AND c.conparentid = 0
	JOIN pg_catalog.pg_class AS k ON k.oid = r.relid
	LEFT JOIN pg_catalog.pg_class AS f ON f.oid = c.confrelid
	WHERE r.relkind IN ('r', 'p') AND (r.row_security OR COALESCE(f.relrowsecurity, false))
		-- Its parent's is judged for the rows of a partition.
		AND NOT (k.relispartition AND c.coninhcount > 0)
		-- PostgreSQL 18 has a constraint for NOT NULL, and some that nobody checks.
		AND (c.contype = 'f' OR (c.contype IN ('c', 'n') AND c.convalidated))
		AND COALESCE(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true'
$$;
COMMENT ON FUNCTION tenantguard.checked_constraints(regnamespace) IS
	'The foreign keys, CHECKs and NOT NULLs that rows of the schema (NULL: of all) are judged by, where row security is enabled on a relation of theirs.';

CREATE FUNCTION tenantguard.violating_rows(relation regclass, constraint_name name, max_rows int DEFAULT 20)
RETURNS TABLE (row_key jsonb, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET constraint_exclusion = off
AS $$
#variable_conflict use_variable
DECLARE
	con			pg_catalog.pg_constraint;
	row_key		text;
	relkind		"char";
	broken		text;
BEGIN
	SELECT c.* INTO con FROM pg_catalog.pg_constraint AS c
	WHERE c.conrelid = relation AND c.conname = constraint_name AND c.contype IN ('f', 'c', 'n');
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no foreign key or CHECK "%" of %', constraint_name, relation
			USING ERRCODE = '22023',
				HINT = 'Use SELECT conname FROM pg_constraint WHERE conrelid = ''table''::regclass.';
	END IF;
	IF con.contype = 'f' THEN
		RETURN QUERY
			SELECT c.row_key, pg_catalog.format('of tenant %s refers to %s: it %s', COALESCE(c.tenant, 'NULL'), c.refers_to, c.problem)
			FROM tenantguard.crossing_rows(relation, constraint_name, max_rows) AS c;
		RETURN;
	END IF;
	PERFORM tenantguard.require_all_rows(relation);
	SELECT c.relkind INTO relkind FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
	row_key := tenantguard.key_of_row(relation);
	-- In words that the planner does not take for false because the catalog says
	-- that the constraint is valid.
	broken := CASE con.contype
		WHEN 'n' THEN (SELECT pg_catalog.format('pg_catalog.num_nulls(c.%I) > 0', a.attname) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = relation AND a.attnum = con.conkey[1])
		ELSE pg_catalog.format('NOT (%s)', pg_catalog.pg_get_expr(con.conbin, con.conrelid)) END;
	RETURN QUERY EXECUTE pg_catalog.format('SELECT %s, %L FROM %s%s AS c WHERE %s ORDER BY 1 LIMIT %s', row_key,
		'does not satisfy ' || pg_catalog.pg_get_constraintdef(con.oid),
		CASE relkind WHEN 'r' THEN 'ONLY ' ELSE '' END, relation, broken, max_rows);
END
$$;
COMMENT ON FUNCTION tenantguard.violating_rows(regclass, name, int) IS
	'Validates a constraint again, whatever the catalog says: up to max_rows rows that do not satisfy a foreign key or CHECK, or NOT NULL on PostgreSQL 18, and how. For a foreign key that is what crossing_rows() finds. Reads the tables under a bypass. Raises 42501 (bypass_denied) when some rows could be hidden, 22023 for an unknown constraint.';

CREATE FUNCTION tenantguard.revalidate(relation regclass, constraint_name name)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	found	text;
BEGIN
	SELECT pg_catalog.string_agg(pg_catalog.format('row %s %s', v.row_key, v.problem), E'\n') INTO found
	FROM tenantguard.violating_rows(relation, constraint_name) AS v;
	IF found IS NOT NULL THEN
		RAISE EXCEPTION 'rows of % do not satisfy constraint "%"', relation, constraint_name
			USING ERRCODE = CASE WHEN EXISTS (
					SELECT 1 FROM pg_catalog.pg_constraint AS c
					WHERE c.conrelid = relation AND c.conname = constraint_name AND c.contype = 'f') THEN '23503' ELSE '23514' END,
				DETAIL = found,
				HINT = pg_catalog.format('Use SELECT * FROM tenantguard.violating_rows(%L, %L, 1000) under a bypass, and correct the rows.',
					relation, constraint_name);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.revalidate(regclass, name) IS
	'Returns when every row of every tenant satisfies a foreign key or CHECK, although the server may have validated it over the rows that its owner saw. New rows are checked by the server all along. Raises 23503 or 23514 with up to 20 rows, and what violating_rows() raises.';

CREATE FUNCTION tenantguard.check_rows(schema regnamespace DEFAULT NULL)
RETURNS TABLE (code text, severity text, object text, detail text, fix text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	con		record;
BEGIN
	FOR con IN SELECT c.* FROM tenantguard.checked_constraints(check_rows.schema) AS c ORDER BY c.contype <> 'f', c.object COLLATE "C" LOOP
		RETURN QUERY
			SELECT r.code, r.severity, con.object, v.rows,
				pg_catalog.format('SELECT * FROM tenantguard.violating_rows(%L, %L, 1000);', con.relid::regclass, con.conname)
			FROM (
				SELECT pg_catalog.string_agg(pg_catalog.format('row %s %s', w.row_key, w.problem), '; ') AS rows
				FROM tenantguard.violating_rows(con.relid, con.conname) AS w
			) AS v
			JOIN tenantguard.check_rule AS r ON r.code = CASE con.contype WHEN 'f' THEN 'TG519' ELSE 'TG520' END
			WHERE v.rows IS NOT NULL
				AND NOT EXISTS (
					SELECT 1 FROM tenantguard.check_suppression AS s
					WHERE s.code = r.code AND s.object = con.object AND (s.until IS NULL OR s.until > pg_catalog.now()));
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.check_rows(regnamespace) IS
	'Validates every foreign key, CHECK and NOT NULL of guarded relations of the schema (NULL: of all) again, over the rows of all tenants: one finding (TG519, TG520) for each that rows do not satisfy, with up to 20 of them, and the SELECT that lists more. Apart from check(), as it reads the tables: under a bypass. Raises what violating_rows() raises.';
