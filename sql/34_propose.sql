-- 34_propose.sql: what the tables of a schema probably are. Foreign keys
-- decide; names only propose. One query over the catalogs, so that a schema
-- of thousands of tables takes no longer than its largest join.

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
		'_sqlx_migrations', '__diesel_schema_migrations', 'refinery_schema_history')
$$;
COMMENT ON FUNCTION tenantguard.is_bookkeeping(name) IS
	'Whether a table is called like the bookkeeping of a migration tool.';

CREATE FUNCTION tenantguard.propose(schema regnamespace)
RETURNS TABLE (relation regclass, mode text, tenant_column name, confidence text, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	root_id		oid;
	root_type	oid;
BEGIN
	SELECT k.relid, k.type INTO root_id, root_type FROM tenantguard.registry_key() AS k;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no registry is adopted'
			USING ERRCODE = '22023',
				DETAIL = 'What a table is follows from its foreign keys to the table of tenants.',
				HINT = 'Use SELECT tenantguard.adopt_registry(''public.organizations'', ''id'') first.';
	END IF;

	RETURN QUERY
	WITH RECURSIVE
	rel AS MATERIALIZED (
		SELECT c.oid, c.relname, c.relkind
		FROM pg_catalog.pg_class AS c
		WHERE c.relnamespace = propose.schema
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
		SELECT t.relid, a.attname, a.attnum, a.attnotnull,
			EXISTS (SELECT 1 FROM fitting AS y WHERE y.type = a.atttypid) AS fits
		FROM tenantguard.tenant_columns() AS t
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.relid AND a.attnum = t.attnum
	),
	certain AS MATERIALIZED (
		SELECT t.relid,
			pg_catalog.count(*) AS candidates,
			pg_catalog.string_agg(pg_catalog.quote_ident(t.attname), ', ' ORDER BY t.attnum) AS list,
			(pg_catalog.array_agg(t.attname ORDER BY t.attnum))[1] AS attname,
			pg_catalog.bool_and(t.attnotnull) AS attnotnull,
			pg_catalog.bool_and(t.fits) AS fits
		FROM tied AS t
		GROUP BY t.relid
	),
	usual AS MATERIALIZED (
		SELECT pg_catalog.mode() WITHIN GROUP (ORDER BY t.attname) AS attname
		FROM certain AS t
		WHERE t.candidates = 1
	),
	-- Columns that are only called like one.
	named AS MATERIALIZED (
		SELECT r.oid AS relid,
			pg_catalog.count(*) AS candidates,
			pg_catalog.bool_or(a.attname = u.attname) AS has_usual,
			pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) AS list,
			(pg_catalog.array_agg(a.attname ORDER BY (a.attname = u.attname) DESC NULLS LAST, a.attnum))[1] AS attname,
			(pg_catalog.array_agg(a.attnotnull ORDER BY (a.attname = u.attname) DESC NULLS LAST, a.attnum))[1] AS attnotnull
		FROM rel AS r
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN fitting AS y ON y.type = a.atttypid
		CROSS JOIN usual AS u
		WHERE r.oid <> root_id
			AND (a.attname = u.attname
				 OR pg_catalog.lower(pg_catalog.replace(a.attname, '_', '')) IN (SELECT s.* FROM tenantguard.tenant_names() AS s))
			AND a.attgenerated = '' AND a.attidentity = ''
			AND NOT EXISTS (SELECT 1 FROM certain AS t WHERE t.relid = r.oid)
		GROUP BY r.oid
	),
	guarded AS MATERIALIZED (
		SELECT root_id AS relid
		UNION
		SELECT t.relid FROM certain AS t
		UNION
		SELECT n.relid FROM named AS n
		UNION
		SELECT g.relid::oid
		FROM tenantguard.guarded_relation AS g
		WHERE g.mode IN ('tenant', 'root', 'tenant_or_shared')
	),
	edge AS MATERIALIZED (
		SELECT c.conrelid, c.confrelid, pg_catalog.min(c.conname::text) AS conname
		FROM pg_catalog.pg_constraint AS c
		WHERE c.contype = 'f' AND c.conparentid = 0 AND c.conrelid <> c.confrelid
		GROUP BY c.conrelid, c.confrelid
	),
	-- Steps along foreign keys to a guarded table; a cycle ends at the limit.
	reach (relid, steps) AS (
		SELECT g.relid, 0 FROM guarded AS g
		UNION
		SELECT e.conrelid, w.steps + 1
		FROM reach AS w
		JOIN edge AS e ON e.confrelid = w.relid
		WHERE w.steps < 8 AND NOT EXISTS (SELECT 1 FROM guarded AS g WHERE g.relid = e.conrelid)
	),
	nearest AS MATERIALIZED (
		SELECT w.relid, pg_catalog.min(w.steps) AS steps FROM reach AS w GROUP BY w.relid
	),
	hop AS MATERIALIZED (
		SELECT DISTINCT ON (n.relid) n.relid, e.confrelid AS target
		FROM nearest AS n
		JOIN edge AS e ON e.conrelid = n.relid
		JOIN nearest AS t ON t.relid = e.confrelid AND t.steps = n.steps - 1
		WHERE n.steps > 0
		ORDER BY n.relid, e.conname
	),
	path (relid, target, words) AS (
		SELECT h.relid, h.target, h.target::regclass::text FROM hop AS h
		UNION ALL
		SELECT p.relid, h.target, p.words || ', ' || h.target::regclass::text
		FROM path AS p
		JOIN hop AS h ON h.relid = p.target
	),
	derived AS MATERIALIZED (
		SELECT DISTINCT ON (p.relid) p.relid, p.words
		FROM path AS p
		ORDER BY p.relid, pg_catalog.length(p.words) DESC
	),
	referenced AS MATERIALIZED (
		SELECT DISTINCT e.confrelid AS relid
		FROM edge AS e
		JOIN nearest AS n ON n.relid = e.conrelid
	)
	SELECT r.oid::regclass, v.mode, v.tenant_column, v.confidence, v.reason
	FROM rel AS r
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = r.oid
	LEFT JOIN certain AS t ON t.relid = r.oid
	LEFT JOIN named AS n ON n.relid = r.oid
	LEFT JOIN derived AS d ON d.relid = r.oid
	LEFT JOIN referenced AS f ON f.relid = r.oid
	LEFT JOIN (SELECT DISTINCT e.conrelid AS relid FROM edge AS e) AS o ON o.relid = r.oid
	CROSS JOIN LATERAL (
		SELECT c.*
		FROM (VALUES
			(1, g.relid IS NOT NULL, g.mode, g.tenant_column, 'certain', 'already recorded'),
			(2, r.oid = root_id, 'root', (SELECT y.key_column FROM tenantguard.registry AS y), 'certain',
				'the adopted registry'),
			(3, r.relkind = 'm' AND n.attname IS NULL, NULL, NULL, 'unknown',
				'a materialized view without a tenant column; use REVOKE, or add the column to its query'),
			(4, r.relkind = 'f' AND n.attname IS NULL, NULL, NULL, 'unknown',
				'a foreign table without a tenant column; use REVOKE, share() or exempt()'),
			(5, t.candidates > 1, NULL, NULL, 'unknown',
				'several columns lead to the registry: ' || t.list),
			(6, NOT t.fits, NULL, t.attname, 'unknown',
				'the type of column ' || pg_catalog.quote_ident(t.attname) || ' does not go with the registry''s key'),
			(7, t.attnotnull, 'tenant', t.attname, 'certain',
				'a foreign key ties column ' || pg_catalog.quote_ident(t.attname) || ' to the registry'),
			(8, t.relid IS NOT NULL, 'tenant_or_shared', t.attname, 'likely',
				'a foreign key ties column ' || pg_catalog.quote_ident(t.attname) || ' to the registry, but it may be NULL: shared rows, or NOT NULL is missing'),
			(9, n.candidates > 1 AND n.has_usual IS NOT TRUE, NULL, NULL, 'unknown',
				'several columns are called like a tenant column: ' || n.list),
			(10, n.attnotnull OR r.relkind IN ('m', 'f'), 'tenant', n.attname, 'likely',
				'column ' || pg_catalog.quote_ident(n.attname) || ' has the name and type of a tenant column, but no foreign key'),
			(11, n.relid IS NOT NULL, 'tenant_or_shared', n.attname, 'likely',
				'column ' || pg_catalog.quote_ident(n.attname) || ' has the name and type of a tenant column, but no foreign key, and may be NULL'),
			(12, tenantguard.is_bookkeeping(r.relname), 'exempt', NULL, 'likely',
				'called like the bookkeeping of a migration tool'),
			(13, d.relid IS NOT NULL, 'derived', NULL, 'unknown',
				'no tenant column; foreign keys lead to ' || d.words || ': add the column'),
			(14, f.relid IS NOT NULL, 'shared', NULL, 'likely',
				'no foreign key leads to a tenant, and tenants'' tables refer to it'),
			(15, o.relid IS NULL, 'shared', NULL, 'unknown',
				'no foreign key says what it is: shared, exempt, or a tenant column is missing'),
			(16, true, 'shared', NULL, 'unknown',
				'its foreign keys do not lead to a tenant')
		) AS c (rule, applies, mode, tenant_column, confidence, reason)
		WHERE c.applies
		ORDER BY c.rule
		LIMIT 1
	) AS v
	ORDER BY r.relname;
END
$$;
COMMENT ON FUNCTION tenantguard.propose(regnamespace) IS
	'One row for each table, foreign table and materialized view of the schema, without partitions, inheritance children and members of extensions: the mode it should have (NULL or derived where no command exists yet), its tenant column, how sure that is (certain: recorded, or a foreign key says so; likely: a name or the neighbours say so; unknown: a person must decide) and why. Changes nothing. Raises 22023 when no registry is adopted.';

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

CREATE FUNCTION tenantguard.protect_all(schema regnamespace, dry_run boolean DEFAULT false)
RETURNS TABLE (relation regclass, mode text, tenant_column name, action text, reason text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	proposal	record;
BEGIN
	FOR proposal IN
		SELECT p.* FROM tenantguard.propose(protect_all.schema) AS p
	LOOP
		IF proposal.confidence = 'certain' THEN
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
END
$$;
COMMENT ON FUNCTION tenantguard.protect_all(regnamespace, boolean) IS
	'Protects every table of the schema about which propose() is certain, repairs those recorded before, and lists the rest. Returns for each what it did: protected (with dry_run: would be), already, or listed with the reason. The registry may be in another schema. Raises 22023 when no registry is adopted.';
