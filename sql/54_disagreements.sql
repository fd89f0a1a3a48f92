-- 54_disagreements.sql: rows whose parents do not agree on a tenant, or not with
-- the row's own column: found, put aside, and brought back.

CREATE FUNCTION tenantguard.key_expression(relation regclass, alias text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT COALESCE((
		SELECT 'pg_catalog.jsonb_build_object(' || pg_catalog.string_agg(
			pg_catalog.format('%L, %s.%I', a.attname, key_expression.alias, a.attname), ', ' ORDER BY k.place) || ')'
		FROM pg_catalog.pg_index AS i
		CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
		WHERE i.indrelid = key_expression.relation AND i.indisprimary AND k.place <= i.indnkeyatts),
		pg_catalog.format('pg_catalog.jsonb_build_object(''ctid'', %1$s.ctid::text, ''table'', %1$s.tableoid::pg_catalog.regclass::text)', key_expression.alias))
$$;
COMMENT ON FUNCTION tenantguard.key_expression(regclass, text) IS
	'An expression for the primary key of a row as jsonb; its place in the table where it has none.';

CREATE FUNCTION tenantguard.disagreements_by_links(relation regclass)
RETURNS TABLE (row_key jsonb, problem text, tenants text[])
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY EXECUTE pg_catalog.format(
		'SELECT d.row_key, (d.p).problem, (d.p).tenants FROM ('
		'SELECT %s AS row_key, tenantguard.row_problem(t.*) AS p FROM %s AS t OFFSET 0) AS d WHERE (d.p).problem IS NOT NULL',
		tenantguard.key_expression(disagreements_by_links.relation, 't'), disagreements_by_links.relation);
END
$$;
COMMENT ON FUNCTION tenantguard.disagreements_by_links(regclass) IS
	'disagreements() of a table whose links are recorded.';

CREATE FUNCTION tenantguard.disagreements(relation regclass)
RETURNS TABLE (row_key jsonb, problem text, tenants text[])
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found	jsonb;
BEGIN
	PERFORM tenantguard.require_table(disagreements.relation);
	PERFORM tenantguard.require_bypass(pg_catalog.format('look for disagreements in table %s', disagreements.relation));
	IF EXISTS (SELECT 1 FROM tenantguard.recorded_links(disagreements.relation)) THEN
		RETURN QUERY SELECT d.* FROM tenantguard.disagreements_by_links(disagreements.relation) AS d;
		RETURN;
	END IF;

	-- What derive() would record is recorded for as long as it takes.
	PERFORM tenantguard.require_links(disagreements.relation, NULL);
	BEGIN
		PERFORM tenantguard.record_link(disagreements.relation, p.columns, p.parent, p.parent_columns, NULL, NULL)
		FROM tenantguard.possible_links(disagreements.relation) AS p;
		found := (SELECT pg_catalog.jsonb_agg(d) FROM tenantguard.disagreements_by_links(disagreements.relation) AS d);
		RAISE EXCEPTION USING ERRCODE = 'TG001', MESSAGE = 'the links are taken back';
	EXCEPTION WHEN SQLSTATE 'TG001' THEN
		NULL;
	END;
	RETURN QUERY SELECT d.row_key, d.problem, d.tenants
	FROM pg_catalog.jsonb_to_recordset(found) AS d (row_key jsonb, problem text, tenants text[]);
END
$$;
COMMENT ON FUNCTION tenantguard.disagreements(regclass) IS
	'The rows of a table with links whose tenant is in doubt: no parent (no link speaks, or one leads to a row that is not there or is nobody''s), parents of different tenants, column disagrees; with their primary key and the tenants that were found. Of a table that is not derived yet, by the links that derive() would record. Reads the whole table. Raises 42501 for a caller who is not the owner or has no bypass, 22023 for a table without links.';

CREATE FUNCTION tenantguard.quarantine_table(relation regclass)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.format('%I.%I', n.nspname, pg_catalog.left(c.relname, 52) || '_quarantine')
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	WHERE c.oid = quarantine_table.relation
$$;
COMMENT ON FUNCTION tenantguard.quarantine_table(regclass) IS
	'The qualified name of the table that quarantine() moves rows to.';

CREATE FUNCTION tenantguard.make_quarantine(relation regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
SET client_min_messages = error
AS $$
DECLARE
	wanted	text := tenantguard.quarantine_table(make_quarantine.relation);
BEGIN
	IF pg_catalog.to_regclass(wanted) IS NOT NULL THEN
		IF (tenantguard.recorded_relation(pg_catalog.to_regclass(wanted))).tenant_column IS DISTINCT FROM 'quarantined_tenant' THEN
			RAISE EXCEPTION 'table % is not a quarantine', wanted
				USING ERRCODE = '42710',
					DETAIL = 'Found: a table of that name which quarantine() did not make.',
					HINT = 'Rename it.';
		END IF;
		RETURN;
	END IF;
	-- Ordinary columns: no default, no identity, nothing generated.
	EXECUTE pg_catalog.format('CREATE TABLE %s (quarantined_tenant %s CONSTRAINT tenantguard_quarantine CHECK (quarantined_tenant IS NULL), quarantined_at timestamptz NOT NULL, problem text NOT NULL, tenants text[] NOT NULL, %s)',
		wanted,
		(SELECT pg_catalog.format_type(k.type, NULL) FROM tenantguard.registry_key() AS k),
		(SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', 'row_' || a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
			FROM pg_catalog.pg_attribute AS a
			WHERE a.attrelid = make_quarantine.relation AND a.attnum > 0 AND NOT a.attisdropped));
	EXECUTE pg_catalog.format('COMMENT ON TABLE %s IS %L', wanted,
		pg_catalog.format('Rows of %s that no tenant sees; tenantguard.release_quarantine() moves them back.', make_quarantine.relation));
	PERFORM tenantguard.protect(wanted::regclass, 'quarantined_tenant');
END
$$;
COMMENT ON FUNCTION tenantguard.make_quarantine(regclass) IS
	'Makes the table that quarantine() moves rows to. It is guarded by a tenant column that is always NULL, so that its rows are seen under a bypass only. Raises 42710 where another table has the name.';

CREATE FUNCTION tenantguard.require_unreferenced(relation regclass, member oid, place tid)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	key		record;
	refers	boolean;
BEGIN
	-- NO ACTION and RESTRICT raise their own error when the row goes.
	FOR key IN
		SELECT c.conname, c.conrelid::regclass AS referrer, c.confrelid::regclass AS referenced,
			pg_catalog.string_agg(pg_catalog.format('r.%I OPERATOR(%s.%s) t.%I', a.attname, n.nspname, o.oprname, b.attname), ' AND ') AS condition
		FROM pg_catalog.pg_constraint AS c
		CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey), pg_catalog.unnest(c.conpfeqop)) AS k (attnum, refnum, operator)
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
		JOIN pg_catalog.pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = k.refnum
		JOIN pg_catalog.pg_operator AS o ON o.oid = k.operator
		JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
		WHERE c.contype = 'f' AND c.confrelid IN (relation, member) AND c.confdeltype IN ('c', 'n', 'd') AND c.conparentid = 0
		GROUP BY c.oid, c.conname, c.conrelid, c.confrelid
	LOOP
		EXECUTE pg_catalog.format('SELECT EXISTS (SELECT 1 FROM %s AS r JOIN %s AS t ON %s WHERE t.tableoid = $1 AND t.ctid = $2)',
			key.referrer, key.referenced, key.condition) INTO refers USING member, place;
		IF refers THEN
			RAISE EXCEPTION 'rows of table % refer to a row of % that is to be quarantined', key.referrer, relation
				USING ERRCODE = '23503',
					DETAIL = pg_catalog.format('Foreign key %I would delete or change them.', key.conname),
					HINT = pg_catalog.format('Quarantine those first: SELECT * FROM tenantguard.quarantine(%L).', key.referrer);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.require_unreferenced(regclass, oid, tid) IS
	'Returns when no foreign key would delete or change other rows with this one. Raises 23503 otherwise.';

CREATE FUNCTION tenantguard.quarantine(relation regclass)
RETURNS TABLE (row_key jsonb, problem text, tenants text[])
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found	record;
	moved	bigint;
BEGIN
	PERFORM tenantguard.require_table(quarantine.relation);
	PERFORM tenantguard.require_bypass(pg_catalog.format('quarantine rows of table %s', quarantine.relation));
	IF NOT EXISTS (SELECT 1 FROM tenantguard.recorded_links(quarantine.relation)) THEN
		RAISE EXCEPTION 'table % has no links to parents', quarantine.relation
			USING ERRCODE = '22023',
				DETAIL = 'Nothing says where the tenant of a row comes from.',
				HINT = pg_catalog.format('Use SELECT tenantguard.derive(%L).', quarantine.relation);
	END IF;
	FOR found IN EXECUTE pg_catalog.format(
		'SELECT t.tableoid AS member, t.ctid AS place, %s AS row_key, p.problem, p.tenants FROM %s AS t '
		'CROSS JOIN LATERAL tenantguard.row_problem(t.*) AS p WHERE p.problem IS NOT NULL',
		tenantguard.key_expression(quarantine.relation, 't'), quarantine.relation)
	LOOP
		PERFORM tenantguard.make_quarantine(quarantine.relation);
		PERFORM tenantguard.require_unreferenced(quarantine.relation, found.member, found.place);
		EXECUTE pg_catalog.format(
			'WITH gone AS (DELETE FROM %s AS t WHERE t.tableoid = $1 AND t.ctid = $2 RETURNING t.*) '
			'INSERT INTO %s (quarantined_at, problem, tenants, %s) SELECT pg_catalog.now(), $3, $4, %s FROM gone',
			quarantine.relation, tenantguard.quarantine_table(quarantine.relation),
			(SELECT pg_catalog.string_agg(pg_catalog.quote_ident('row_' || a.attname), ', ' ORDER BY a.attnum)
				FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = quarantine.relation AND a.attnum > 0 AND NOT a.attisdropped),
			(SELECT pg_catalog.string_agg('gone.' || pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
				FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = quarantine.relation AND a.attnum > 0 AND NOT a.attisdropped))
			USING found.member, found.place, found.problem, found.tenants;
		GET DIAGNOSTICS moved = ROW_COUNT;
		-- changed meanwhile, or kept by a trigger of the table
		CONTINUE WHEN moved = 0;
		RETURN QUERY SELECT found.row_key, found.problem, found.tenants;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.quarantine(regclass) IS
	'Moves the rows that disagreements() lists to a table beside this one, NAME_quarantine, which is guarded so that no tenant sees them. Rows that refer to them stop it: 23503, quarantine those first. Returns the rows moved. Raises 42501 for a caller who is not the owner or has no bypass.';

CREATE FUNCTION tenantguard.release_quarantine(relation regclass)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	source		text := tenantguard.quarantine_table(relation);
	carried		name := tenantguard.carried_name(relation);
	targets		text;
	columns		text;
	place		tid;
	problem		text;
	released	bigint := 0;
	held		bigint := 0;
BEGIN
	PERFORM tenantguard.require_table(relation);
	PERFORM tenantguard.require_bypass(pg_catalog.format('release rows of table %s', relation));
	IF pg_catalog.to_regclass(source) IS NULL THEN
		RETURN 0;
	END IF;
	-- The carried column is filled from the parents anew.
	SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum),
		pg_catalog.string_agg(pg_catalog.quote_ident('row_' || a.attname), ', ' ORDER BY a.attnum)
	INTO targets, columns
	FROM pg_catalog.pg_attribute AS a
	JOIN pg_catalog.pg_attribute AS q ON q.attrelid = pg_catalog.to_regclass(source) AND q.attname = 'row_' || a.attname AND NOT q.attisdropped
	WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
		AND a.attgenerated = '' AND a.attname IS DISTINCT FROM carried;
	FOR place IN EXECUTE pg_catalog.format('SELECT q.ctid FROM %s AS q', source) LOOP
		BEGIN
			EXECUTE pg_catalog.format('INSERT INTO %s AS t (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s AS q WHERE q.ctid = $1 '
				'RETURNING (SELECT p.problem FROM tenantguard.row_problem(t.*) AS p)',
				relation, targets, columns, source) INTO problem USING place;
			EXECUTE 'SET CONSTRAINTS ALL IMMEDIATE';
			IF problem IS NOT NULL THEN
				RAISE foreign_key_violation;
			END IF;
			EXECUTE pg_catalog.format('DELETE FROM %s AS q WHERE q.ctid = $1', source) USING place;
			released := released + 1;
		EXCEPTION WHEN foreign_key_violation OR not_null_violation THEN
			held := held + 1;
		END;
	END LOOP;
	IF held > 0 THEN
		RAISE NOTICE '% stay in quarantine', CASE held WHEN 1 THEN '1 row has to' ELSE held || ' rows have to' END
			USING DETAIL = 'Their parents are still missing, or belong to different tenants.',
				HINT = pg_catalog.format('Look at %s, and mend the parents or the row_ columns.', source);
	END IF;
	RETURN released;
END
$$;
COMMENT ON FUNCTION tenantguard.release_quarantine(regclass) IS
	'Moves rows back from the quarantine of a table, with a tenant column that is filled anew; those that still have no parent, or parents of different tenants, stay. Returns how many were moved. Raises 42501 for a caller who is not the owner or has no bypass.';
