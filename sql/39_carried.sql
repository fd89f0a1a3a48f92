-- 39_carried.sql: a table that has no tenant column gets one, which its
-- triggers carry over from the parent. Beforehand it is guarded by its links
-- (mode derived), afterwards by the column (mode tenant); the links stay.

CREATE TABLE tenantguard.carried_column (
	relid			regclass PRIMARY KEY,
	column_name		name NOT NULL,
	state			text NOT NULL CHECK (state IN ('added', 'filling', 'paused', 'filled', 'kept')),
	pass			int NOT NULL,
	member			regclass,
	next_block		bigint,
	end_block		bigint,
	pass_filled		bigint NOT NULL,
	pass_locked		bigint NOT NULL,
	rows_filled		bigint NOT NULL,
	rows_unowned	bigint NOT NULL,
	rows_locked		bigint NOT NULL,
	estimated_rows	bigint,
	started			timestamptz,
	last_batch		timestamptz
);
COMMENT ON TABLE tenantguard.carried_column IS
	'One row for each table that add_tenant_column() gave a column, and how far its backfill has come. Written by functions only.';
COMMENT ON COLUMN tenantguard.carried_column.column_name IS
	'The column; once the table is of mode tenant, guarded_relation.tenant_column counts.';
COMMENT ON COLUMN tenantguard.carried_column.state IS
	'added (triggers fill it for new rows), filling, paused, filled (a whole pass found nothing to do), kept (the table is guarded by it).';
COMMENT ON COLUMN tenantguard.carried_column.pass IS
	'How often the table has been walked; the last pass fills nothing.';
COMMENT ON COLUMN tenantguard.carried_column.member IS
	'Table or partition that is being walked, from next_block up to end_block.';
COMMENT ON COLUMN tenantguard.carried_column.pass_filled IS
	'Rows filled in this pass.';
COMMENT ON COLUMN tenantguard.carried_column.pass_locked IS
	'Rows that somebody else held in this pass; the next one comes back to them.';
COMMENT ON COLUMN tenantguard.carried_column.rows_unowned IS
	'Rows that could not be filled in this pass, which disagreements() lists.';
REVOKE ALL ON TABLE tenantguard.carried_column FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('tenantguard.carried_column', '');

CREATE TRIGGER carried_column_changed
	AFTER INSERT OR UPDATE OR DELETE ON tenantguard.carried_column
	FOR EACH ROW EXECUTE FUNCTION tenantguard.catalog_changed();
COMMENT ON TRIGGER carried_column_changed ON tenantguard.carried_column IS
	'Tells every session at commit which column is carried; keeps the records from being written by hand.';
CREATE TRIGGER carried_column_truncated
	AFTER TRUNCATE ON tenantguard.carried_column
	FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.catalog_changed();
COMMENT ON TRIGGER carried_column_truncated ON tenantguard.carried_column IS
	'Keeps the records from being removed by hand.';
ALTER TABLE tenantguard.carried_column ENABLE ALWAYS TRIGGER carried_column_changed;
ALTER TABLE tenantguard.carried_column ENABLE ALWAYS TRIGGER carried_column_truncated;

-- The four triggers, and what backfill and verification ask of the library.
CREATE FUNCTION tenantguard.carry_tenant() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'tenantguard_carry_tenant';
COMMENT ON FUNCTION tenantguard.carry_tenant() IS
	'Trigger before a row of a table with a carried column is written: fills the column with the tenant or, without one, from the row''s parents. Raises 42501 (foreign_tenant, column_lost), 23503 (parents_disagree).';

CREATE FUNCTION tenantguard.check_carried() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'tenantguard_check_carried';
COMMENT ON FUNCTION tenantguard.check_carried() IS
	'Constraint trigger of a table with a carried column: raises 23503 (no_parent, parents_disagree) where the stored row and a parent disagree.';

CREATE FUNCTION tenantguard.hold_owner() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'tenantguard_hold_owner';
COMMENT ON FUNCTION tenantguard.hold_owner() IS
	'Trigger before a parent''s row gets another tenant: waits for those who write rows below it. Raises 42501 (foreign_tenant) without a bypass.';

CREATE FUNCTION tenantguard.follow_owner() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'tenantguard_follow_owner';
COMMENT ON FUNCTION tenantguard.follow_owner() IS
	'Trigger after a parent''s row got another tenant: rows that carry the tenant go along. Raises 42501 (foreign_tenant) without a bypass, 23503 (parents_disagree) when the transaction ends and another parent of such a row did not move.';

CREATE FUNCTION tenantguard.backfill_range(member regclass, first_block bigint, end_block bigint, most_rows integer,
	OUT next_block bigint, OUT filled bigint, OUT unowned bigint, OUT locked bigint)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_backfill_range';
COMMENT ON FUNCTION tenantguard.backfill_range(regclass, bigint, bigint, integer) IS
	'One batch of a backfill: fills the carried column from a block of a table on, without firing triggers and without waiting for locked rows. Raises 42501 for a caller who is not the owner or has no bypass.';

CREATE FUNCTION tenantguard.row_problem(row_of_table record, OUT problem text, OUT tenants text[])
LANGUAGE c STABLE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_row_problem';
COMMENT ON FUNCTION tenantguard.row_problem(record) IS
	'What is wrong with a row of a table with links (no parent, parents of different tenants, column disagrees), NULL where nothing is, and the tenants that its links lead to. Raises 42501 for a caller who is not the owner or has no bypass.';

CREATE FUNCTION tenantguard.note_carried(relation regclass, changes jsonb) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_note_carried';
COMMENT ON FUNCTION tenantguard.note_carried(regclass, jsonb) IS
	'Writes the record of a carried column: values for columns of carried_column, by name. Raises 42501 for a caller who is not the owner or has no bypass.';

CREATE FUNCTION tenantguard.pause_carried(relation regclass, paused boolean) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_pause_carried';
COMMENT ON FUNCTION tenantguard.pause_carried(regclass, boolean) IS
	'Pauses a backfill that is under way, or lets it go on; returns whether there was one. Raises 42501 for a caller who is not the owner, and while a tenant is set.';

CREATE FUNCTION tenantguard.forget_carried(relation regclass) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_forget_carried';
COMMENT ON FUNCTION tenantguard.forget_carried(regclass) IS
	'Removes the record of a carried column. Raises 42501 for a caller who is not the owner or has no bypass.';

-- Questions.

CREATE FUNCTION tenantguard.owner_relations(relation regclass)
RETURNS TABLE (ancestor regclass, distance int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE above (ancestor, distance) AS (
		SELECT l.parent, 1 FROM tenantguard.link AS l WHERE l.relid = owner_relations.relation
		UNION
		SELECT l.parent, a.distance + 1
		FROM above AS a
		JOIN tenantguard.guarded_relation AS g ON g.relid = a.ancestor AND g.mode = 'derived'
		JOIN tenantguard.link AS l ON l.relid = a.ancestor
		WHERE a.distance < 16
	)
	SELECT a.ancestor, pg_catalog.min(a.distance) FROM above AS a GROUP BY a.ancestor
$$;
COMMENT ON FUNCTION tenantguard.owner_relations(regclass) IS
	'The relations that a row''s tenant is found through: its parents, theirs where they are derived, and so on to those that have a tenant column.';

CREATE FUNCTION tenantguard.carried_record(relation regclass)
RETURNS tenantguard.carried_column
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c FROM tenantguard.carried_column AS c WHERE c.relid = carried_record.relation
$$;
COMMENT ON FUNCTION tenantguard.carried_record(regclass) IS
	'The record of the table''s carried column, or NULL.';

CREATE FUNCTION tenantguard.carried_name(relation regclass)
RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT COALESCE(g.tenant_column, c.column_name)
	FROM tenantguard.carried_column AS c
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = c.relid
	WHERE c.relid = carried_name.relation
$$;
COMMENT ON FUNCTION tenantguard.carried_name(regclass) IS
	'The name of the column that the table carries, or NULL.';

CREATE FUNCTION tenantguard.require_bypass(what text)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF tenantguard.preloaded() AND tenantguard.current_bypass() IS NULL THEN
		RAISE EXCEPTION 'cannot % without a bypass', what
			USING ERRCODE = '42501',
				CONSTRAINT = 'tenantguard_bypass_denied',
				DETAIL = 'bypass_denied: rows and parents of every tenant are read.',
				HINT = 'Use SELECT tenantguard.begin_bypass(''reason'', scope => ''session'', until => now() + interval ''1 hour''), or a grant for migrations.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_bypass(text) IS
	'Returns under a bypass; otherwise raises 42501 (bypass_denied).';

CREATE FUNCTION tenantguard.require_carried(relation regclass)
RETURNS tenantguard.carried_column
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found	tenantguard.carried_column := tenantguard.carried_record(require_carried.relation);
BEGIN
	IF found.relid IS NULL THEN
		RAISE EXCEPTION 'table % has no column that is carried from a parent', COALESCE(relation::text, 'NULL')
			USING ERRCODE = '22023',
				DETAIL = 'Nothing was recorded by add_tenant_column().',
				HINT = pg_catalog.format('Use SELECT tenantguard.add_tenant_column(%L).', relation);
	END IF;
	PERFORM tenantguard.require_table(require_carried.relation);
	-- derive() has guarded it by its links again.
	IF found.state = 'kept' AND (tenantguard.recorded_relation(require_carried.relation)).mode = 'derived' THEN
		found.state := 'filled';
	END IF;
	RETURN found;
END
$$;
COMMENT ON FUNCTION tenantguard.require_carried(regclass) IS
	'The record of the table''s carried column. Raises 22023 where there is none, 42501 for a caller who is not the owner.';

-- What adding a column may surprise. The text of a function says no more than
-- its author wrote: this is a search, not a proof.
CREATE FUNCTION tenantguard.column_consumers(relation regclass)
RETURNS TABLE (kind text, name text, what text)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	rel		pg_catalog.pg_class;
	word	text;
	statistics regclass;
BEGIN
	SELECT c.* INTO STRICT rel FROM pg_catalog.pg_class AS c WHERE c.oid = column_consumers.relation;
	-- the name as a word, quoted or not, in whatever schema
	word := '(\m\w+\.|"[^"]+"\.)?("' || pg_catalog.regexp_replace(rel.relname, '(\W)', '\\\1', 'g')
		|| '"|\m' || pg_catalog.regexp_replace(rel.relname, '(\W)', '\\\1', 'g') || '\M)';

	RETURN QUERY
	SELECT CASE v.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, v.oid::regclass::text,
		'shows every column, as SELECT * does: it stays without the new one until it is made again, and rows inserted through it get theirs from the trigger'
	FROM pg_catalog.pg_class AS v
	WHERE v.relkind IN ('v', 'm') AND EXISTS (
		SELECT 1
		FROM pg_catalog.pg_rewrite AS w
		JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
			AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = rel.oid
		WHERE w.ev_class = v.oid)
		AND NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_attribute AS a
			WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
				AND a.attname NOT IN (SELECT x.attname FROM pg_catalog.pg_attribute AS x WHERE x.attrelid = v.oid AND x.attnum > 0))
	UNION ALL
	SELECT 'rule', w.rulename || ' on ' || w.ev_class::regclass,
		'was written for the columns of today'
	FROM pg_catalog.pg_rewrite AS w
	WHERE w.rulename <> '_RETURN' AND (w.ev_class = rel.oid OR EXISTS (
		SELECT 1 FROM pg_catalog.pg_depend AS d
		WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
			AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = rel.oid))
	UNION ALL
	SELECT 'column', a.attrelid::regclass || '.' || pg_catalog.quote_ident(a.attname),
		'is of the table''s row type, which gets a field more'
	FROM pg_catalog.pg_attribute AS a
	JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm', 'c')
	JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid AND rel.reltype IN (t.oid, t.typelem)
	WHERE NOT a.attisdropped
	UNION ALL
	SELECT 'publication', p.pubname::text, 'publishes a list of columns, without the new one'
	FROM pg_catalog.pg_publication_rel AS r
	JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid
	WHERE r.prrelid = rel.oid AND r.prattrs IS NOT NULL;

	RETURN QUERY
	SELECT 'function', p.oid::pg_catalog.regprocedure::text, f.what
	FROM pg_catalog.pg_proc AS p
	CROSS JOIN LATERAL (VALUES
		('takes or returns the table''s row type, which gets a field more',
			rel.reltype IN (SELECT pg_catalog.unnest(p.proargtypes::oid[]))
			OR rel.reltype = p.prorettype),
		('has a variable of the table''s row type',
			p.prosrc ~* (word || '\s*%\s*rowtype')),
		('inserts without a list of columns',
			p.prosrc ~* ('insert\s+into\s+' || word || '(\s+as\s+\w+)?\s+(overriding\s+\w+\s+value\s+)?(values|select|table)\M')),
		('copies without a list of columns',
			p.prosrc ~* ('\mcopy\s+' || word || '\s+(from|to)\M')),
		('selects * from the table',
			p.prosrc ~* ('\*\s+from\s+(only\s+)?' || word)),
		('joins the table NATURAL, which will compare the new column, too',
			p.prosrc ~* ('natural\s+(\w+\s+)*join\s+' || word || '|' || word || '(\s+(as\s+)?\w+)?\s+natural\M')),
		('is a trigger of the table and takes the row as a whole',
			p.prosrc ~* '\m(new|old)\.\*'
			AND EXISTS (SELECT 1 FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = rel.oid AND g.tgfoid = p.oid))
	) AS f (what, found)
	WHERE f.found AND p.pronamespace NOT IN ('pg_catalog'::pg_catalog.regnamespace, 'tenantguard'::pg_catalog.regnamespace)
	ORDER BY 2, 3;

	SELECT c.oid INTO statistics
	FROM pg_catalog.pg_extension AS e
	JOIN pg_catalog.pg_class AS c ON c.relname = 'pg_stat_statements' AND c.relnamespace = e.extnamespace
	WHERE e.extname = 'pg_stat_statements';
	IF statistics IS NOT NULL AND tenantguard.current_tenant() IS NULL THEN
		BEGIN
			RETURN QUERY EXECUTE pg_catalog.format(
				'SELECT ''statement'', pg_catalog.left(s.query, 200), ''names the table without its columns'' FROM %s AS s '
				'JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid AND d.datname = pg_catalog.current_database() '
				'WHERE s.query ~* $1 GROUP BY s.query ORDER BY pg_catalog.sum(s.calls) DESC LIMIT 20', statistics)
				USING 'insert\s+into\s+' || word || '\s+(values|select)\M|\mcopy\s+' || word || '\s+(from|to)\M|\*\s+from\s+(only\s+)?' || word;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			NULL;	-- created, and not preloaded
		END;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.column_consumers(regclass) IS
	'What may notice that the table gets another column: views that show all columns, rules, columns of its row type, publications with a column list, functions whose text inserts or copies without a list of columns or takes whole rows, and statements that pg_stat_statements remembers. A search in texts, which proves nothing by finding nothing.';

CREATE FUNCTION tenantguard.carried_target(relation regclass, column_name name)
RETURNS TABLE (target_column name, target_type text, is_new boolean)
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(relation);
	carried		tenantguard.carried_column := tenantguard.carried_record(relation);
	source		record;
	wanted		name := COALESCE(column_name, carried.column_name);
	trouble		text;
	help		text;
BEGIN
	SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
		|| CASE WHEN a.attcollation NOT IN (0, t.typcollation)
			THEN ' COLLATE ' || a.attcollation::pg_catalog.regcollation::text ELSE '' END AS type
	INTO source
	FROM tenantguard.owner_relations(relation) AS o
	JOIN tenantguard.guarded_relation AS g ON g.relid = o.ancestor
	LEFT JOIN tenantguard.carried_column AS c ON c.relid = o.ancestor
	JOIN pg_catalog.pg_attribute AS a
		ON a.attrelid = o.ancestor AND a.attname = COALESCE(g.tenant_column, c.column_name) AND NOT a.attisdropped
	JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
	ORDER BY o.distance, o.ancestor::text
	LIMIT 1;
	wanted := COALESCE(wanted, source.attname);

	IF recorded.mode IS DISTINCT FROM 'derived' AND carried.relid IS NULL THEN
		trouble := pg_catalog.format('its mode is %s.', COALESCE('"' || recorded.mode || '"', 'not recorded'));
		help := CASE WHEN recorded.mode IS NULL
			THEN pg_catalog.format('Use SELECT tenantguard.derive(%L) first: the links say where its tenant comes from.', relation)
			ELSE 'Only a derived table lacks a tenant column.' END;
	ELSIF source.attname IS NULL THEN
		trouble := 'no link leads to a tenant column.';
		help := pg_catalog.format('Use SELECT tenantguard.derive(%L).', relation);
	ELSIF carried.relid IS NOT NULL AND wanted <> carried.column_name THEN
		trouble := pg_catalog.format('it has got column %I already.', carried.column_name);
		help := pg_catalog.format('Use SELECT tenantguard.drop_tenant_column(%L) first.', relation);
	ELSIF column_name IS NULL AND carried.relid IS NULL AND EXISTS (
		SELECT 1 FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = relation AND a.attname = wanted) THEN
		trouble := pg_catalog.format('it has a column %I of its own.', wanted);
		help := pg_catalog.format('Name the column to have that one filled: SELECT tenantguard.add_tenant_column(%L, %L). Or name a new one.', relation, wanted);
	ELSIF EXISTS (
		SELECT 1 FROM tenantguard.table_family(relation) AS f
		JOIN pg_catalog.pg_class AS c ON c.oid = f.member WHERE c.relkind NOT IN ('r', 'p')) THEN
		trouble := 'it is, or has, a foreign table or a materialized view.';
		help := 'Add the column where the rows are stored.';
	END IF;
	IF trouble IS NOT NULL THEN
		RAISE EXCEPTION 'cannot add a tenant column to table %', relation
			USING ERRCODE = '22023', DETAIL = 'Found: ' || trouble, HINT = help;
	END IF;

	IF EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid = relation AND a.attname = wanted AND NOT a.attisdropped) THEN
		PERFORM tenantguard.require_tenant_column(relation, wanted, false);
		RETURN QUERY SELECT wanted, source.type, false;
	ELSE
		RETURN QUERY SELECT wanted, source.type, true;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.carried_target(regclass, name) IS
	'Name and type of the column that add_tenant_column() adds: those of the nearest relation above that has a tenant column. Raises 22023 for a table that is not derived, has a column of that name, or is not stored here.';

CREATE FUNCTION tenantguard.own_trigger_columns(relation oid, name name)
RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT COALESCE(pg_catalog.array_agg(DISTINCT a.attname ORDER BY a.attname), '{}')
	FROM pg_catalog.pg_trigger AS t
	JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_trigger'::regclass AND d.objid = t.oid
		AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.tgrelid AND d.refobjsubid > 0
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.tgrelid AND a.attnum = d.refobjsubid
	WHERE t.tgrelid = own_trigger_columns.relation AND t.tgname = own_trigger_columns.name
$$;
COMMENT ON FUNCTION tenantguard.own_trigger_columns(oid, name) IS
	'The columns that a trigger''s WHEN compares.';

CREATE FUNCTION tenantguard.follow_statements(ancestor regclass)
RETURNS SETOF text
LANGUAGE plpgsql STABLE STRICT ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(ancestor);
	compared	name[];
	condition	text;
BEGIN
	IF recorded.mode = 'derived' THEN
		SELECT pg_catalog.array_agg(DISTINCT k.name ORDER BY k.name) INTO compared
		FROM tenantguard.link AS l
		CROSS JOIN LATERAL (
			SELECT pg_catalog.unnest(l.columns) AS name
			UNION ALL
			SELECT l.type_column WHERE l.type_column IS NOT NULL) AS k
		WHERE l.relid = ancestor;
	ELSE
		compared := ARRAY[recorded.tenant_column];
	END IF;
	SELECT pg_catalog.string_agg(pg_catalog.format('OLD.%1$I IS DISTINCT FROM NEW.%1$I', c), ' OR ') INTO condition
	FROM pg_catalog.unnest(compared) AS c;

	RETURN QUERY
	SELECT pg_catalog.format('CREATE OR REPLACE TRIGGER %I %s UPDATE ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION tenantguard.%I()',
		w.name, w.moment, f.member::regclass, condition, w.function)
	FROM tenantguard.table_family(ancestor) AS f
	JOIN pg_catalog.pg_class AS c ON c.oid = f.member AND (f.member = ancestor OR NOT c.relispartition)
	CROSS JOIN (VALUES
		('tenantguard_hold'::name, 'BEFORE', 'hold_owner'::name),
		('tenantguard_follow', 'AFTER', 'follow_owner')) AS w (name, moment, function)
	WHERE tenantguard.own_trigger_columns(f.member, w.name) <> compared
	ORDER BY f.member, w.name DESC;
END
$$;
COMMENT ON FUNCTION tenantguard.follow_statements(regclass) IS
	'The statements that give a relation, on whose rows others depend for their tenant, the triggers hold_owner and follow_owner; none where it has them.';

CREATE FUNCTION tenantguard.carry_trigger_statements(relation regclass)
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 3
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	may_wait	boolean;
	waits		boolean;
BEGIN
	-- A row may be stored before its parent where the foreign key allows it.
	SELECT COALESCE(pg_catalog.bool_or(c.condeferrable), false), COALESCE(pg_catalog.bool_or(c.condeferred), false)
	INTO may_wait, waits
	FROM tenantguard.link AS l
	JOIN pg_catalog.pg_constraint AS c ON c.conrelid = l.relid AND c.confrelid = l.parent AND c.contype = 'f'
	WHERE l.relid = relation;

	RETURN QUERY
	SELECT s.statement
	FROM tenantguard.table_family(relation) AS f
	JOIN pg_catalog.pg_class AS c ON c.oid = f.member AND (f.member = relation OR NOT c.relispartition)
	CROSS JOIN LATERAL (
		SELECT 1 AS step, pg_catalog.format(
			'CREATE TRIGGER tenantguard_carry BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION tenantguard.carry_tenant()',
			f.member::regclass) AS statement
		WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = f.member AND t.tgname = 'tenantguard_carry')
		UNION ALL
		SELECT 2, pg_catalog.format('DROP TRIGGER tenantguard_carried ON %s', f.member::regclass)
		FROM pg_catalog.pg_trigger AS t
		WHERE t.tgrelid = f.member AND t.tgname = 'tenantguard_carried'
			AND (t.tgdeferrable, t.tginitdeferred) IS DISTINCT FROM (may_wait, waits)
		UNION ALL
		SELECT 3, pg_catalog.format(
			'CREATE CONSTRAINT TRIGGER tenantguard_carried AFTER INSERT OR UPDATE ON %s %sFOR EACH ROW EXECUTE FUNCTION tenantguard.check_carried()',
			f.member::regclass, CASE WHEN waits THEN 'DEFERRABLE INITIALLY DEFERRED ' WHEN may_wait THEN 'DEFERRABLE ' ELSE '' END)
		WHERE NOT EXISTS (
			SELECT 1 FROM pg_catalog.pg_trigger AS t
			WHERE t.tgrelid = f.member AND t.tgname = 'tenantguard_carried'
				AND (t.tgdeferrable, t.tginitdeferred) IS NOT DISTINCT FROM (may_wait, waits))
	) AS s
	ORDER BY f.member, s.step;
END
$$;
COMMENT ON FUNCTION tenantguard.carry_trigger_statements(regclass) IS
	'The statements that give a table with a carried column its triggers; none where it has them. The constraint trigger is deferrable where a foreign key is.';

CREATE FUNCTION tenantguard.carry_statements(relation regclass, column_name name)
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 8
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	target	record;
BEGIN
	SELECT t.* INTO target FROM tenantguard.carried_target(relation, column_name) AS t;
	IF target.is_new THEN
		RETURN NEXT pg_catalog.format('ALTER TABLE %s ADD COLUMN %I %s', relation, target.target_column, target.target_type);
	END IF;
	IF (tenantguard.carried_record(relation)).relid IS NULL THEN
		RETURN NEXT pg_catalog.format('SELECT tenantguard.note_carried(%L, %L)', relation,
			pg_catalog.jsonb_build_object('column_name', target.target_column));
	END IF;
	RETURN QUERY SELECT s.* FROM tenantguard.carry_trigger_statements(relation) AS s;
	RETURN QUERY
		SELECT s.*
		FROM tenantguard.owner_relations(relation) AS o
		CROSS JOIN LATERAL tenantguard.follow_statements(o.ancestor) AS s
		ORDER BY o.distance, o.ancestor::text;
	-- Others may have been carried through this table before it had a column.
	IF EXISTS (SELECT 1 FROM tenantguard.link AS l
		JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = l.parent AND t.tgname = 'tenantguard_follow'
		WHERE l.parent = relation) THEN
		RETURN QUERY SELECT s.* FROM tenantguard.follow_statements(relation) AS s;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.carry_statements(regclass, name) IS
	'The statements that give a derived table its carried column and all triggers; none when nothing is missing.';

CREATE FUNCTION tenantguard.remark_consumers(relation regclass)
RETURNS void
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found	text;
	total	bigint;
BEGIN
	SELECT pg_catalog.string_agg(pg_catalog.format('%s %s %s', c.kind, c.name, c.what), E';\n' ORDER BY c.number) FILTER (WHERE c.number <= 10),
		pg_catalog.count(*)
	INTO found, total
	FROM tenantguard.column_consumers(remark_consumers.relation) WITH ORDINALITY AS c (kind, name, what, number);
	IF total > 0 THEN
		RAISE NOTICE '% found that may notice another column of table %',
			CASE total WHEN 1 THEN '1 object was' ELSE total || ' objects were' END, relation
			USING DETAIL = found || CASE WHEN total > 10 THEN E';\n...' ELSE '' END || '.',
				HINT = pg_catalog.format('See SELECT * FROM tenantguard.column_consumers(%L).', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.remark_consumers(regclass) IS
	'Raises a NOTICE that lists what column_consumers() finds.';

-- The first of three steps, and the way back; the others are 53_backfill.sql.

CREATE FUNCTION tenantguard.add_tenant_column(relation regclass, column_name name DEFAULT NULL, dry_run boolean DEFAULT false)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE ROWS 8
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	statements	text[];
BEGIN
	PERFORM tenantguard.require_table(relation);
	statements := ARRAY(SELECT s.* FROM tenantguard.carry_statements(relation, column_name) AS s);
	IF statements = '{}' THEN
		RETURN;
	END IF;
	PERFORM tenantguard.remark_consumers(relation);
	IF dry_run IS NOT FALSE THEN
		RETURN QUERY SELECT s.* FROM pg_catalog.unnest(statements) AS s;
		RETURN;
	END IF;
	PERFORM tenantguard.require_bypass(pg_catalog.format('add a tenant column to table %s', relation));
	PERFORM tenantguard.lock_relation(relation);
	RETURN QUERY SELECT r.* FROM tenantguard.run_statements(ARRAY(
		SELECT s.* FROM tenantguard.carry_statements(relation, column_name) AS s)) AS r;
END
$$;
COMMENT ON FUNCTION tenantguard.add_tenant_column(regclass, name, boolean) IS
	'Gives a derived table a tenant column, nullable and without a rewrite, and the triggers that fill it for new rows and keep it right; the table stays guarded by its links until finish_tenant_column(). Named and typed like the tenant column above, unless a name is given; a column that exists is taken if it is named. Says first what may notice the column. Returns the statements it ran, with dry_run those it would run; none when nothing is missing. Raises 42501 for a caller who is not the owner or has no bypass, 22023 for a table that is not derived.';

CREATE FUNCTION tenantguard.release_carried(relation regclass)
RETURNS SETOF text
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.* FROM tenantguard.run_statements(ARRAY(
		SELECT s.statement
		FROM (
			SELECT 1 AS step, pg_catalog.format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) AS statement
			FROM tenantguard.table_family(release_carried.relation) AS f
			JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = f.member AND t.tgparentid = 0
				AND t.tgname IN ('tenantguard_carry', 'tenantguard_carried')
			UNION ALL
			-- those of the parents, unless others are carried through them
			SELECT 2, pg_catalog.format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass)
			FROM tenantguard.owner_relations(release_carried.relation) AS o
			CROSS JOIN LATERAL tenantguard.table_family(o.ancestor) AS f
			JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = f.member AND t.tgparentid = 0
				AND t.tgname IN ('tenantguard_hold', 'tenantguard_follow')
			WHERE NOT EXISTS (
				SELECT 1
				FROM tenantguard.carried_column AS c
				CROSS JOIN LATERAL tenantguard.owner_relations(c.relid) AS other
				WHERE c.relid <> release_carried.relation AND other.ancestor = o.ancestor)
			UNION ALL
			SELECT 3, pg_catalog.format('SELECT tenantguard.forget_carried(%L)', release_carried.relation)
		) AS s
		ORDER BY s.step, s.statement)) AS r
$$;
COMMENT ON FUNCTION tenantguard.release_carried(regclass) IS
	'Takes the triggers and the record from a table with a carried column; the column stays. Returns the statements it ran.';

CREATE FUNCTION tenantguard.drop_tenant_column(relation regclass)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE ROWS 8
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	carried		tenantguard.carried_column := tenantguard.require_carried(relation);
BEGIN
	IF carried.state = 'kept' THEN
		RAISE EXCEPTION 'table % is guarded by its tenant column', relation
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Found: column %I.', tenantguard.carried_name(relation)),
				HINT = pg_catalog.format('Use SELECT tenantguard.derive(%L) under a bypass to guard it by its links again.', relation);
	END IF;
	PERFORM tenantguard.require_bypass(pg_catalog.format('drop the tenant column of table %s', relation));
	RETURN QUERY SELECT r.* FROM tenantguard.release_carried(relation) AS r;
	RETURN QUERY SELECT r.* FROM tenantguard.run_statements(ARRAY[
		pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', relation, carried.column_name)]) AS r;
END
$$;
COMMENT ON FUNCTION tenantguard.drop_tenant_column(regclass) IS
	'Takes back add_tenant_column(): the triggers, the record and the column. Returns the statements it ran. Raises 22023 once finish_tenant_column() has switched the table, 42501 for a caller who is not the owner or has no bypass.';
