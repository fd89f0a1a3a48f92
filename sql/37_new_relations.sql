-- 37_new_relations.sql: what becomes of a relation that is made while the
-- guard is in force. The library calls meet_relation() when the statement that
-- made it is done.

CREATE FUNCTION tenantguard.tied_columns(relation regclass)
RETURNS TABLE (attname name, attnotnull boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT DISTINCT a.attname, a.attnotnull
	FROM pg_catalog.pg_constraint AS c
	CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) AS k (attnum, refnum)
	JOIN tenantguard.guarded_relation AS g ON g.relid = c.confrelid AND g.mode IN ('tenant', 'root')
	JOIN pg_catalog.pg_attribute AS r
		ON r.attrelid = c.confrelid AND r.attnum = k.refnum AND r.attname = g.tenant_column
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
	WHERE c.conrelid = tied_columns.relation AND c.contype = 'f'
		AND COALESCE(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true'
$$;
COMMENT ON FUNCTION tenantguard.tied_columns(regclass) IS
	'The columns of the relation that a foreign key ties to the tenant of a guarded one, the registry among them.';

CREATE FUNCTION tenantguard.copied_columns(relation regclass, models regclass[])
RETURNS TABLE (attname name, shared_rows boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.attname, pg_catalog.bool_or(g.mode = 'tenant_or_shared')
	FROM tenantguard.guarded_relation AS g
	JOIN pg_catalog.pg_attribute AS m ON m.attrelid = g.relid AND m.attname = g.tenant_column
	JOIN pg_catalog.pg_attribute AS a
		ON a.attrelid = copied_columns.relation AND a.attname = g.tenant_column
		AND a.attnum > 0 AND NOT a.attisdropped AND tenantguard.types_agree(a.atttypid, m.atttypid)
	WHERE g.relid = ANY (copied_columns.models) AND g.mode IN ('tenant', 'tenant_or_shared')
	GROUP BY a.attname
$$;
COMMENT ON FUNCTION tenantguard.copied_columns(regclass, regclass[]) IS
	'The columns of the relation that are called like the tenant column of one of the guarded relations it was made from, and whether rows without a tenant were shared there.';

-- A migration makes tables by the thousand. What is asked of each is little and
-- indexed, while the catalogs grow under way and nobody analyzes them.
CREATE FUNCTION tenantguard.meet_relation(relation regclass, models regclass[], may_protect boolean)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_variable
DECLARE
	candidates	name[];
	certain		boolean;
	shared_rows	boolean := false;
	reason		text;
	wanted		record;
	lost		boolean := EXISTS (SELECT 1 FROM tenantguard.lost_registry);
BEGIN
	IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c WHERE c.oid = relation)
		OR EXISTS (SELECT 1 FROM tenantguard.guarded_relation AS g WHERE g.relid = relation)
		OR NOT (lost OR EXISTS (SELECT 1 FROM tenantguard.registry) OR EXISTS (SELECT 1 FROM tenantguard.guarded_relation))
		OR tenantguard.is_bookkeeping((SELECT c.relname FROM pg_catalog.pg_class AS c WHERE c.oid = relation)) THEN
		RETURN false;
	END IF;

	SELECT pg_catalog.array_agg(t.attname ORDER BY t.attname), pg_catalog.bool_and(t.attnotnull) INTO candidates, certain
	FROM tenantguard.tied_columns(relation) AS t;
	reason := CASE WHEN certain THEN 'a foreign key ties column "%s" to a tenant'
		ELSE 'a foreign key ties column "%s" to a tenant, but it may be NULL' END;
	IF candidates IS NULL AND models <> '{}' THEN
		SELECT pg_catalog.array_agg(c.attname ORDER BY c.attname), true, pg_catalog.bool_or(c.shared_rows)
		INTO candidates, certain, shared_rows
		FROM tenantguard.copied_columns(relation, models) AS c;
		reason := 'column "%s" names the tenant in what it was made from';
	END IF;

	-- Of no tenant column, but of rows that have one. Keys that may be NULL are
	-- for a person to judge.
	IF candidates IS NULL AND models = '{}' AND may_protect
		AND EXISTS (SELECT 1 FROM tenantguard.possible_links(relation) AS p WHERE p.complete) THEN
		PERFORM tenantguard.require_table(relation);
		PERFORM tenantguard.run_statements(ARRAY(SELECT s.* FROM tenantguard.derivation_statements(relation, NULL) AS s));
		RAISE NOTICE 'new relation % is guarded', relation
			USING DETAIL = pg_catalog.format('Found: its rows belong to those of %s that they refer to.', (
				SELECT pg_catalog.string_agg(DISTINCT l.parent::text, ' and ') FROM tenantguard.recorded_links(relation) AS l));
		RETURN false;
	END IF;
	IF may_protect AND certain AND pg_catalog.cardinality(candidates) = 1 THEN
		PERFORM tenantguard.require_table(relation);
		PERFORM tenantguard.lock_relation(relation);
		SELECT t.* INTO wanted FROM tenantguard.protection_target(relation, candidates[1], shared_rows) AS t;
		PERFORM tenantguard.run_statements(ARRAY(SELECT s.* FROM tenantguard.protection_statements(
			relation, wanted.target_mode, wanted.target_column, wanted.target_default) AS s));
		RAISE NOTICE 'new relation % is guarded', relation
			USING DETAIL = pg_catalog.format('Found: ' || reason || '.', candidates[1]);
		PERFORM tenantguard.remark_published(relation);
		RETURN false;
	END IF;
	RAISE WARNING 'relation % is not guarded', relation
		USING DETAIL = CASE
				WHEN pg_catalog.cardinality(candidates) = 1 THEN pg_catalog.format('Found: ' || reason || '.', candidates[1])
				WHEN candidates IS NOT NULL THEN pg_catalog.format('Several columns could name the tenant: %s.', pg_catalog.array_to_string(candidates, ', '))
				WHEN lost THEN 'The registry of tenants was dropped, so no foreign key says whose its rows are.'
				WHEN models <> '{}' THEN 'It holds what guarded relations hold, without the column that says whose it is.'
				ELSE 'No foreign key says whose its rows are.' END,
			HINT = CASE WHEN lost AND candidates IS NULL THEN 'Use tenantguard.adopt_registry() once there is a table of tenants again, then ' ELSE 'Use ' END
				|| pg_catalog.format('SELECT tenantguard.protect(%1$L, %2$L), share(%1$L) or exempt(%1$L, ''reason'').',
				relation, COALESCE(candidates[1], 'org_id'));
	RETURN true;
END
$$;
COMMENT ON FUNCTION tenantguard.meet_relation(regclass, regclass[], boolean) IS
	'Called by the library for each new relation and each new foreign key, with the guarded relations it was copied from. Where exactly one column is NOT NULL and tied to the tenant by a foreign key, or called like the tenant column of the original, or where it has none and a foreign key that is NOT NULL leads to a guarded relation, the relation is protected, with a NOTICE, if it may be; otherwise a WARNING says what to do. Returns whether it is left to be classified. Silent before a registry is adopted or anything is declared, not after a registry was dropped, and about the bookkeeping of migration tools.';
