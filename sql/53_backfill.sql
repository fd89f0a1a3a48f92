-- 53_backfill.sql: the rows of a table get the tenant column that it has been
-- given, in batches under load; then the column takes over from the links.

CREATE FUNCTION tenantguard.next_member(relation regclass, after regclass)
RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.oid::regclass
	FROM tenantguard.table_family(next_member.relation) AS f
	JOIN pg_catalog.pg_class AS c ON c.oid = f.member AND c.relkind = 'r'
	WHERE next_member.after IS NULL OR c.oid > next_member.after
	ORDER BY c.oid
	LIMIT 1
$$;
COMMENT ON FUNCTION tenantguard.next_member(regclass, regclass) IS
	'The table of a family that a backfill walks after another one, or first (NULL).';

CREATE FUNCTION tenantguard.backfill_begin(relation regclass)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	carried		tenantguard.carried_column := tenantguard.require_carried(relation);
	blocker		text;
BEGIN
	IF carried.state = 'paused' THEN
		RAISE NOTICE 'the backfill of table % is paused', relation
			USING HINT = pg_catalog.format('Use SELECT tenantguard.resume_backfill(%L), and CALL it again.', relation);
		RETURN false;
	ELSIF carried.state = 'kept' THEN
		RAISE NOTICE 'table % is guarded by its tenant column: nothing is left to fill', relation;
		RETURN false;
	ELSIF carried.state = 'filling' THEN
		RETURN true;
	END IF;

	-- The batches fire no trigger, so nothing would check such a key later.
	SELECT pg_catalog.quote_ident(c.conname) INTO blocker
	FROM tenantguard.table_family(relation) AS f
	JOIN pg_catalog.pg_constraint AS c ON c.conrelid = f.member AND c.contype IN ('u', 'p', 'x') AND c.condeferrable
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.member AND a.attname = carried.column_name
		AND a.attnum = ANY (c.conkey)
	LIMIT 1;
	IF blocker IS NOT NULL THEN
		RAISE EXCEPTION 'cannot fill column "%" of table %', carried.column_name, relation
			USING ERRCODE = '55000',
				DETAIL = pg_catalog.format('Found: constraint %s, which is checked at the end of a transaction, covers it.', blocker),
				HINT = 'Create the constraint when the column is filled.';
	END IF;
	PERFORM tenantguard.note_carried(relation, pg_catalog.jsonb_build_object(
		'state', 'filling', 'pass', 1, 'member', tenantguard.next_member(relation, NULL), 'next_block', 0, 'end_block', NULL,
		'pass_filled', 0, 'pass_locked', 0, 'rows_filled', 0, 'rows_unowned', 0, 'rows_locked', 0,
		'estimated_rows', (
			SELECT pg_catalog.sum(GREATEST(c.reltuples, 0))::bigint
			FROM tenantguard.table_family(relation) AS f
			JOIN pg_catalog.pg_class AS c ON c.oid = f.member AND c.relkind = 'r'),
		'started', pg_catalog.clock_timestamp(), 'last_batch', NULL));
	RETURN true;
END
$$;
COMMENT ON FUNCTION tenantguard.backfill_begin(regclass) IS
	'Whether the backfill has something to do; begins one that is new or was finished. A NOTICE says why not. Raises 55000 where a deferrable key covers the column.';

CREATE FUNCTION tenantguard.backfill_step(relation regclass, batch_rows integer, rows_per_second integer)
RETURNS double precision
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	carried		tenantguard.carried_column;
	batch		record;
	began		timestamptz := pg_catalog.clock_timestamp();
	last_block	bigint;
	walks		regclass;
	ended		boolean := false;
	pause		double precision := 0;
BEGIN
	PERFORM tenantguard.require_bypass(pg_catalog.format('fill the tenant column of table %s', relation));
	IF batch_rows IS NULL OR batch_rows < 1 OR rows_per_second < 1 THEN
		RAISE EXCEPTION 'a batch takes one row at least, and so does a second'
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Found: batch_rows %s, rows_per_second %s.', COALESCE(batch_rows::text, 'NULL'), rows_per_second),
				HINT = 'Use batch_rows => 1000, and rows_per_second => NULL for no limit.';
	END IF;
	-- Two sessions that fill one table take turns, each with the next batch.
	PERFORM pg_catalog.pg_advisory_xact_lock('tenantguard.carried_column'::regclass::oid::integer, relation::oid::integer);
	IF NOT tenantguard.backfill_begin(relation) THEN
		RETURN NULL;
	END IF;
	carried := tenantguard.carried_record(relation);

	walks := carried.member;
	IF walks IS NULL OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c WHERE c.oid = walks) THEN
		walks := tenantguard.next_member(relation, walks);
		carried.next_block := 0;
		carried.end_block := NULL;
	END IF;
	last_block := COALESCE(carried.end_block,
		pg_catalog.pg_relation_size(walks) / pg_catalog.current_setting('block_size')::integer);
	SELECT b.* INTO batch
	FROM tenantguard.backfill_range(walks, carried.next_block, last_block, batch_rows) AS b;

	carried.pass_filled := carried.pass_filled + batch.filled;
	carried.pass_locked := carried.pass_locked + batch.locked;
	carried.rows_unowned := carried.rows_unowned + batch.unowned;
	carried.next_block := batch.next_block;
	carried.end_block := last_block;
	IF batch.next_block >= last_block OR batch.next_block IS NULL THEN
		walks := tenantguard.next_member(relation, walks);
		carried.next_block := 0;
		carried.end_block := NULL;
		ended := walks IS NULL;
	END IF;

	IF ended AND carried.pass_filled = 0 AND carried.pass_locked = 0 THEN
		PERFORM tenantguard.note_carried(relation, pg_catalog.jsonb_build_object(
			'state', 'filled', 'member', NULL, 'next_block', NULL, 'end_block', NULL,
			'rows_unowned', carried.rows_unowned, 'last_batch', pg_catalog.clock_timestamp()));
		RAISE NOTICE 'column "%" of table % is filled', carried.column_name, relation
			USING DETAIL = pg_catalog.format('%s rows were filled; %s could not be.', carried.rows_filled, carried.rows_unowned),
				HINT = CASE WHEN carried.rows_unowned > 0
					THEN pg_catalog.format('Look at SELECT * FROM tenantguard.disagreements(%L).', relation)
					ELSE pg_catalog.format('Use CALL tenantguard.finish_tenant_column(%L).', relation) END;
		RETURN NULL;
	END IF;
	PERFORM tenantguard.note_carried(relation, pg_catalog.jsonb_build_object(
		'member', COALESCE(walks, tenantguard.next_member(relation, NULL)),
		'next_block', carried.next_block, 'end_block', carried.end_block,
		'pass', carried.pass + ended::integer,
		'pass_filled', CASE WHEN ended THEN 0 ELSE carried.pass_filled END,
		'pass_locked', CASE WHEN ended THEN 0 ELSE carried.pass_locked END,
		'rows_unowned', CASE WHEN ended THEN 0 ELSE carried.rows_unowned END,
		'rows_filled', carried.rows_filled + batch.filled,
		'rows_locked', carried.rows_locked + batch.locked,
		'last_batch', pg_catalog.clock_timestamp()));
	-- Whoever holds a row may be gone in a while.
	IF ended AND carried.pass_filled = 0 THEN
		pause := LEAST(carried.pass, 30);
	END IF;
	RETURN GREATEST(pause, COALESCE(batch.filled::double precision / rows_per_second, 0)
		- EXTRACT(epoch FROM pg_catalog.clock_timestamp() - began), 0);
END
$$;
COMMENT ON FUNCTION tenantguard.backfill_step(regclass, integer, integer) IS
	'One batch of a backfill and its record. Returns how many seconds to wait before the next one, NULL when it is filled or paused. Raises 42501 for a caller who is not the owner or has no bypass.';

-- The procedure commits, so it can have no SET search_path. It names what it
-- calls in full and uses no operator.
CREATE PROCEDURE tenantguard.backfill_tenant_column(relation regclass, batch_rows integer DEFAULT 1000, rows_per_second integer DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
	pause	double precision;
BEGIN
	LOOP
		pause := tenantguard.backfill_step(relation, batch_rows, rows_per_second);
		COMMIT;
		EXIT WHEN pause IS NULL;
		PERFORM pg_catalog.pg_sleep(pause);
	END LOOP;
END
$$;
COMMENT ON PROCEDURE tenantguard.backfill_tenant_column(regclass, integer, integer) IS
	'Fills the column that add_tenant_column() added from the rows'' parents, in batches of about so many rows that are committed one by one, at most so many a second (NULL: no limit). Fires no trigger and waits for no row: what is locked comes later. Stopped, killed or crashed, it goes on where it was when it is called again; two calls take turns. Needs a bypass that lasts beyond a transaction. Raises 42501 for a caller who is not the owner or has no bypass.';

CREATE FUNCTION tenantguard.pause_backfill(relation regclass)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenantguard.require_carried(pause_backfill.relation);
	PERFORM pg_catalog.pg_advisory_xact_lock('tenantguard.carried_column'::regclass::oid::integer, relation::oid::integer);
	RETURN tenantguard.pause_carried(pause_backfill.relation, true);
END
$$;
COMMENT ON FUNCTION tenantguard.pause_backfill(regclass) IS
	'Ends a running backfill after its present batch. Returns whether one was under way. For the owner, without a bypass.';

CREATE FUNCTION tenantguard.resume_backfill(relation regclass)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenantguard.require_carried(resume_backfill.relation);
	RETURN tenantguard.pause_carried(resume_backfill.relation, false);
END
$$;
COMMENT ON FUNCTION tenantguard.resume_backfill(regclass) IS
	'Lets backfill_tenant_column() go on after pause_backfill(). Returns whether it was paused. For the owner, without a bypass.';

CREATE VIEW tenantguard.backfills AS
	SELECT
		c.relid AS relation,
		COALESCE(g.tenant_column, c.column_name) AS column_name,
		c.state,
		c.pass,
		c.rows_filled,
		c.rows_unowned,
		c.rows_locked,
		c.estimated_rows,
		CASE
			WHEN c.state IN ('filled', 'kept') THEN 100
			WHEN c.pass > 1 THEN 99
			WHEN c.estimated_rows > 0 THEN LEAST(99, (100 * c.rows_filled / c.estimated_rows)::integer)
		END AS percent,
		c.started,
		c.last_batch
	FROM tenantguard.carried_column AS c
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = c.relid;
COMMENT ON VIEW tenantguard.backfills IS
	'How far the columns are that add_tenant_column() added.';
COMMENT ON COLUMN tenantguard.backfills.state IS
	'added, filling, paused, filled or kept (finish_tenant_column() is done).';
COMMENT ON COLUMN tenantguard.backfills.percent IS
	'Of the rows that there were when the backfill began, by the planner''s estimate; 99 while the table is walked once more to find nothing.';
COMMENT ON COLUMN tenantguard.backfills.rows_unowned IS
	'Rows without a parent, or with parents of different tenants, that the present pass met.';
COMMENT ON COLUMN tenantguard.backfills.rows_locked IS
	'How often a row was left for later because somebody held it.';

-- The switch.

CREATE FUNCTION tenantguard.run_briefly(statement text)
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	usual	text := pg_catalog.current_setting('lock_timeout');
BEGIN
	-- Whoever waits for a strong lock lets nobody pass: better not for long.
	FOR attempt IN 1 .. 10 LOOP
		BEGIN
			PERFORM pg_catalog.set_config('lock_timeout', '1s', true);
			EXECUTE statement;
			PERFORM pg_catalog.set_config('lock_timeout', usual, true);
			RETURN;
		EXCEPTION WHEN lock_not_available THEN
			IF attempt = 10 THEN
				RAISE;
			END IF;
		END;
		PERFORM pg_catalog.pg_sleep(attempt * 0.2);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.run_briefly(text) IS
	'Runs a statement that takes a strong lock for a moment: waits for it one second at most, ten times with pauses between. Raises 55P03 after the last.';

CREATE FUNCTION tenantguard.require_agreement(relation regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found	text;
BEGIN
	SELECT pg_catalog.string_agg(pg_catalog.format('%s: %s', d.row_key, d.problem), '; ') INTO found
	FROM (SELECT * FROM tenantguard.disagreements(require_agreement.relation) LIMIT 3) AS d;
	IF found IS NOT NULL THEN
		RAISE EXCEPTION 'rows of table % disagree with their parents', relation
			USING ERRCODE = '23503',
				DETAIL = pg_catalog.format('Found: %s.', found),
				HINT = pg_catalog.format('See SELECT * FROM tenantguard.disagreements(%1$L); mend the rows, or use SELECT * FROM tenantguard.quarantine(%1$L).', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_agreement(regclass) IS
	'Returns when disagreements() lists nothing; otherwise raises 23503 with the first three rows.';

CREATE FUNCTION tenantguard.finish_step(relation regclass, build_index boolean)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	carried		tenantguard.carried_column := tenantguard.require_carried(relation);
	att			pg_catalog.pg_attribute;
	columns		text;
	proof		pg_catalog.pg_constraint;
BEGIN
	PERFORM tenantguard.require_bypass(pg_catalog.format('switch table %s to its tenant column', relation));
	IF carried.state = 'kept' THEN
		RETURN false;
	ELSIF carried.state <> 'filled' THEN
		RAISE EXCEPTION 'column "%" of table % is not filled', carried.column_name, relation
			USING ERRCODE = '55000',
				DETAIL = pg_catalog.format('Found: its state is "%s".', carried.state),
				HINT = pg_catalog.format('Use CALL tenantguard.backfill_tenant_column(%L).', relation);
	END IF;
	SELECT a.* INTO STRICT att
	FROM pg_catalog.pg_attribute AS a
	WHERE a.attrelid = relation AND a.attname = carried.column_name AND NOT a.attisdropped;

	IF NOT EXISTS (
		SELECT 1 FROM pg_catalog.pg_index AS i
		WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = att.attnum
	) THEN
		SELECT pg_catalog.string_agg(c.name, ', ') INTO columns
		FROM (
			SELECT pg_catalog.quote_ident(carried.column_name) AS name
			UNION ALL
			(SELECT pg_catalog.quote_ident(u.name)
			FROM (SELECT l.columns FROM tenantguard.link AS l WHERE l.relid = relation
				ORDER BY l.type_column IS NOT NULL, l.columns LIMIT 1) AS l
			CROSS JOIN LATERAL pg_catalog.unnest(l.columns) WITH ORDINALITY AS u (name, place)
			ORDER BY u.place)
		) AS c;
		IF build_index IS NOT TRUE THEN
			RAISE EXCEPTION 'no index of table % begins with column "%"', relation, carried.column_name
				USING ERRCODE = '55000',
					DETAIL = 'Every query of a tenant would read the rows of all. An index that keeps nobody from writing cannot be built inside a procedure.',
					HINT = pg_catalog.format(CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c WHERE c.oid = relation AND c.relkind = 'p')
						THEN 'Use CREATE INDEX ON %s (%s), and call again; for a table that is written to, first CREATE INDEX CONCURRENTLY on each partition.'
						ELSE 'Use CREATE INDEX CONCURRENTLY ON %s (%s), and call again; or build_index => true where writers may wait.' END,
						relation, columns);
		END IF;
		EXECUTE pg_catalog.format('CREATE INDEX ON %s (%s)', relation, columns);
		RETURN true;
	END IF;

	IF NOT att.attnotnull THEN
		SELECT c.* INTO proof
		FROM pg_catalog.pg_constraint AS c
		WHERE c.conrelid = relation AND c.conname = 'tenantguard_has_tenant' AND c.contype = 'c';
		IF NOT FOUND THEN
			PERFORM tenantguard.require_agreement(relation);
			PERFORM tenantguard.run_briefly(pg_catalog.format(
				'ALTER TABLE %s ADD CONSTRAINT tenantguard_has_tenant CHECK (%I IS NOT NULL) NOT VALID', relation, carried.column_name));
		ELSIF NOT proof.convalidated THEN
			EXECUTE pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT tenantguard_has_tenant', relation);
		ELSE
			PERFORM tenantguard.run_briefly(pg_catalog.format(
				'ALTER TABLE %s ALTER COLUMN %I SET NOT NULL, DROP CONSTRAINT tenantguard_has_tenant', relation, carried.column_name));
		END IF;
		RETURN true;
	END IF;

	PERFORM tenantguard.require_agreement(relation);
	PERFORM tenantguard.run_briefly(pg_catalog.format('SELECT tenantguard.protect(%L, %L)', relation, carried.column_name));
	PERFORM tenantguard.note_carried(relation, '{"state": "kept"}');
	-- The column decides from now on where others are carried through this table.
	PERFORM tenantguard.run_briefly(s.*)
	FROM tenantguard.carry_statements(relation, carried.column_name) AS s;
	RETURN false;
END
$$;
COMMENT ON FUNCTION tenantguard.finish_step(regclass, boolean) IS
	'The next step of finish_tenant_column(); returns whether another one follows. Raises 55000 for a column that is not filled or has no index, 23503 where rows disagree, 42501 for a caller who is not the owner or has no bypass.';

CREATE PROCEDURE tenantguard.finish_tenant_column(relation regclass, build_index boolean DEFAULT false)
LANGUAGE plpgsql
AS $$
DECLARE
	more	boolean;
BEGIN
	LOOP
		more := tenantguard.finish_step(relation, build_index);
		COMMIT;
		EXIT WHEN NOT more;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE tenantguard.finish_tenant_column(regclass, boolean) IS
	'Verifies the column that add_tenant_column() added, makes it NOT NULL without a long lock and guards the table by it (mode tenant); the links stay, and the triggers keep the column right. In steps that are committed one by one; called again, it goes on. An index has to be there, or is built when build_index says so, which keeps writers waiting. Needs a bypass that lasts beyond a transaction. Raises 23503 where rows disagree with their parents, 55000 for a column that is not filled or not indexed, 42501 for a caller who is not the owner or has no bypass.';
