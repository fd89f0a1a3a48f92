-- 36_lookups.sql: what may be read before the tenant is known (log-in,
-- organization switcher, sign-up). lookup() itself is in the library.

CREATE FUNCTION tenantguard.register_lookup(
	name text,
	relation regclass,
	key_columns name[],
	returned_columns name[],
	max_rows int DEFAULT 1
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	missing	name;
BEGIN
	IF name IS NULL OR pg_catalog.btrim(name) = '' THEN
		RAISE EXCEPTION 'a look-up needs a name'
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Found: %s.', COALESCE(pg_catalog.quote_literal(name), 'NULL')),
				HINT = 'Use a name such as ''organization_by_host''.';
	END IF;
	PERFORM tenantguard.require_table(relation);
	IF COALESCE(pg_catalog.cardinality(key_columns), 0) = 0
		OR COALESCE(pg_catalog.cardinality(returned_columns), 0) = 0 THEN
		RAISE EXCEPTION 'look-up "%" needs key columns and returned columns', name
			USING ERRCODE = '22023',
				DETAIL = 'Without an exact key it would list rows of every tenant.',
				HINT = pg_catalog.format('Use SELECT tenantguard.register_lookup(%L, %L, ''{host}'', ''{id}'').', name, relation);
	END IF;
	IF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 1000 THEN
		RAISE EXCEPTION 'look-up "%" cannot return % rows', name, COALESCE(max_rows::text, 'NULL')
			USING ERRCODE = '22023',
				DETAIL = 'max_rows is from 1 to 1000.',
				HINT = 'Use as few as the log-in needs: 1 for a host name, a handful for the organizations of a person.';
	END IF;

	SELECT w.column_name INTO missing
	FROM pg_catalog.unnest(key_columns || returned_columns) AS w (column_name)
	WHERE NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid = relation AND a.attname = w.column_name AND a.attnum > 0 AND NOT a.attisdropped
	)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'look-up "%" names column "%", which table % does not have', name, missing, relation
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Its columns are %s.', (
					SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
					FROM pg_catalog.pg_attribute AS a
					WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped)),
				HINT = 'Use names as they are stored: ''{"orgId"}'' for a column in mixed case.';
	END IF;

	IF NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_index AS i
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND a.attname = ANY (key_columns)
	) THEN
		RAISE WARNING 'no index of table % begins with a key column of look-up "%"', relation, name
			USING DETAIL = 'Every call would read the whole table.',
				HINT = pg_catalog.format('Use CREATE INDEX CONCURRENTLY ON %s (%s).', relation, (
					SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.column_name), ', ' ORDER BY k.position)
					FROM pg_catalog.unnest(key_columns) WITH ORDINALITY AS k (column_name, position)));
	END IF;

	INSERT INTO tenantguard.lookup_definition AS d (name, relid, key_columns, returned_columns, max_rows)
	VALUES (name, relation, key_columns, returned_columns, max_rows)
	ON CONFLICT ON CONSTRAINT lookup_definition_pkey DO UPDATE
	SET relid = EXCLUDED.relid, key_columns = EXCLUDED.key_columns,
		returned_columns = EXCLUDED.returned_columns, max_rows = EXCLUDED.max_rows;
END
$$;
COMMENT ON FUNCTION tenantguard.register_lookup(text, regclass, name[], name[], int) IS
	'Permits lookup(name, ...) to read the returned columns of at most max_rows rows by exact values of the key columns, without a tenant. An existing definition of that name is replaced. For superusers. Raises 22023 for a missing name, table, column or key, and for max_rows outside 1 to 1000; WARNING when no index serves the key.';

CREATE FUNCTION tenantguard.drop_lookup(name text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM tenantguard.lookup_definition AS d WHERE d.name = drop_lookup.name;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no look-up "%"', name
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Registered: %s.', COALESCE(
					(SELECT pg_catalog.string_agg(d.name, ', ' ORDER BY d.name) FROM tenantguard.lookup_definition AS d),
					'none')),
				HINT = 'Use one of the registered names.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.drop_lookup(text) IS
	'Forgets a registered look-up. For superusers. Raises 22023 when there is none of that name.';
