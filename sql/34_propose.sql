-- 34_propose.sql: what the tables of a schema probably are. Foreign keys and
-- the columns that a person names decide; names alone only propose, and data
-- only speaks for or against. One query over the catalogs, so that a schema of
-- thousands of tables takes no longer than its largest join.

CREATE FUNCTION tenantguard.is_bookkeeping(relation_name name)
RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.lower(is_bookkeeping.relation_name) IN (
		'schema_migrations', 'ar_internal_metadata', 'flyway_schema_history', 'schema_version',
		'databasechangelog', 'databasechangeloglock', 'alembic_version', 'django_migrations',
		'django_content_type', 'knex_migrations', 'knex_migrations_lock', '_prisma_migrations',
		'sequelizemeta', 'typeorm_metadata', 'migrations', 'mikro_orm_migrations',
		'__drizzle_migrations', '__efmigrationshistory', 'goose_db_version', 'gorp_migrations',
		'doctrine_migration_versions', 'phinxlog', 'pgmigrations', 'atlas_schema_revisions',
		'_sqlx_migrations', '__diesel_schema_migrations', 'refinery_schema_history',
		'migrations_lock', 'schema_info', 'data_migrations', 'bun_migrations', 'bun_migration_locks',
		'kysely_migration', 'kysely_migration_lock', '_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock')
$$;
COMMENT ON FUNCTION tenantguard.is_bookkeeping(name) IS
	'Whether a table is called like the bookkeeping of a migration tool.';

CREATE FUNCTION tenantguard.require_adopted()
RETURNS tenantguard.registry
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	adopted	tenantguard.registry;
BEGIN
	SELECT r.* INTO adopted FROM tenantguard.registry AS r;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no registry is adopted'
			USING ERRCODE = '22023',
				DETAIL = 'What a table is follows from its foreign keys to the table of tenants.',
				HINT = 'Use SELECT tenantguard.adopt_registry(''public.organizations'', ''id'') first.';
	END IF;
	RETURN adopted;
END
$$;
COMMENT ON FUNCTION tenantguard.require_adopted() IS
	'The adopted registry. Raises 22023 when there is none.';

CREATE FUNCTION tenantguard.classify(schema regnamespace, stated name[])
RETURNS TABLE (relation regclass, mode text, tenant_column name, confidence text, reason text, candidates name[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	root_id		oid;
	root_type	oid;
BEGIN
	PERFORM tenantguard.require_adopted();
	SELECT k.relid, k.type INTO root_id, root_type FROM tenantguard.registry_key() AS k;

	RETURN QUERY
	WITH RECURSIVE
	rel AS MATERIALIZED (
		SELECT c.oid, c.relname, c.relkind
		FROM pg_catalog.pg_class AS c
		WHERE c.relnamespace = classify.schema
			AND c.relkind IN ('r', 'p', 'f', 'm')
			AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid)
			AND NOT EXISTS (
				SELECT 1
				FROM pg_catalog.pg_depend AS d
				WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
					AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
	),
	-- Each type is judged once, not once for every column of that type.
	used AS MATERIALIZED (
		SELECT DISTINCT a.atttypid AS type FROM pg_catalog.pg_attribute AS a WHERE a.attnum > 0
	),
	fitting AS MATERIALIZED (
		SELECT u.type FROM used AS u WHERE tenantguard.types_agree(u.type, root_type)
	),
	-- Columns that foreign keys tie to the registry.
	tied AS MATERIALIZED (
		SELECT t.relid, t.attnum, a.attname
		FROM tenantguard.tenant_columns() AS t
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.relid AND a.attnum = t.attnum
	),
	-- How such columns are called here. A primary key that is tied by itself
	-- (a table beside the registry) is called like every other key.
	told AS MATERIALIZED (
		SELECT t.attname
		FROM tied AS t
		WHERE NOT EXISTS (SELECT 1 FROM tied AS o WHERE o.relid = t.relid AND o.attnum <> t.attnum)
			AND NOT EXISTS (
				SELECT 1 FROM pg_catalog.pg_index AS i
				WHERE i.indrelid = t.relid AND i.indisprimary AND i.indnkeyatts = 1 AND i.indkey[0] = t.attnum)
	),
	usual AS MATERIALIZED (
		SELECT pg_catalog.mode() WITHIN GROUP (ORDER BY t.attname) AS attname FROM told AS t
	),
	-- Columns that are only called like one.
	called AS MATERIALIZED (
		SELECT c.*
		FROM (
			SELECT a.attrelid AS relid, a.attnum, a.attname,
				COALESCE(a.attname = u.attname, false) OR COALESCE(a.attname = ANY (classify.stated), false)
					OR pg_catalog.lower(pg_catalog.replace(a.attname, '_', '')) IN (SELECT s.* FROM tenantguard.tenant_names() AS s) AS proper
			FROM pg_catalog.pg_attribute AS a
			CROSS JOIN usual AS u
			WHERE a.attnum > 0 AND NOT a.attisdropped
		) AS c
		WHERE c.proper OR c.attname IN (SELECT t.attname FROM told AS t)
	),
	-- A foreign key to something else says that the name means something else,
	-- as the id of a workspace below the organization does.
	elsewhere AS MATERIALIZED (
		SELECT DISTINCT ON (l.relid, l.attnum) l.relid, l.attnum, c.confrelid AS target
		FROM called AS l
		JOIN pg_catalog.pg_constraint AS c ON c.conrelid = l.relid AND c.contype = 'f' AND c.confrelid <> c.conrelid
		JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) AS k (attnum, refnum)
			ON k.attnum = l.attnum
		WHERE NOT EXISTS (SELECT 1 FROM tied AS t WHERE t.relid = l.relid AND t.attnum = l.attnum)
			AND NOT EXISTS (SELECT 1 FROM called AS o WHERE o.relid = c.confrelid AND o.attnum = k.refnum)
		ORDER BY l.relid, l.attnum, c.conname
	),
	candidate AS MATERIALIZED (
		SELECT a.attrelid AS relid, a.attnum, a.attname, a.attnotnull,
			t.relid IS NOT NULL AS tied,
			COALESCE(l.proper, false) AS called,
			a.attname = u.attname AS usual,
			COALESCE(a.attname = ANY (classify.stated), false) AS stated,
			y.type IS NOT NULL AS fits
		FROM (SELECT t.relid, t.attnum FROM tied AS t
			  UNION
			  SELECT l.relid, l.attnum FROM called AS l JOIN rel AS r ON r.oid = l.relid) AS w
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = w.relid AND a.attnum = w.attnum
		CROSS JOIN usual AS u
		LEFT JOIN tied AS t ON t.relid = w.relid AND t.attnum = w.attnum
		LEFT JOIN called AS l ON l.relid = w.relid AND l.attnum = w.attnum
		LEFT JOIN fitting AS y ON y.type = a.atttypid
		WHERE w.relid <> root_id
			AND (t.relid IS NOT NULL
				 OR (y.type IS NOT NULL AND a.attgenerated = '' AND a.attidentity = ''
					 AND NOT EXISTS (SELECT 1 FROM elsewhere AS e WHERE e.relid = w.relid AND e.attnum = w.attnum)))
	),
	-- The first of these orders is only a suggestion: the rules below say when
	-- it is taken.
	pick AS MATERIALIZED (
		SELECT DISTINCT ON (c.relid) c.*,
			pg_catalog.quote_ident(c.attname) AS word,
			pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS invented
		FROM candidate AS c
		LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.relid AND d.adnum = c.attnum
		ORDER BY c.relid, c.stated DESC, c.tied DESC, c.usual DESC NULLS LAST, c.attnum
	),
	field AS MATERIALIZED (
		SELECT c.relid,
			pg_catalog.count(*) AS all_of_them,
			pg_catalog.count(*) FILTER (WHERE c.tied) AS tied,
			pg_catalog.count(*) FILTER (WHERE c.stated) AS stated,
			pg_catalog.bool_or(c.usual) AS has_usual,
			pg_catalog.array_agg(c.attname ORDER BY c.attnum) AS names,
			pg_catalog.string_agg(pg_catalog.quote_ident(c.attname), ', ' ORDER BY c.attnum) AS list,
			pg_catalog.string_agg(pg_catalog.quote_ident(c.attname), ', ' ORDER BY c.attnum) FILTER (WHERE c.tied) AS tied_list,
			pg_catalog.string_agg(pg_catalog.quote_ident(c.attname), ', ' ORDER BY c.attnum) FILTER (WHERE c.stated) AS stated_list,
			pg_catalog.string_agg(pg_catalog.quote_ident(c.attname), ', ' ORDER BY c.attnum) FILTER (WHERE NOT c.tied AND c.called) AS rivals,
			COALESCE(pg_catalog.bool_or(c.usual) FILTER (WHERE NOT c.tied), false) AS usual_rival
		FROM candidate AS c
		GROUP BY c.relid
	),
	guarded AS MATERIALIZED (
		SELECT root_id AS relid
		UNION
		SELECT p.relid FROM pick AS p
		UNION
		SELECT g.relid::oid
		FROM tenantguard.guarded_relation AS g
		WHERE g.mode IN ('tenant', 'root', 'tenant_or_shared', 'derived')
	),
	-- Those of them that are certain: rules 1, 8 and 12 below.
	sure AS MATERIALIZED (
		SELECT g.relid::oid FROM tenantguard.guarded_relation AS g
		UNION
		SELECT p.relid
		FROM pick AS p
		JOIN field AS f ON f.relid = p.relid
		WHERE p.fits AND p.attnotnull AND f.stated <= 1
			AND CASE WHEN p.stated THEN true
				ELSE p.tied AND f.tied = 1 AND classify.stated IS NULL
					AND (f.rivals IS NULL OR p.called AND (p.usual OR NOT f.usual_rival)) END
	),
	-- The best foreign key from one table to another: one whose columns cannot
	-- be NULL leads every row to its tenant.
	edge AS MATERIALIZED (
		SELECT DISTINCT ON (c.conrelid, c.confrelid) c.conrelid, c.confrelid, c.conname, m.complete, m.list
		FROM pg_catalog.pg_constraint AS c
		CROSS JOIN LATERAL (
			SELECT pg_catalog.bool_and(a.attnotnull) AS complete,
				pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.place) AS list
			FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
			JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
		) AS m
		WHERE c.contype = 'f' AND c.conparentid = 0 AND c.conrelid <> c.confrelid
		ORDER BY c.conrelid, c.confrelid, m.complete DESC, c.conname
	),
	-- Steps along foreign keys to a guarded table; a cycle ends at the limit.
	reach (relid, steps) AS (
		SELECT g.relid, 0 FROM guarded AS g
		UNION
		SELECT e.conrelid, w.steps + 1
		FROM reach AS w
		JOIN edge AS e ON e.confrelid = w.relid
		WHERE w.steps < 24 AND NOT EXISTS (SELECT 1 FROM guarded AS g WHERE g.relid = e.conrelid)
	),
	nearest AS MATERIALIZED (
		SELECT w.relid, pg_catalog.min(w.steps) AS steps FROM reach AS w GROUP BY w.relid
	),
	hop AS MATERIALIZED (
		SELECT DISTINCT ON (n.relid) n.relid, e.confrelid AS target, e.complete,
			pg_catalog.format('%s%s to %s', e.list, CASE WHEN e.complete THEN '' ELSE ' (may be NULL)' END,
				e.confrelid::regclass) AS words
		FROM nearest AS n
		JOIN edge AS e ON e.conrelid = n.relid
		JOIN nearest AS t ON t.relid = e.confrelid AND t.steps = n.steps - 1
		WHERE n.steps > 0
		ORDER BY n.relid, e.complete DESC, e.conname
	),
	path (relid, target, words, complete, steps) AS (
		SELECT h.relid, h.target, h.words, h.complete, 1 FROM hop AS h
		UNION ALL
		SELECT p.relid, h.target, p.words || ', ' || h.words, p.complete AND h.complete, p.steps + 1
		FROM path AS p
		JOIN hop AS h ON h.relid = p.target
	),
	derived AS MATERIALIZED (
		SELECT DISTINCT ON (p.relid) p.relid, p.words, p.complete,
			p.target IN (SELECT s.relid FROM sure AS s) AS sure
		FROM path AS p
		ORDER BY p.relid, p.steps DESC
	),
	referenced AS MATERIALIZED (
		SELECT DISTINCT e.confrelid AS relid
		FROM edge AS e
		JOIN nearest AS n ON n.relid = e.conrelid
	),
	unfit AS MATERIALIZED (
		SELECT l.relid, pg_catalog.string_agg(pg_catalog.quote_ident(l.attname), ', ' ORDER BY l.attnum) AS list
		FROM called AS l
		WHERE l.proper
			AND NOT EXISTS (SELECT 1 FROM candidate AS c WHERE c.relid = l.relid AND c.attnum = l.attnum)
			AND NOT EXISTS (SELECT 1 FROM elsewhere AS e WHERE e.relid = l.relid AND e.attnum = l.attnum)
		GROUP BY l.relid
	),
	homonym AS MATERIALIZED (
		SELECT e.relid, pg_catalog.string_agg(pg_catalog.format('; column %I leads to %s, not to the registry',
			a.attname, e.target::regclass), '' ORDER BY e.attnum) AS words
		FROM elsewhere AS e
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.relid AND a.attnum = e.attnum
		GROUP BY e.relid
	)
	SELECT r.oid::regclass, v.mode, v.tenant_column, v.confidence,
		v.reason || CASE
			WHEN v.rule = 1 THEN ''
			WHEN v.tenant_column IS NOT NULL AND v.rule <> 2 AND p.invented IS NOT NULL
				THEN pg_catalog.format('; its default %s invents a tenant and is replaced', p.invented)
			WHEN p.relid IS NULL THEN COALESCE(h.words, '')
			ELSE '' END,
		CASE WHEN v.rule > 2 THEN f.names END
	FROM rel AS r
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = r.oid
	LEFT JOIN pick AS p ON p.relid = r.oid
	LEFT JOIN field AS f ON f.relid = r.oid
	LEFT JOIN derived AS d ON d.relid = r.oid
	LEFT JOIN homonym AS h ON h.relid = r.oid
	LEFT JOIN unfit AS b ON b.relid = r.oid
	LEFT JOIN referenced AS n ON n.relid = r.oid
	LEFT JOIN (SELECT DISTINCT e.conrelid AS relid FROM edge AS e) AS o ON o.relid = r.oid
	CROSS JOIN LATERAL (
		SELECT CASE WHEN p.attnotnull OR r.relkind IN ('m', 'f') THEN 'tenant' ELSE 'tenant_or_shared' END AS mode,
			CASE WHEN p.attnotnull OR r.relkind IN ('m', 'f') THEN '' ELSE ', but it may be NULL: shared rows, or NOT NULL is missing' END AS but
	) AS w
	CROSS JOIN LATERAL (
		SELECT c.*
		FROM (VALUES
			(1, g.relid IS NOT NULL, g.mode, g.tenant_column, 'certain', 'already recorded'),
			(2, r.oid = root_id, 'root', (SELECT y.key_column FROM tenantguard.registry AS y), 'certain',
				'the adopted registry'),
			(3, r.relkind = 'm' AND p.relid IS NULL, NULL, NULL, 'unknown',
				'a materialized view without a tenant column; use REVOKE, or add the column to its query'),
			(4, r.relkind = 'f' AND p.relid IS NULL, NULL, NULL, 'unknown',
				'a foreign table without a tenant column; use REVOKE, share() or exempt()'),
			(5, f.stated > 1, NULL, NULL, 'unknown',
				'several of the columns that were named: ' || f.stated_list),
			(6, f.stated <> 1 AND f.tied > 1, NULL, NULL, 'unknown',
				'several columns lead to the registry: ' || f.tied_list),
			(7, NOT p.fits, NULL, p.attname, 'unknown',
				'the type of column ' || p.word || ' does not go with the registry''s key'),
			(8, p.stated AND NOT p.tied, w.mode, p.attname, CASE w.mode WHEN 'tenant' THEN 'certain' ELSE 'likely' END,
				'column ' || p.word || ' was named, no foreign key ties it to the registry' || w.but),
			(9, classify.stated IS NOT NULL AND p.tied AND NOT p.stated, w.mode, p.attname, 'likely',
				'a foreign key ties column ' || p.word || ' to the registry, but it was not named' || w.but),
			(10, classify.stated IS NOT NULL AND p.relid IS NOT NULL AND NOT p.stated, NULL, NULL, 'unknown',
				'called like a tenant column, but not named: ' || f.list),
			(11, NOT p.stated AND p.tied AND f.rivals IS NOT NULL AND (NOT p.called OR f.usual_rival AND NOT p.usual),
				NULL, NULL, 'unknown',
				'a foreign key ties column ' || p.word || ' to the registry, but others are called like the tenant column: ' || f.rivals),
			(12, p.tied, w.mode, p.attname, CASE w.mode WHEN 'tenant' THEN 'certain' ELSE 'likely' END,
				'a foreign key ties column ' || p.word || ' to the registry' || w.but
				|| CASE WHEN f.tied > 1 THEN '; it was named, of several that lead there: ' || f.tied_list ELSE '' END),
			(13, f.all_of_them > 1 AND f.has_usual IS NOT TRUE, NULL, NULL, 'unknown',
				'several columns are called like a tenant column: ' || f.list),
			(14, p.relid IS NOT NULL, w.mode, p.attname, 'likely',
				'column ' || p.word || ' has the name and type of a tenant column, no foreign key ties it to the registry' || w.but
				|| CASE WHEN f.all_of_them > 1 THEN '; called like one as well: ' || f.list ELSE '' END),
			(15, tenantguard.is_bookkeeping(r.relname), 'exempt', NULL, 'likely',
				'called like the bookkeeping of a migration tool'),
			(16, d.relid IS NULL AND b.relid IS NOT NULL, NULL, NULL, 'unknown',
				'called like a tenant column, but of a kind that cannot hold the tenant: ' || b.list),
			(17, d.relid IS NOT NULL, 'derived', NULL,
				CASE WHEN d.complete AND d.sure THEN 'certain' ELSE 'likely' END,
				'no tenant column; foreign keys lead from ' || d.words),
			(18, n.relid IS NOT NULL, 'shared', NULL, 'likely',
				'no foreign key leads to a tenant, and tenants'' tables refer to it'),
			(19, o.relid IS NULL, 'shared', NULL, 'unknown',
				'no foreign key says what it is: shared, exempt, or a tenant column is missing'),
			(20, true, 'shared', NULL, 'unknown',
				'its foreign keys do not lead to a tenant')
		) AS c (rule, applies, mode, tenant_column, confidence, reason)
		WHERE c.applies
		ORDER BY c.rule
		LIMIT 1
	) AS v
	ORDER BY r.relname;
END
$$;
COMMENT ON FUNCTION tenantguard.classify(regnamespace, name[]) IS
	'What propose() says from the catalogs alone, and every column that could name the tenant, where there is one. Raises 22023 when no registry is adopted.';

CREATE FUNCTION tenantguard.count_tenants(relation regclass, column_name name)
RETURNS TABLE (looked_at bigint, nulls bigint, strangers bigint)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Joined, not looked up row by row: the registry may be large.
	RETURN QUERY EXECUTE pg_catalog.format($query$
		SELECT pg_catalog.count(*),
			pg_catalog.count(*) FILTER (WHERE s.tenant IS NULL),
			pg_catalog.count(*) FILTER (WHERE s.tenant IS NOT NULL AND r.%2$I IS NULL)
		FROM (SELECT t.%4$I::pg_catalog.text AS tenant FROM %3$s AS t LIMIT 10000) AS s
		LEFT JOIN %1$s AS r ON r.%2$I::pg_catalog.text = s.tenant$query$,
		(SELECT r.registry FROM tenantguard.registry AS r), (SELECT r.key_column FROM tenantguard.registry AS r),
		count_tenants.relation, count_tenants.column_name);
END
$$;
COMMENT ON FUNCTION tenantguard.count_tenants(regclass, name) IS
	'In the first 10000 rows of the table: how many there are, in how many the column is NULL, and in how many it names no tenant of the registry. Sees what its caller sees.';

CREATE FUNCTION tenantguard.weigh(relation regclass, mode text, tenant_column name, confidence text, reason text, candidates name[])
RETURNS TABLE (new_mode text, new_column name, new_confidence text, new_reason text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH seen AS MATERIALIZED (
		SELECT c.name, c.place, n.*
		FROM pg_catalog.unnest(weigh.candidates) WITH ORDINALITY AS c (name, place)
		CROSS JOIN LATERAL tenantguard.count_tenants(weigh.relation, c.name) AS n
	),
	-- Data cannot prove a column: small numbers are somebody's key by chance.
	-- But it can leave only one.
	fits AS MATERIALIZED (
		SELECT pg_catalog.count(*) AS number, pg_catalog.min(s.name::text)::name AS name
		FROM seen AS s
		WHERE s.looked_at > 0 AND s.nulls = 0 AND s.strangers = 0
	),
	chosen AS MATERIALIZED (
		SELECT s.* FROM seen AS s WHERE s.name = weigh.tenant_column
	)
	SELECT
		CASE WHEN weigh.tenant_column IS NULL AND f.number = 1 THEN 'tenant'
			WHEN weigh.mode = 'tenant_or_shared' AND c.looked_at > 0 AND c.nulls = 0 THEN 'tenant'
			ELSE weigh.mode END,
		CASE WHEN weigh.tenant_column IS NULL AND f.number = 1 THEN f.name ELSE weigh.tenant_column END,
		CASE WHEN weigh.tenant_column IS NULL AND f.number = 1 THEN 'likely'
			WHEN c.strangers > 0 THEN 'unknown'
			ELSE weigh.confidence END,
		weigh.reason || (
			SELECT pg_catalog.string_agg(
				CASE WHEN s.looked_at = 0 THEN pg_catalog.format('; %I: no rows', s.name)
					ELSE pg_catalog.format('; %I: of %s rows %s NULL, %s of no tenant', s.name, s.looked_at, s.nulls, s.strangers) END,
				'' ORDER BY s.place)
			FROM seen AS s)
	FROM fits AS f
	LEFT JOIN chosen AS c ON true
$$;
COMMENT ON FUNCTION tenantguard.weigh(regclass, text, name, text, text, name[]) IS
	'A proposal after a look at the data: unknown when the column holds what is no tenant, tenant instead of tenant_or_shared when no row is NULL, and likely when only one of several candidates holds nothing but tenants. Never certain by data.';

CREATE FUNCTION tenantguard.require_whole_sight()
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
		OR (tenantguard.preloaded() AND tenantguard.current_bypass() IS NULL) THEN
		RAISE EXCEPTION 'cannot look at the data of all tenants'
			USING ERRCODE = '42501', CONSTRAINT = 'tenantguard_bypass_denied',
				DETAIL = 'bypass_denied: that takes a superuser and an open bypass; others do not see all rows.',
				HINT = 'Use SELECT tenantguard.begin_bypass(''reason'') in the same transaction, as a superuser.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_whole_sight() IS
	'Returns when the caller sees the rows of all tenants whatever the policies say: a superuser, under a bypass where the library is loaded. Raises 42501 otherwise.';

CREATE FUNCTION tenantguard.propose(schema regnamespace, tenant_columns name[] DEFAULT NULL, with_data boolean DEFAULT false)
RETURNS TABLE (relation regclass, mode text, tenant_column name, confidence text, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF with_data IS NOT TRUE THEN
		RETURN QUERY
			SELECT c.relation, c.mode, c.tenant_column, c.confidence, c.reason
			FROM tenantguard.classify(propose.schema, propose.tenant_columns) AS c;
		RETURN;
	END IF;
	PERFORM tenantguard.require_whole_sight();
	RETURN QUERY
		SELECT c.relation, COALESCE(w.new_mode, c.mode), COALESCE(w.new_column, c.tenant_column),
			COALESCE(w.new_confidence, c.confidence), COALESCE(w.new_reason, c.reason)
		FROM tenantguard.classify(propose.schema, propose.tenant_columns) AS c
		JOIN pg_catalog.pg_class AS r ON r.oid = c.relation
		LEFT JOIN LATERAL (
			SELECT x.*
			FROM tenantguard.weigh(c.relation, c.mode, c.tenant_column, c.confidence, c.reason, c.candidates) AS x
			-- A foreign table is not asked, nor a foreign partition: it would
			-- call its server.
			WHERE r.relkind IN ('r', 'p') AND c.candidates IS NOT NULL
				AND NOT EXISTS (
					SELECT 1
					FROM tenantguard.table_family(c.relation) AS m
					JOIN pg_catalog.pg_class AS k ON k.oid = m.member
					WHERE k.relkind = 'f')
		) AS w ON true
		ORDER BY r.relname;
END
$$;
COMMENT ON FUNCTION tenantguard.propose(regnamespace, name[], boolean) IS
	'One row for each table, foreign table and materialized view of the schema, without partitions, inheritance children and members of extensions: the mode it should have (NULL where no command exists), its tenant column, how sure that is (certain: recorded, a foreign key says so, or the column was named; likely: a name or the neighbours say so; unknown: a person must decide) and why. tenant_columns: names that are the tenant column wherever a table has exactly one of them. with_data: looks at up to 10000 rows of each table with a candidate; for superusers under a bypass (42501). Changes nothing. Raises 22023 when no registry is adopted.';

CREATE FUNCTION tenantguard.protect_one(relation regclass, mode text, tenant_column name, dry_run boolean)
RETURNS TABLE (action text, reason text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(relation);
	changes		bigint := 0;
	message		text;
	detail		text;
BEGIN
	IF mode IN ('tenant', 'root', 'tenant_or_shared') THEN
		SELECT pg_catalog.count(*) INTO changes
		FROM tenantguard.protect(relation, tenant_column, mode = 'tenant_or_shared', dry_run) AS s;
	ELSIF mode = 'shared' THEN
		SELECT pg_catalog.count(*) INTO changes FROM tenantguard.share(relation, dry_run) AS s;
	ELSIF mode = 'derived' AND dry_run IS NOT FALSE AND recorded.relid IS NULL THEN
		changes := 1;	-- its parents may not be guarded yet
	ELSIF mode = 'derived' THEN
		SELECT pg_catalog.count(*) INTO changes FROM tenantguard.derive(relation, NULL, dry_run) AS s;
	END IF;
	RETURN QUERY SELECT
		CASE WHEN changes = 0 THEN 'already' ELSE 'protected' END,
		CASE WHEN recorded.relid IS NOT NULL AND changes > 0 THEN 'something was missing' END;
EXCEPTION
	WHEN invalid_parameter_value OR insufficient_privilege THEN
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
		RETURN QUERY SELECT 'listed'::text, pg_catalog.concat_ws('; ', message, NULLIF(detail, ''));
END
$$;
COMMENT ON FUNCTION tenantguard.protect_one(regclass, text, name, boolean) IS
	'One step of protect_all(): brings a table to its mode and says whether that changed something. A table that is refused (42501, 22023) is listed with the refusal.';

CREATE FUNCTION tenantguard.require_locks(wanted bigint, schema regnamespace)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	sessions	bigint := pg_catalog.current_setting('max_connections')::bigint
		+ pg_catalog.current_setting('max_prepared_transactions')::bigint;
	room		bigint := pg_catalog.current_setting('max_locks_per_transaction')::bigint * sessions;
BEGIN
	IF require_locks.wanted * 4 > room * 3 THEN
		RAISE EXCEPTION 'too many tables to lock at once in schema %', require_locks.schema
			USING ERRCODE = '53400',
				DETAIL = pg_catalog.format('Found: %s tables and partitions to protect. The server has room for about %s locks, of all sessions together.',
					require_locks.wanted, room),
				HINT = pg_catalog.format('Protect them one by one: in psql, SELECT pg_catalog.format(''SELECT tenantguard.protect(%%L, %%L)'', relation, tenant_column) FROM tenantguard.protect_all(%L, dry_run => true) WHERE action = ''protected'' \gexec. Or set max_locks_per_transaction to %s and restart.',
					require_locks.schema, require_locks.wanted * 2 / sessions + 1);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_locks(bigint, regnamespace) IS
	'Returns when a transaction may lock so many relations and leave a quarter of the server''s lock table to others, which would fail without it. Raises 53400.';

CREATE FUNCTION tenantguard.protect_all(schema regnamespace, dry_run boolean DEFAULT false, tenant_columns name[] DEFAULT NULL)
RETURNS TABLE (relation regclass, mode text, tenant_column name, action text, reason text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	proposal	record;
	counted		boolean := protect_all.dry_run IS NOT FALSE;
	waiting		oid[] := '{}';
	reasons		text[] := '{}';
BEGIN
	FOR proposal IN
		SELECT p.*,
			pg_catalog.sum(CASE
				WHEN p.confidence <> 'certain' OR g.relid IS NOT NULL THEN 0
				WHEN c.relhassubclass THEN (SELECT pg_catalog.count(*) FROM tenantguard.table_family(c.oid) AS f)
				ELSE 1 END) OVER ()::bigint AS locks
		FROM tenantguard.propose(protect_all.schema, protect_all.tenant_columns) AS p
		JOIN pg_catalog.pg_class AS c ON c.oid = p.relation
		LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = p.relation
		ORDER BY c.relname
	LOOP
		IF NOT counted THEN
			PERFORM tenantguard.require_locks(proposal.locks, protect_all.schema);
			counted := true;
		END IF;
		IF proposal.confidence = 'certain' AND proposal.mode = 'derived' THEN
			waiting := waiting || proposal.relation::oid;
			reasons := reasons || proposal.reason;
		ELSIF proposal.confidence = 'certain' THEN
			RETURN QUERY
				SELECT proposal.relation, proposal.mode, proposal.tenant_column,
					o.action, COALESCE(o.reason, proposal.reason)
				FROM tenantguard.protect_one(proposal.relation, proposal.mode,
					proposal.tenant_column, protect_all.dry_run) AS o;
		ELSE
			RETURN QUERY
				SELECT proposal.relation, proposal.mode, proposal.tenant_column, 'listed'::text,
					pg_catalog.format('%s: %s', proposal.confidence, proposal.reason);
		END IF;
	END LOOP;

	-- What is derived comes after all that it could be derived from.
	IF waiting <> '{}' THEN
		FOR proposal IN
			SELECT o.relation, w.reason
			FROM ROWS FROM (pg_catalog.unnest(waiting), pg_catalog.unnest(reasons)) AS w (relid, reason)
			JOIN tenantguard.in_dependency_order(protect_all.schema) AS o ON o.relation = w.relid
			JOIN pg_catalog.pg_class AS c ON c.oid = w.relid
			ORDER BY o.place, c.relname
		LOOP
			RETURN QUERY
				SELECT proposal.relation, 'derived'::text, NULL::name, o.action, COALESCE(o.reason, proposal.reason)
				FROM tenantguard.protect_one(proposal.relation, 'derived', NULL, protect_all.dry_run) AS o;
		END LOOP;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.protect_all(regnamespace, boolean, name[]) IS
	'Protects every table of the schema about which propose() with the same tenant_columns is certain, derived ones last, repairs those recorded before, and lists the rest. Returns for each what it did: protected (with dry_run: would be), already, or listed with the reason. The registry may be in another schema. Raises 22023 when no registry is adopted, 53400 when the server''s lock table is too small for all of them.';
