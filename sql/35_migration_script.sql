-- 35_migration_script.sql: what was decided about a schema, as a script to
-- review, to commit and to run on its next copy.

CREATE FUNCTION tenantguard.as_comment(words text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	-- A name may hold a line break; what follows it must not become a command.
	SELECT '-- ' || pg_catalog.regexp_replace(as_comment.words, '([\n\r]+)', E'\\1-- ', 'g')
$$;
COMMENT ON FUNCTION tenantguard.as_comment(text) IS
	'The words as a comment of SQL, each line of it.';

CREATE FUNCTION tenantguard.in_dependency_order(schema regnamespace)
RETURNS TABLE (relation regclass, place int)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	waiting		oid[];
	sources		oid[];
	targets		oid[];
	ready		oid[];
	turn		int := 0;
BEGIN
	waiting := ARRAY(SELECT c.oid FROM pg_catalog.pg_class AS c
		WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p', 'f', 'm'));
	SELECT pg_catalog.array_agg(e.conrelid), pg_catalog.array_agg(e.confrelid) INTO sources, targets
	FROM (SELECT DISTINCT c.conrelid, c.confrelid
		  FROM pg_catalog.pg_constraint AS c
		  WHERE c.contype = 'f' AND c.conrelid <> c.confrelid
			  AND c.conrelid = ANY (waiting) AND c.confrelid = ANY (waiting)) AS e;

	WHILE waiting <> '{}' LOOP
		turn := turn + 1;
		ready := ARRAY(
			SELECT w.relid FROM pg_catalog.unnest(waiting) AS w (relid)
			EXCEPT
			SELECT e.source FROM ROWS FROM (pg_catalog.unnest(sources), pg_catalog.unnest(targets)) AS e (source, target)
			WHERE e.target = ANY (waiting));
		-- A cycle of foreign keys is entered where the fewest are missing.
		IF ready = '{}' THEN
			ready := ARRAY(
				SELECT e.source
				FROM ROWS FROM (pg_catalog.unnest(sources), pg_catalog.unnest(targets)) AS e (source, target)
				JOIN pg_catalog.pg_class AS c ON c.oid = e.source
				WHERE e.source = ANY (waiting) AND e.target = ANY (waiting)
				GROUP BY e.source, c.relname
				ORDER BY pg_catalog.count(*), c.relname
				LIMIT 1);
		END IF;
		RETURN QUERY SELECT r.relid::regclass, turn FROM pg_catalog.unnest(ready) AS r (relid);
		waiting := ARRAY(
			SELECT w.relid FROM pg_catalog.unnest(waiting) AS w (relid)
			EXCEPT
			SELECT r.relid FROM pg_catalog.unnest(ready) AS r (relid));
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.in_dependency_order(regnamespace) IS
	'The relations of the schema, each in a later place than those that its foreign keys refer to. A cycle is entered at the relation with the fewest foreign keys into it, the first by name.';

CREATE FUNCTION tenantguard.decision_statement(relation regclass, mode text, tenant_column name, reason text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE decision_statement.mode
		WHEN 'tenant' THEN pg_catalog.format('SELECT tenantguard.protect(%L, %L);',
			decision_statement.relation, decision_statement.tenant_column)
		WHEN 'tenant_or_shared' THEN pg_catalog.format('SELECT tenantguard.protect(%L, %L, shared_rows => true);',
			decision_statement.relation, decision_statement.tenant_column)
		WHEN 'derived' THEN pg_catalog.concat(
			(SELECT pg_catalog.string_agg(pg_catalog.format('SELECT tenantguard.add_link(%L, %L, %L, %L, %L, %L); ',
				l.relation, l.columns, l.parent, l.parent_columns, l.type_column, l.type_value), '')
			 FROM tenantguard.links AS l WHERE l.relation = decision_statement.relation AND l.foreign_key IS NULL),
			pg_catalog.format('SELECT tenantguard.derive(%L, %L);', decision_statement.relation,
				COALESCE(
					(SELECT pg_catalog.array_agg(l.foreign_key ORDER BY l.foreign_key) FROM tenantguard.links AS l
					 WHERE l.relation = decision_statement.relation AND l.foreign_key IS NOT NULL),
					(SELECT '{}'::name[] FROM tenantguard.links AS l WHERE l.relation = decision_statement.relation LIMIT 1))))
		WHEN 'shared' THEN pg_catalog.format('SELECT tenantguard.share(%L);', decision_statement.relation)
		WHEN 'exempt' THEN pg_catalog.format('SELECT tenantguard.exempt(%L, %L);',
			decision_statement.relation, COALESCE(decision_statement.reason, ''))
	END
$$;
COMMENT ON FUNCTION tenantguard.decision_statement(regclass, text, name, text) IS
	'The call that brings a relation to a mode of tenant, tenant_or_shared, derived, shared or exempt; NULL for others.';

CREATE FUNCTION tenantguard.migration_script(schema regnamespace, tenant_columns name[] DEFAULT NULL)
RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	adopted		tenantguard.registry := tenantguard.require_adopted();
	proposal	record;
	undecided	int := 0;
BEGIN
	RETURN NEXT tenantguard.as_comment(pg_catalog.format('How the relations of schema %s are guarded. Run it in one transaction.', schema));
	RETURN NEXT pg_catalog.format('SELECT tenantguard.adopt_registry(%L, %L, %L, %L);',
		adopted.registry, adopted.key_column, adopted.status_column, adopted.active_values);

	FOR proposal IN
		SELECT c.*,
			tenantguard.decision_statement(c.relation, c.mode, c.tenant_column, COALESCE(g.reason, c.reason)) AS statement
		FROM tenantguard.classify(migration_script.schema, migration_script.tenant_columns) AS c
		JOIN tenantguard.in_dependency_order(migration_script.schema) AS o ON o.relation = c.relation
		JOIN pg_catalog.pg_class AS r ON r.oid = c.relation
		LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = c.relation
		WHERE c.mode IS DISTINCT FROM 'root'
		-- What is derived comes after all that it could be derived from.
		ORDER BY c.mode IS NOT DISTINCT FROM 'derived', o.place, r.relname
	LOOP
		IF proposal.confidence = 'certain' THEN
			IF proposal.reason <> 'already recorded' THEN
				RETURN NEXT tenantguard.as_comment(pg_catalog.format('%s: %s', proposal.relation, proposal.reason));
			END IF;
			RETURN NEXT proposal.statement;
		ELSE
			undecided := undecided + 1;
			RETURN NEXT tenantguard.as_comment(pg_catalog.format('TO DECIDE, %s, %s: %s',
				proposal.relation, proposal.confidence, proposal.reason));
			RETURN QUERY
				SELECT tenantguard.as_comment(COALESCE(proposal.statement,
					tenantguard.decision_statement(proposal.relation, 'tenant', n.name, NULL)))
				FROM pg_catalog.unnest(CASE WHEN proposal.statement IS NULL
					THEN COALESCE(proposal.candidates, '{column}') ELSE '{column}' END) AS n (name);
		END IF;
	END LOOP;

	IF undecided > 0 THEN
		RETURN NEXT tenantguard.as_comment(pg_catalog.format('%s to decide; then:', undecided));
		RETURN NEXT tenantguard.as_comment(pg_catalog.format('SELECT tenantguard.assert_guarded(%L);', schema));
	ELSE
		RETURN NEXT pg_catalog.format('SELECT tenantguard.assert_guarded(%L);', schema);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.migration_script(regnamespace, name[]) IS
	'A script, one statement or comment in each row, that makes the record of this schema on a copy of it: the registry, then what was decided and what propose() with the same tenant_columns is certain of, in the order of foreign keys, derived relations last. What a person must decide is there as a comment, with the reason. Changes nothing. Raises 22023 when no registry is adopted.';
