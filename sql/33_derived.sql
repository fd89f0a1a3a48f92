-- 33_derived.sql: relations without a tenant column, whose rows are tied to
-- their tenant by links to other guarded relations.

CREATE VIEW tenantguard.links AS
	SELECT l.relid AS relation, l.columns, l.parent, l.parent_columns, l.type_column, l.type_value,
		k.conname AS foreign_key
	FROM tenantguard.link AS l
	LEFT JOIN LATERAL (
		SELECT c.conname
		FROM pg_catalog.pg_constraint AS c
		WHERE c.conrelid = l.relid AND c.confrelid = l.parent AND c.contype = 'f'
			AND (SELECT pg_catalog.array_agg(ROW(a.attname, b.attname)::text ORDER BY a.attname)
				 FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) AS k (attnum, refnum)
				 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
				 JOIN pg_catalog.pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = k.refnum)
				= (SELECT pg_catalog.array_agg(ROW(k.name, k.refname)::text ORDER BY k.name)
				   FROM ROWS FROM (pg_catalog.unnest(l.columns), pg_catalog.unnest(l.parent_columns)) AS k (name, refname))
		ORDER BY c.conname
		LIMIT 1
	) AS k ON true;
COMMENT ON VIEW tenantguard.links IS
	'How the rows of derived relations are tied to their tenant. A row is visible where at least one of its relation''s links speaks, and each that does leads to a visible row.';
COMMENT ON COLUMN tenantguard.links.relation IS
	'The relation without a tenant column.';
COMMENT ON COLUMN tenantguard.links.columns IS
	'Its columns that refer to the parent. Where one is NULL the link does not speak.';
COMMENT ON COLUMN tenantguard.links.parent IS
	'The guarded relation that they refer to.';
COMMENT ON COLUMN tenantguard.links.parent_columns IS
	'The columns of the parent''s key.';
COMMENT ON COLUMN tenantguard.links.type_column IS
	'Of a polymorphic link: the column that says what the row refers to.';
COMMENT ON COLUMN tenantguard.links.type_value IS
	'Of a polymorphic link: its value where the link speaks.';
COMMENT ON COLUMN tenantguard.links.foreign_key IS
	'The foreign key that states the same, or NULL: then the library itself checks new rows.';

CREATE FUNCTION tenantguard.recorded_links(relation oid)
RETURNS SETOF tenantguard.link
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
	RETURN QUERY
	SELECT l.* FROM tenantguard.link AS l
	WHERE l.relid = recorded_links.relation
	ORDER BY l.columns, l.parent, l.type_value;
END
$$;
COMMENT ON FUNCTION tenantguard.recorded_links(oid) IS
	'The links of the relation itself.';

CREATE FUNCTION tenantguard.nearest_links(row_type regtype)
RETURNS SETOF tenantguard.link
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH RECURSIVE ancestor (relid, steps) AS (
		SELECT t.typrelid, 0 FROM pg_catalog.pg_type AS t WHERE t.oid = nearest_links.row_type
		UNION ALL
		SELECT i.inhparent, a.steps + 1
		FROM ancestor AS a
		JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = a.relid
		WHERE NOT EXISTS (SELECT 1 FROM tenantguard.link AS l WHERE l.relid = a.relid)
	)
	SELECT l.*
	FROM tenantguard.link AS l
	WHERE l.relid = (
		SELECT a.relid FROM ancestor AS a
		WHERE EXISTS (SELECT 1 FROM tenantguard.link AS l WHERE l.relid = a.relid)
		ORDER BY a.steps, a.relid
		LIMIT 1);
END
$$;
COMMENT ON FUNCTION tenantguard.nearest_links(regtype) IS
	'The links of the relation with this row type, or of the nearest parent that it inherits from and that has some.';

CREATE FUNCTION tenantguard.link_query(link tenantguard.link)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.format('SELECT CASE WHEN %s THEN EXISTS (SELECT 1 FROM %s AS p WHERE %s AND %s) END',
		pg_catalog.concat_ws(' AND ',
			CASE WHEN (link_query.link).type_column IS NOT NULL
				THEN pg_catalog.format('($1).%I::pg_catalog.text = %L', (link_query.link).type_column, (link_query.link).type_value) END,
			(SELECT pg_catalog.string_agg(pg_catalog.format('($1).%I IS NOT NULL', k.name), ' AND ')
			 FROM pg_catalog.unnest((link_query.link).columns) AS k (name))),
		(link_query.link).parent,
		(SELECT pg_catalog.string_agg(pg_catalog.format('p.%I = ($1).%I', k.refname, k.name), ' AND ')
		 FROM ROWS FROM (pg_catalog.unnest((link_query.link).columns), pg_catalog.unnest((link_query.link).parent_columns)) AS k (name, refname)),
		COALESCE((SELECT CASE g.mode
				WHEN 'tenant' THEN pg_catalog.format('tenantguard.visible(p.%I)', g.tenant_column)
				WHEN 'tenant_or_shared' THEN pg_catalog.format('tenantguard.visible_or_shared(p.%I)', g.tenant_column)
				WHEN 'derived' THEN 'tenantguard.visible_by_links(p.*)' END
			FROM tenantguard.guarded_relation AS g WHERE g.relid = (link_query.link).parent), 'false'))
$$;
COMMENT ON FUNCTION tenantguard.link_query(tenantguard.link) IS
	'A query that tells of the row $1 whether the link leads to a visible row of the parent; NULL where it does not speak.';

CREATE FUNCTION tenantguard.depends_on(relation oid, other oid)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
	RETURN EXISTS (
		WITH RECURSIVE above (relid) AS (
			SELECT depends_on.relation
			UNION
			SELECT l.parent FROM above AS a JOIN tenantguard.link AS l ON l.relid = a.relid
		)
		SELECT 1 FROM above AS a WHERE a.relid = depends_on.other);
END
$$;
COMMENT ON FUNCTION tenantguard.depends_on(oid, oid) IS
	'Whether the links of the first relation lead, at whatever distance, to the second; true of a relation and itself.';

CREATE FUNCTION tenantguard.is_link_key(parent oid, columns name[])
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_index AS i
		JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
		WHERE i.indrelid = is_link_key.parent AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
			AND ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute AS a
					  WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
					  ORDER BY a.attname)
				= ARRAY(SELECT u.name FROM pg_catalog.unnest(is_link_key.columns) AS u (name) ORDER BY u.name)
			-- two values that the column takes for one may be two to the index
			AND NOT EXISTS (
				SELECT 1
				FROM ROWS FROM (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indcollation::oid[])) AS k (attnum, rule)
				JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
				JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation AND NOT o.collisdeterministic
				WHERE k.rule <> a.attcollation))
$$;
COMMENT ON FUNCTION tenantguard.is_link_key(oid, name[]) IS
	'Whether a unique index of the parent has exactly these columns, with the collations of the columns where these take different values for equal.';

CREATE FUNCTION tenantguard.possible_links(relation oid)
RETURNS TABLE (foreign_key name, columns name[], parent regclass, parent_columns name[], complete boolean)
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT c.conname, k.columns, c.confrelid::regclass, k.parent_columns, k.complete
	FROM pg_catalog.pg_constraint AS c
	JOIN tenantguard.guarded_relation AS g ON g.relid = c.confrelid AND g.mode IN ('tenant', 'tenant_or_shared', 'derived')
	CROSS JOIN LATERAL (
		SELECT pg_catalog.array_agg(a.attname ORDER BY k.place) AS columns,
			pg_catalog.array_agg(b.attname ORDER BY k.place) AS parent_columns,
			pg_catalog.bool_and(a.attnotnull) AS complete
		FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) WITH ORDINALITY AS k (attnum, refnum, place)
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
		JOIN pg_catalog.pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = k.refnum
	) AS k
	WHERE c.conrelid = possible_links.relation AND c.contype = 'f'
		-- of a partitioned parent there is one more for each of its partitions
		AND NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_constraint AS o
			WHERE o.oid = c.conparentid AND o.conrelid = c.conrelid)
		AND NOT tenantguard.depends_on(c.confrelid, possible_links.relation)
		AND COALESCE(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true'
		AND tenantguard.is_link_key(c.confrelid, k.parent_columns)
	ORDER BY c.conname;
END
$$;
COMMENT ON FUNCTION tenantguard.possible_links(oid) IS
	'The foreign keys that could tie the relation to its tenant: they refer to guarded relations, close no circle, are enforced, and lead to one row each. Complete: no row has a NULL in them.';

CREATE FUNCTION tenantguard.require_link_types(relation regclass, columns name[], parent regclass, parent_columns name[])
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	pair	record;
BEGIN
	SELECT a.attname, a.atttypid::regtype AS type, b.attname AS parent_name, b.atttypid::regtype AS parent_type INTO pair
	FROM ROWS FROM (pg_catalog.unnest(columns), pg_catalog.unnest(parent_columns)) AS k (name, refname)
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = relation AND a.attname = k.name AND NOT a.attisdropped
	JOIN pg_catalog.pg_attribute AS b ON b.attrelid = parent AND b.attname = k.refname AND NOT b.attisdropped
	WHERE tenantguard.link_operator(b.atttypid, a.atttypid) IS NULL
	LIMIT 1;
	-- Where a foreign key states the link, its operators compare.
	IF NOT FOUND OR EXISTS (
		SELECT 1 FROM tenantguard.possible_links(relation) AS p
		WHERE (p.columns, p.parent, p.parent_columns) = (columns, parent, parent_columns)) THEN
		RETURN;
	END IF;
	RAISE EXCEPTION 'cannot link table % to table %', relation, parent
		USING ERRCODE = '42804',
			DETAIL = pg_catalog.format('Found: column "%s" is of type %s, column "%s" of %s is of type %s, and no equality compares them by an index.',
				pair.attname, pair.type, pair.parent_name, parent, pair.parent_type),
			HINT = pg_catalog.format('Give both the same type: ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %2$I::%3$s.',
				relation, pair.attname, pair.parent_type);
END
$$;
COMMENT ON FUNCTION tenantguard.require_link_types(regclass, name[], regclass, name[]) IS
	'Returns when the columns of a link can be compared. Raises 42804 otherwise.';

CREATE FUNCTION tenantguard.require_links(relation regclass, through name[])
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	possible	name[] := ARRAY(SELECT p.foreign_key FROM tenantguard.possible_links(relation) AS p);
	missing		name := (SELECT n.name FROM pg_catalog.unnest(through) AS n (name) WHERE n.name <> ALL (possible) LIMIT 1);
BEGIN
	PERFORM tenantguard.require_link_types(relation, l.columns, l.parent, l.parent_columns)
	FROM tenantguard.recorded_links(relation) AS l;
	IF missing IS NULL
		AND (EXISTS (SELECT 1 FROM tenantguard.recorded_links(relation))
			OR (possible <> '{}' AND through IS DISTINCT FROM '{}')) THEN
		RETURN;
	END IF;
	RAISE EXCEPTION 'cannot derive the tenant of table %', relation
		USING ERRCODE = '22023',
			DETAIL = CASE WHEN missing IS NOT NULL THEN pg_catalog.format('%I is no foreign key to a guarded table', missing)
				ELSE 'No foreign key leads to a guarded table' END
				|| pg_catalog.format('; found: %s.', COALESCE(NULLIF(pg_catalog.array_to_string(possible, ', '), ''), 'none')),
			HINT = 'Protect the tables that it refers to first, or declare the link with tenantguard.add_link().';
END
$$;
COMMENT ON FUNCTION tenantguard.require_links(regclass, name[]) IS
	'Returns when the relation has links, or the named foreign keys (NULL: all) can become links. Raises 22023 otherwise.';

CREATE FUNCTION tenantguard.derivation_statements(relation regclass, through name[])
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	-- What is recorded stays: to take foreign keys that came later is a decision.
	IF through IS NOT NULL OR NOT EXISTS (SELECT 1 FROM tenantguard.recorded_links(relation)) THEN
		RETURN QUERY
			SELECT pg_catalog.format('SELECT tenantguard.record_link(%L, %L, %L, %L, NULL, NULL)',
				relation, p.columns, p.parent, p.parent_columns)
			FROM tenantguard.possible_links(relation) AS p
			WHERE (through IS NULL OR p.foreign_key = ANY (through))
				AND NOT EXISTS (
					SELECT 1 FROM tenantguard.recorded_links(relation) AS l
					WHERE (l.columns, l.parent) = (p.columns, p.parent));
	END IF;
	IF (tenantguard.recorded_relation(relation)).mode IS DISTINCT FROM 'derived' THEN
		RETURN NEXT pg_catalog.format('SELECT tenantguard.record_relation(%L, ''derived'', NULL, NULL, NULL)', relation);
	END IF;
	RETURN QUERY SELECT s.* FROM tenantguard.policy_statements(relation, NULL, 'derived') AS s;
	RETURN QUERY
		SELECT pg_catalog.format('SELECT tenantguard.derive_member(%L)', f.member::regclass)
		FROM tenantguard.table_family(relation) AS f
		WHERE f.member <> relation
			AND ((tenantguard.recorded_relation(f.member)).mode IS DISTINCT FROM 'derived'
				OR EXISTS (SELECT 1 FROM tenantguard.member_statements(f.member, 'derived', NULL, false)))
		ORDER BY f.member;
	RETURN QUERY SELECT s.* FROM tenantguard.revoke_statements(relation) AS s;
END
$$;
COMMENT ON FUNCTION tenantguard.derivation_statements(regclass, name[]) IS
	'The statements that bring a table and its children to the mode derived; none when nothing is missing.';

CREATE FUNCTION tenantguard.derive_member(member regclass)
RETURNS SETOF text
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.* FROM tenantguard.run_statements(ARRAY(
		SELECT s.* FROM tenantguard.member_statements(derive_member.member, 'derived', NULL, false) AS s)) AS r
$$;
COMMENT ON FUNCTION tenantguard.derive_member(regclass) IS
	'Brings a partition or a child to the mode derived of its parent. Returns the statements it ran.';

CREATE FUNCTION tenantguard.remark_derivation(relation regclass, through name[])
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	lead	record;
BEGIN
	PERFORM tenantguard.remark_revoked(relation);
	IF NOT EXISTS (SELECT 1 FROM tenantguard.recorded_links(relation))
		AND NOT EXISTS (
			SELECT 1 FROM tenantguard.possible_links(relation) AS p
			WHERE p.complete AND (through IS NULL OR p.foreign_key = ANY (through))) THEN
		RAISE WARNING 'rows of table % may refer to nothing', relation
			USING DETAIL = 'Every foreign key that leads to a tenant may be NULL. Rows in which all are NULL are visible to nobody.',
				HINT = 'Use ALTER TABLE ... ALTER COLUMN ... SET NOT NULL where every row has a value.';
	END IF;
	FOR lead IN
		SELECT p.*, a.attnum
		FROM tenantguard.possible_links(relation) AS p
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = relation AND a.attname = p.columns[1]
		WHERE through IS NULL OR p.foreign_key = ANY (through)
	LOOP
		IF NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_index AS i
			WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = lead.attnum) THEN
			RAISE WARNING 'no index of table % begins with column "%"', relation, lead.columns[1]
				USING DETAIL = 'A query that looks for all rows of a tenant would read those of all.',
					HINT = pg_catalog.format('Use CREATE INDEX CONCURRENTLY ON %s (%s).', relation,
						(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n.name), ', ' ORDER BY n.place)
						 FROM pg_catalog.unnest(lead.columns) WITH ORDINALITY AS n (name, place)));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.remark_derivation(regclass, name[]) IS
	'Says what derive() finds: a NOTICE for privileges that are revoked; a WARNING where rows may refer to nothing, and for a missing index.';

CREATE FUNCTION tenantguard.derive(relation regclass, through name[] DEFAULT NULL, dry_run boolean DEFAULT false)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	statements	text[];
BEGIN
	PERFORM tenantguard.require_table(relation);
	PERFORM tenantguard.require_links(relation, through);
	statements := ARRAY(SELECT s.* FROM tenantguard.derivation_statements(relation, through) AS s);
	IF statements = '{}' THEN
		RETURN;
	ELSIF dry_run IS NOT FALSE THEN
		PERFORM tenantguard.remark_derivation(relation, through);
		RETURN QUERY SELECT s.* FROM pg_catalog.unnest(statements) AS s;
		RETURN;
	END IF;

	-- What was found may have changed until the lock was granted.
	PERFORM tenantguard.lock_relation(relation);
	PERFORM tenantguard.require_table(relation);
	PERFORM tenantguard.require_links(relation, through);
	PERFORM tenantguard.remark_derivation(relation, through);
	RETURN QUERY SELECT r.* FROM tenantguard.run_statements(ARRAY(
		SELECT s.* FROM tenantguard.derivation_statements(relation, through) AS s)) AS r;
END
$$;
COMMENT ON FUNCTION tenantguard.derive(regclass, name[], boolean) IS
	'Guards a table without a tenant column by its foreign keys to guarded tables: a row is whose the rows are that it refers to. through: the names of the foreign keys; NULL for all that lead to a guarded table, or those recorded before. Returns the statements it ran, with dry_run those it would run; none when nothing is missing. Raises 42501 for a caller who is not the owner, 22023 where no foreign key leads to a guarded table, 42804 where the columns of a link can no longer be compared.';

CREATE FUNCTION tenantguard.require_link(relation regclass, columns name[], parent regclass, parent_columns name[],
	type_column name, type_value text)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	what	text;
	lost	text;
BEGIN
	SELECT pg_catalog.format('table %s has no column "%s".', n.relid::regclass, n.name) INTO lost
	FROM (SELECT relation::oid, u.name FROM pg_catalog.unnest(columns) AS u (name)
		  UNION ALL SELECT relation, type_column WHERE type_column IS NOT NULL
		  UNION ALL SELECT parent, u.name FROM pg_catalog.unnest(parent_columns) AS u (name)) AS n (relid, name)
	WHERE NOT EXISTS (
		SELECT 1 FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid = n.relid AND a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped)
	LIMIT 1;
	what := CASE
		WHEN relation IS NULL OR parent IS NULL OR COALESCE(pg_catalog.cardinality(columns), 0) = 0
			OR pg_catalog.cardinality(columns) IS DISTINCT FROM pg_catalog.cardinality(parent_columns)
			THEN 'a link needs a relation, a parent, and as many columns of one as of the other.'
		WHEN (type_column IS NULL) <> (type_value IS NULL)
			THEN 'type_column and type_value belong together.'
		WHEN lost IS NOT NULL THEN lost
		WHEN tenantguard.depends_on(parent, relation)
			THEN pg_catalog.format('the rows of %s are themselves tied to those of %s.', parent, relation)
		WHEN COALESCE((tenantguard.recorded_relation(parent)).mode NOT IN ('tenant', 'tenant_or_shared', 'derived'), true)
			THEN pg_catalog.format('%s is not guarded by tenant.', parent)
		WHEN NOT tenantguard.is_link_key(parent, parent_columns)
			THEN pg_catalog.format('no unique index of %s has these columns, so that a row could have two parents.', parent)
	END;
	IF what IS NOT NULL THEN
		RAISE EXCEPTION 'cannot link table % to table %', COALESCE(relation::text, 'NULL'), COALESCE(parent::text, 'NULL')
			USING ERRCODE = '22023', DETAIL = 'Found: ' || what,
				HINT = 'Protect the parent first, and name the columns of its key: SELECT tenantguard.add_link(relation, ''{ticket_id}'', ''tickets'', ''{id}'').';
	END IF;
	PERFORM tenantguard.require_link_types(relation, columns, parent, parent_columns);
END
$$;
COMMENT ON FUNCTION tenantguard.require_link(regclass, name[], regclass, name[], name, text) IS
	'Returns when such a link can say whose the rows of the relation are. Raises 22023 otherwise, 42804 where the types of its columns cannot be compared.';

CREATE FUNCTION tenantguard.add_link(relation regclass, columns name[], parent regclass, parent_columns name[],
	type_column name DEFAULT NULL, type_value text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	PERFORM tenantguard.require_table(relation);
	PERFORM tenantguard.lock_relation(relation);
	PERFORM tenantguard.require_link(relation, columns, parent, parent_columns, type_column, type_value);
	PERFORM tenantguard.record_link(f.member::regclass, columns, parent, parent_columns, type_column, type_value)
	FROM tenantguard.table_family(relation) AS f
	WHERE f.member = relation OR EXISTS (SELECT 1 FROM tenantguard.recorded_links(f.member));
END
$$;
COMMENT ON FUNCTION tenantguard.add_link(regclass, name[], regclass, name[], name, text) IS
	'Declares a link that no foreign key states: its columns refer to the key of the parent, with type_column only in rows where that column, as text, is type_value (a polymorphic link). derive() then guards the relation by it. Raises 42501 for a caller who is not the owner and, where the relation is guarded already, without a bypass; 22023 for what cannot be a link, 42804 for columns that cannot be compared.';

CREATE FUNCTION tenantguard.drop_link(relation regclass, columns name[], parent regclass, type_value text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	kept	tenantguard.link[] := ARRAY(
		SELECT l FROM tenantguard.recorded_links(relation) AS l
		WHERE (l.columns, l.parent) <> (columns, parent) OR l.type_value IS DISTINCT FROM type_value);
	found	bigint := (SELECT pg_catalog.count(*) FROM tenantguard.recorded_links(relation));
	member	regclass;
BEGIN
	PERFORM tenantguard.require_table(relation);
	IF pg_catalog.cardinality(kept) = found THEN
		RAISE EXCEPTION 'table % has no such link', relation
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Its links: %s.', COALESCE((
				SELECT pg_catalog.string_agg(pg_catalog.format('%s to %s', l.columns, l.parent), ', ')
				FROM tenantguard.recorded_links(relation) AS l), 'none')),
				HINT = 'See SELECT * FROM tenantguard.links.';
	ELSIF kept = '{}' AND (tenantguard.recorded_relation(relation)).mode = 'derived' THEN
		RAISE EXCEPTION 'cannot drop the only link of table %', relation
			USING ERRCODE = '22023', DETAIL = 'Nothing else says whose its rows are.',
				HINT = 'Add another with tenantguard.add_link() first, or call tenantguard.unprotect().';
	END IF;
	PERFORM tenantguard.lock_relation(relation);
	FOR member IN
		SELECT f.member::regclass
		FROM tenantguard.table_family(relation) AS f
		WHERE EXISTS (SELECT 1 FROM tenantguard.recorded_links(f.member))
	LOOP
		PERFORM tenantguard.forget_links(member);
		PERFORM tenantguard.record_link(member, k.columns, k.parent, k.parent_columns, k.type_column, k.type_value)
		FROM pg_catalog.unnest(kept) AS k;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.drop_link(regclass, name[], regclass, text) IS
	'Takes a link back. Raises 42501 where the relation is guarded and no bypass is open, 22023 where there is no such link or it is the only one of a derived relation.';

