-- 51_convert_keys.sql: keys without the tenant become keys with it, while
-- the application works.
--
-- The functions compute the steps that remain, from the catalogs alone, and
-- run nothing: after a failure one asks again. A step is one text to send: one
-- statement, or several that are one transaction when they are sent together.
-- The phases hold the steps of many keys apart: all of one phase come before
-- the next.

CREATE TYPE tenantguard.conversion_step AS (
	phase		int,
	object		text,
	purpose		text,
	statement	text,
	in_transaction boolean,
	blocks		text
);
COMMENT ON TYPE tenantguard.conversion_step IS
	'One step: what it is for, and the text to send. in_transaction false: it must run outside of a transaction block. blocks: whom it keeps waiting while it runs or waits for a lock (nobody; writers; everybody).';

CREATE FUNCTION tenantguard.same_index(relation oid, tail text, is_unique boolean, valid boolean)
RETURNS oid
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
		SELECT i.indexrelid
		FROM pg_catalog.pg_index AS i
		WHERE i.indrelid = same_index.relation AND i.indisunique = same_index.is_unique
			AND (i.indisvalid AND i.indisready) = same_index.valid
			AND tenantguard.index_tail(i.indexrelid) = same_index.tail
		ORDER BY i.indexrelid
		LIMIT 1);
END
$$;
COMMENT ON FUNCTION tenantguard.same_index(oid, text, boolean, boolean) IS
	'The valid (or an invalid) index of the relation with this definition, or NULL.';

CREATE FUNCTION tenantguard.new_index_name(relation oid, base text, suffix text, tail text)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	schema		oid;
	name		text;
	attempt		int := 0;
BEGIN
	SELECT c.relnamespace INTO schema FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
	LOOP
		name := tenantguard.short_name(base, suffix || CASE attempt WHEN 0 THEN '' ELSE attempt::text END);
		-- What an earlier attempt left counts as free: it is dropped first.
		EXIT WHEN NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_class AS c
			LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid AND i.indrelid = relation
			WHERE c.relnamespace = schema AND c.relname = name
				AND NOT COALESCE(NOT i.indisvalid AND tenantguard.index_tail(i.indexrelid) = tail, false));
		attempt := attempt + 1;
	END LOOP;
	RETURN name;
END
$$;
COMMENT ON FUNCTION tenantguard.new_index_name(oid, text, text, text) IS
	'A name for a new index of the relation: base and suffix, with a number where that is taken by something else.';

CREATE FUNCTION tenantguard.leaf_tables(relation oid)
RETURNS TABLE (relid oid, name text, relname name)
LANGUAGE plpgsql STABLE STRICT ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	kind	"char";
BEGIN
	SELECT c.relkind, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname INTO kind, relid, name, relname
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	WHERE c.oid = leaf_tables.relation;
	IF kind IN ('r', 'm') THEN
		RETURN NEXT;
	ELSIF kind = 'p' THEN
		RETURN QUERY
			SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname
			FROM pg_catalog.pg_partition_tree(leaf_tables.relation::regclass) AS t
			JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
			JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE t.isleaf AND c.relkind = 'r'
			ORDER BY n.nspname, c.relname;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.leaf_tables(oid) IS
	'The tables that hold the rows of a relation: itself, or its partitions.';

CREATE FUNCTION tenantguard.build_steps(relation oid, tail text, is_unique boolean, base text, leaf_base text, suffix text, object text, first_phase int, with_parent boolean)
RETURNS SETOF tenantguard.conversion_step
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	whole		record;
	leaf		record;
	invalid		record;
	leaf_name	text;
	kind		text := CASE WHEN is_unique THEN 'UNIQUE INDEX' ELSE 'INDEX' END;
BEGIN
	SELECT c.relkind, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name INTO whole
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	WHERE c.oid = relation;
	IF tenantguard.same_index(relation, tail, is_unique, true) IS NOT NULL THEN
		RETURN;
	END IF;

	FOR leaf IN SELECT l.* FROM tenantguard.leaf_tables(relation) AS l LOOP
		CONTINUE WHEN tenantguard.same_index(leaf.relid, tail, is_unique, true) IS NOT NULL;
		leaf_name := CASE leaf.relid WHEN relation THEN base ELSE pg_catalog.format('%s_%s', leaf.relname, leaf_base) END;
		FOR invalid IN
			SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
			FROM pg_catalog.pg_index AS i
			JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
			JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE i.indrelid = leaf.relid AND i.indisunique = is_unique AND NOT i.indisvalid
				AND pg_catalog.starts_with(c.relname::text, tenantguard.short_name(leaf_name, suffix))
				AND tenantguard.index_tail(i.indexrelid) = tail
		LOOP
			RETURN NEXT (first_phase, object, 'drop what a failed build left', pg_catalog.format('DROP INDEX CONCURRENTLY %s', invalid.name),
				false, 'nobody')::tenantguard.conversion_step;
		END LOOP;
		RETURN NEXT (first_phase + 10, object, 'build an index', pg_catalog.format('CREATE %s CONCURRENTLY %I ON %s%s', kind,
			tenantguard.new_index_name(leaf.relid, leaf_name, suffix, tail),
			leaf.name, tail), false, 'nobody')::tenantguard.conversion_step;
	END LOOP;

	-- It takes the indexes of the partitions for its own and builds none.
	IF whole.relkind = 'p' AND with_parent THEN
		RETURN NEXT (first_phase + 20, object, 'join the indexes of the partitions', pg_catalog.format('CREATE %s %I ON %s%s', kind,
			tenantguard.new_index_name(relation, base, suffix, tail), whole.name, tail), true, 'writers')::tenantguard.conversion_step;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.build_steps(oid, text, boolean, text, text, text, text, int, boolean) IS
	'The steps that remain until the relation has a valid index with this definition: leftovers of failed builds dropped (first_phase), built CONCURRENTLY in every partition (+ 10), joined on the partitioned table (+ 20, with_parent only).';

CREATE FUNCTION tenantguard.foreign_key_steps(fk tenantguard.foreign_key_fact)
RETURNS SETOF tenantguard.conversion_step
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	leaf		record;
	new_name	text;
	final_name	text;
	renames		text := '';
	words		text;
BEGIN
	IF NOT COALESCE(fk.converts, false) OR (fk.keeps_old AND fk.twin_valid) THEN
		RETURN;
	END IF;
	SELECT c.conname INTO new_name FROM pg_catalog.pg_constraint AS c WHERE c.oid = fk.twin;
	new_name := COALESCE(new_name, tenantguard.short_name(fk.conname, '_tenant'));

	IF NOT COALESCE(fk.twin_valid, false) THEN
		RETURN NEXT (10, fk.object, 'look for rows that cross', pg_catalog.format('SELECT tenantguard.require_no_crossing(%L, %L)',
			fk.relid::regclass, fk.conname), true, 'nobody')::tenantguard.conversion_step;
	END IF;

	IF fk.twin IS NULL AND NOT fk.has_target THEN
		RETURN QUERY SELECT s.* FROM tenantguard.build_steps(fk.ref_id,
			pg_catalog.format(' USING btree (%s)', fk.ref_columns), true,
			pg_catalog.format('%s_%s', fk.ref_relname, pg_catalog.array_to_string(fk.target_columns, '_')),
			pg_catalog.array_to_string(fk.target_columns, '_'), '_key', fk.object, 20, true) AS s;
	END IF;

	-- A partitioned table takes no key that is not validated, on 17 and older.
	-- Its partitions do, and it takes their keys for its own.
	FOR leaf IN
		SELECT l.name, old.conname AS old_name, new.conname AS new_name, COALESCE(new.convalidated, false) AS validated
		FROM tenantguard.leaf_tables(fk.relid) AS l
		LEFT JOIN LATERAL (
			SELECT c.conname FROM pg_catalog.pg_constraint AS c
			WHERE c.conrelid = l.relid AND c.contype = 'f' AND c.confrelid = fk.ref_id AND c.conparentid <> 0
				AND tenantguard.foreign_key_shape(c.oid) = tenantguard.foreign_key_shape(fk.conid)
			ORDER BY c.oid LIMIT 1
		) AS old ON fk.relkind = 'p'
		LEFT JOIN LATERAL (
			SELECT c.conname, c.convalidated FROM pg_catalog.pg_constraint AS c
			WHERE c.conrelid = l.relid AND c.contype = 'f' AND c.confrelid = fk.ref_id
				AND tenantguard.foreign_key_shape(c.oid) = tenantguard.foreign_key_shape(fk.conid, fk.tenant_column, fk.ref_column)
			ORDER BY c.convalidated DESC, c.oid LIMIT 1
		) AS new ON fk.relkind = 'p'
	LOOP
		IF fk.relkind <> 'p' THEN
			leaf.old_name := fk.conname;
			leaf.new_name := CASE WHEN fk.twin IS NOT NULL THEN new_name END;
			leaf.validated := COALESCE(fk.twin_valid, false);
		END IF;
		words := COALESCE(leaf.new_name, tenantguard.short_name(COALESCE(leaf.old_name, fk.conname), '_tenant'));
		IF leaf.new_name IS NULL THEN
			RETURN NEXT (50, fk.object, 'add the key for new rows', pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID',
				leaf.name, words, fk.definition), true, 'writers')::tenantguard.conversion_step;
		END IF;
		IF NOT leaf.validated THEN
			RETURN NEXT (60, fk.object, 'validate it for the rows that are there', pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I',
				leaf.name, words), true, 'nobody')::tenantguard.conversion_step;
		END IF;
		IF fk.relkind = 'p' AND leaf.old_name IS NOT NULL AND words <> leaf.old_name THEN
			renames := renames || pg_catalog.format('; ALTER TABLE %s RENAME CONSTRAINT %I TO %I', leaf.name, words, leaf.old_name);
		END IF;
	END LOOP;
	IF fk.relkind = 'p' AND fk.twin IS NULL THEN
		RETURN NEXT (70, fk.object, 'join the keys of the partitions', pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s',
			fk.name, new_name, fk.definition), true, 'writers')::tenantguard.conversion_step;
	END IF;

	IF fk.keeps_old THEN
		RETURN;
	END IF;
	words := pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', fk.name, fk.conname);
	-- A key that somebody made keeps the name that it has.
	final_name := CASE WHEN new_name = tenantguard.short_name(fk.conname, '_tenant') THEN fk.conname ELSE new_name END;
	IF final_name <> new_name THEN
		words := words || pg_catalog.format('; ALTER TABLE %s RENAME CONSTRAINT %I TO %I', fk.name, new_name, final_name) || renames;
	END IF;
	IF final_name = fk.conname AND pg_catalog.obj_description(fk.conid, 'pg_constraint') IS NOT NULL THEN
		words := words || pg_catalog.format('; COMMENT ON CONSTRAINT %I ON %s IS %L', final_name, fk.name,
			pg_catalog.obj_description(fk.conid, 'pg_constraint'));
	END IF;
	RETURN NEXT (80, fk.object, 'put it in the place of the old key', words, true, 'everybody')::tenantguard.conversion_step;
END
$$;
COMMENT ON FUNCTION tenantguard.foreign_key_steps(tenantguard.foreign_key_fact) IS
	'The steps that remain until a foreign key contains the tenant column; none for a key that need not or cannot be converted.';

CREATE FUNCTION tenantguard.convert_foreign_key(relation regclass, constraint_name name)
RETURNS TABLE (step bigint, object text, purpose text, statement text, in_transaction boolean, blocks text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	fact	tenantguard.foreign_key_fact;
BEGIN
	SELECT f.* INTO fact
	FROM pg_catalog.pg_constraint AS c
	CROSS JOIN LATERAL tenantguard.foreign_key_facts(c.connamespace, c.oid) AS f
	WHERE c.conrelid = relation AND c.conname = constraint_name AND c.contype = 'f';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no foreign key "%" of %', constraint_name, relation
			USING ERRCODE = '22023',
				HINT = 'Use SELECT relation, name FROM tenantguard.foreign_keys.';
	END IF;
	IF fact.crosses AND NOT fact.converts THEN
		RAISE EXCEPTION 'foreign key "%" of % cannot be converted', constraint_name, relation
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Found: %s.', fact.why),
				HINT = 'Change the key or the tables by hand, or accept it with tenantguard.suppress_finding().';
	END IF;
	RETURN QUERY
		SELECT s.step, s.object, s.purpose, s.statement, s.in_transaction, s.blocks
		FROM (SELECT pg_catalog.row_number() OVER (ORDER BY t.phase, t.position) AS step, t.*
			  FROM tenantguard.foreign_key_steps(fact) WITH ORDINALITY AS t (phase, object, purpose, statement, in_transaction, blocks, position)) AS s
		ORDER BY s.step;
END
$$;
COMMENT ON FUNCTION tenantguard.convert_foreign_key(regclass, name) IS
	'The steps that remain until the foreign key contains the tenant column, to be run in order, each by itself (\gexec in psql, or the program tenantguard): rows that cross stop it, the unique key (tenant, ...) is built CONCURRENTLY, the new key is added NOT VALID, validated, and takes the old one''s place and name. None where nothing remains. Changes nothing. Raises 22023 for a key that cannot be converted, with the reason.';

CREATE FUNCTION tenantguard.why_not_unique(u tenantguard.unique_key_fact)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT CASE
		WHEN u.kind = 'exclusion constraint' THEN 'it is an exclusion constraint, which no index can be built for without locking the table'
		WHEN u.kind = 'primary key' AND u.mode = 'tenant_or_shared' THEN 'it is a primary key, which the rows of no tenant could not be in with the tenant'
		WHEN u.referenced THEN pg_catalog.format('%s refer to it: convert them first', (
			SELECT pg_catalog.string_agg(pg_catalog.format('foreign key %I on %s', c.conname, c.conrelid::regclass), ', ' ORDER BY c.conrelid::regclass::text, c.conname)
			FROM pg_catalog.pg_constraint AS c
			WHERE c.conindid = u.indexrelid AND c.contype = 'f' AND c.conparentid = 0))
		WHEN i.indisreplident AND NOT u.tenant_not_null THEN 'it is the replica identity, and the tenant column may be NULL'
		WHEN u.kind = 'primary key' AND EXISTS (
			SELECT 1
			FROM pg_catalog.pg_constraint AS c
			JOIN pg_catalog.pg_attribute AS t ON t.attrelid = u.relid AND t.attname = u.tenant_column
			WHERE c.conrelid = u.relid AND c.contype = 'u' AND c.conkey = (t.attnum || (i.indkey::int2[])[0:i.indnkeyatts - 1]))
			THEN 'another constraint says the same with the tenant: drop that one, or this one'
		WHEN NOT i.indisvalid THEN 'it is not valid' END
	FROM pg_catalog.pg_index AS i
	WHERE i.indexrelid = u.indexrelid);
END
$$;
COMMENT ON FUNCTION tenantguard.why_not_unique(tenantguard.unique_key_fact) IS
	'Why a global unique key cannot be converted now, or NULL.';

CREATE FUNCTION tenantguard.unique_key_steps(uk tenantguard.unique_key_fact)
RETURNS SETOF tenantguard.conversion_step
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	old			record;
	leaf		record;
	bracket		int;
	new_tail	text;
	new_index	oid;
	new_name	text;
	words		text;
	after		text := '';
	suffix		text;
	guard_name	text;
	takes_over	boolean;
	final_name	text;
BEGIN
	IF NOT COALESCE(uk.global, false) OR tenantguard.why_not_unique(uk) IS NOT NULL THEN
		RETURN;
	END IF;
	SELECT i.indisreplident, i.indisclustered, k.condeferrable, k.condeferred, i.indnullsnotdistinct,
		pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
		pg_catalog.obj_description(COALESCE(k.oid, c.oid), CASE WHEN k.oid IS NULL THEN 'pg_class' ELSE 'pg_constraint' END) AS remark
	INTO old
	FROM pg_catalog.pg_index AS i
	JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_catalog.pg_constraint AS k ON k.oid = uk.conid
	WHERE i.indexrelid = uk.indexrelid;
	bracket := pg_catalog.strpos(uk.tail, '(');
	new_tail := pg_catalog.format('%s(%I, %s', pg_catalog.left(uk.tail, bracket - 1), uk.tenant_column, pg_catalog.substr(uk.tail, bracket + 1));
	-- Rows of no tenant are one more tenant, as long as nothing else is NULL.
	IF uk.mode = 'tenant_or_shared' AND uk.tail ~ '^ USING btree \([^()]*\)$' AND NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_index AS i
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
		WHERE i.indexrelid = uk.indexrelid AND NOT a.attnotnull)
	THEN
		new_tail := new_tail || ' NULLS NOT DISTINCT';
	END IF;
	suffix := CASE WHEN old.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN old.condeferrable THEN ' DEFERRABLE' ELSE '' END;

	RETURN QUERY SELECT s.* FROM tenantguard.build_steps(uk.relid, new_tail, true,
		uk.index_name, uk.index_name, '_tenant', uk.object, 120, false) AS s;

	-- A primary key takes NOT NULL, which a validated CHECK proves without
	-- reading the table under the lock.
	IF uk.kind = 'primary key' AND NOT uk.tenant_not_null THEN
		guard_name := tenantguard.short_name(uk.index_name, '_not_null');
		IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS c WHERE c.conrelid = uk.relid AND c.conname = guard_name) THEN
			RETURN NEXT (150, uk.object, 'ask for a tenant in new rows', pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%I IS NOT NULL) NOT VALID',
				uk.name, guard_name, uk.tenant_column), true, 'everybody')::tenantguard.conversion_step;
		END IF;
		IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS c WHERE c.conrelid = uk.relid AND c.conname = guard_name AND c.convalidated) THEN
			RETURN NEXT (160, uk.object, 'and in those that are there', pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', uk.name, guard_name),
				true, 'nobody')::tenantguard.conversion_step;
		END IF;
		after := pg_catalog.format('; ALTER TABLE %s DROP CONSTRAINT %I', uk.name, guard_name);
		words := pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL; ', uk.name, uk.tenant_column);
	END IF;
	words := COALESCE(words, '');

	new_index := tenantguard.same_index(uk.relid, new_tail, true, true);
	SELECT c.relname INTO new_name FROM pg_catalog.pg_class AS c WHERE c.oid = new_index;
	new_name := COALESCE(new_name, tenantguard.new_index_name(uk.relid, uk.index_name, '_tenant', new_tail));
	-- A key that somebody made says the same already: it keeps its name, and
	-- the old one goes.
	takes_over := uk.relkind = 'p' OR new_index IS NULL
		OR (uk.conid IS NULL AND pg_catalog.starts_with(new_name, tenantguard.short_name(uk.index_name, '_tenant')))
		OR (uk.conid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS c WHERE c.conindid = new_index AND c.contype IN ('p', 'u', 'x')));
	final_name := CASE WHEN takes_over THEN uk.index_name ELSE new_name END;
	IF old.indisreplident THEN
		after := after || pg_catalog.format('; ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', uk.name, final_name);
	END IF;
	IF old.indisclustered THEN
		after := after || pg_catalog.format('; ALTER TABLE %s CLUSTER ON %I', uk.name, final_name);
	END IF;

	IF uk.relkind = 'p' THEN
		words := words || CASE WHEN uk.conid IS NULL THEN pg_catalog.format('DROP INDEX %s', old.name)
			ELSE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', uk.name, uk.index_name) END;
		FOR leaf IN
			SELECT l.name, c.relname AS old_name, n.nspname AS schema,
				COALESCE((SELECT m.relname FROM pg_catalog.pg_class AS m WHERE m.oid = tenantguard.same_index(l.relid, new_tail, true, true)),
					tenantguard.new_index_name(l.relid, pg_catalog.format('%s_%s', l.relname, uk.index_name), '_tenant', new_tail)) AS new_name
			FROM tenantguard.leaf_tables(uk.relid) AS l
			LEFT JOIN pg_catalog.pg_partition_tree(uk.indexrelid::regclass) AS t ON t.isleaf AND l.relid = (SELECT i.indrelid FROM pg_catalog.pg_index AS i WHERE i.indexrelid = t.relid)
			LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
			JOIN pg_catalog.pg_class AS r ON r.oid = l.relid
			JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
		LOOP
			-- A constraint takes only indexes that are constraints, too.
			words := words || CASE
				WHEN uk.conid IS NULL AND leaf.old_name IS NULL THEN ''
				WHEN uk.conid IS NULL THEN pg_catalog.format('; ALTER INDEX %I.%I RENAME TO %I', leaf.schema, leaf.new_name, leaf.old_name)
				ELSE pg_catalog.format('; ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s', leaf.name, COALESCE(leaf.old_name, leaf.new_name),
					CASE uk.kind WHEN 'primary key' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, leaf.new_name, suffix) END;
		END LOOP;
		words := words || CASE WHEN uk.conid IS NULL THEN pg_catalog.format('; CREATE UNIQUE INDEX %I ON %s%s', uk.index_name, uk.name, new_tail)
			ELSE pg_catalog.format('; ALTER TABLE %s ADD CONSTRAINT %I %s%s%s', uk.name, uk.index_name,
				CASE uk.kind WHEN 'primary key' THEN 'PRIMARY KEY ' ELSE 'UNIQUE ' || CASE WHEN old.indnullsnotdistinct THEN 'NULLS NOT DISTINCT ' ELSE '' END END,
				pg_catalog.regexp_replace(pg_catalog.substr(new_tail, pg_catalog.strpos(new_tail, '(')), ' NULLS NOT DISTINCT', ''), suffix) END;
	ELSIF NOT takes_over THEN
		words := words || CASE WHEN uk.conid IS NULL THEN pg_catalog.format('DROP INDEX %s', old.name)
			ELSE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', uk.name, uk.index_name) END;
	ELSIF uk.conid IS NULL THEN
		words := words || pg_catalog.format('DROP INDEX %s; ALTER INDEX %I.%I RENAME TO %I', old.name,
			(SELECT n.nspname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = uk.relid), new_name, uk.index_name);
	ELSE
		words := words || pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s USING INDEX %I%s', uk.name, uk.index_name, uk.index_name,
			CASE uk.kind WHEN 'primary key' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, new_name, suffix);
	END IF;
	IF old.remark IS NOT NULL AND takes_over THEN
		after := after || CASE WHEN uk.conid IS NULL THEN pg_catalog.format('; COMMENT ON INDEX %s IS %L', old.name, old.remark)
			ELSE pg_catalog.format('; COMMENT ON CONSTRAINT %I ON %s IS %L', uk.index_name, uk.name, old.remark) END;
	END IF;
	RETURN NEXT (180, uk.object, CASE uk.kind WHEN 'primary key'
			THEN 'put it in the place of the old primary key: the index grows by the tenant, and look-ups by the old columns alone do not use it'
			ELSE 'put it in the place of the old key' END,
		words || after, true, 'everybody')::tenantguard.conversion_step;
END
$$;
COMMENT ON FUNCTION tenantguard.unique_key_steps(tenantguard.unique_key_fact) IS
	'The steps that remain until a unique key contains the tenant column in front; none for a key that does, that foreign keys refer to, or that is an exclusion constraint.';

CREATE FUNCTION tenantguard.convert_unique_key(index regclass, consumers_ready boolean DEFAULT false)
RETURNS TABLE (step bigint, object text, purpose text, statement text, in_transaction boolean, blocks text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	fact		tenantguard.unique_key_fact;
	why			text;
	conflicts	text;
BEGIN
	SELECT u.* INTO fact FROM tenantguard.unique_key_facts(
		(SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = index), index) AS u
	WHERE u.indexrelid = index;
	IF NOT FOUND THEN
		RAISE EXCEPTION '% is no unique key of a guarded relation', COALESCE(index::text, 'NULL')
			USING ERRCODE = '22023',
				DETAIL = 'Found: no unique index that stands for itself. That of a partition follows its parent''s.',
				HINT = 'Use SELECT relation, name FROM tenantguard.unique_keys.';
	END IF;
	IF NOT fact.global THEN
		RETURN;
	END IF;
	why := tenantguard.why_not_unique(fact);
	IF why IS NULL AND NOT consumers_ready THEN
		SELECT pg_catalog.string_agg(k.name, ', ') INTO conflicts
		FROM tenantguard.key_consumers(index) AS k (name)
		WHERE k.name LIKE 'ON CONFLICT %';
		why := conflicts || ': name the tenant column there, too, in the same deployment';
	END IF;
	IF why IS NOT NULL THEN
		RAISE EXCEPTION 'unique key % cannot be converted', index
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Found: %s.', why),
				HINT = CASE WHEN conflicts IS NULL THEN 'Use SELECT * FROM tenantguard.unique_keys for what relies on it.'
					ELSE 'Use consumers_ready => true when that is done.' END;
	END IF;
	RETURN QUERY
		SELECT s.step, s.object, s.purpose, s.statement, s.in_transaction, s.blocks
		FROM (SELECT pg_catalog.row_number() OVER (ORDER BY t.phase, t.position) AS step, t.*
			  FROM tenantguard.unique_key_steps(fact) WITH ORDINALITY AS t (phase, object, purpose, statement, in_transaction, blocks, position)) AS s
		ORDER BY s.step;
END
$$;
COMMENT ON FUNCTION tenantguard.convert_unique_key(regclass, boolean) IS
	'The steps that remain until a unique key begins with the tenant column, to be run in order, each by itself: the new index built CONCURRENTLY, then in the place of the old one, with its name. Primary keys as well. None where nothing remains. Changes nothing. Raises 22023 while foreign keys refer to it, and while an ON CONFLICT is known that names its columns, unless consumers_ready.';
