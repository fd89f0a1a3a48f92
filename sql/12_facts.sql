-- 12_facts.sql: questions about a schema, asked of the catalogs. The later
-- chapters decide with them; none changes anything or runs a user's function.
--
-- What is asked again for every table of a schema is PL/pgSQL, here and in the
-- next chapters: it keeps its plans, while a function in SQL would be planned
-- at each call. ROWS is near the truth, since the server's guess of 1,000 for
-- each function would have it compile a query of two (jit). Where a plan is
-- made while a table is small and kept while thousands of rows are added, it
-- must not be a sequential scan: enable_seqscan.

-- In PL/pgSQL, which keeps its plans: asked for each type and each column.
CREATE FUNCTION tenantguard.type_family(type oid)
RETURNS text
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	base	oid := type_family.type;
	over	oid;
BEGIN
	LOOP
		SELECT t.typbasetype INTO over
		FROM pg_catalog.pg_type AS t
		WHERE t.oid = base AND t.typtype = 'd';
		EXIT WHEN NOT FOUND;
		base := over;
	END LOOP;
	RETURN CASE base
		WHEN 'pg_catalog.int4'::pg_catalog.regtype THEN 'integer'
		WHEN 'pg_catalog.int8'::pg_catalog.regtype THEN 'bigint'
		WHEN 'pg_catalog.uuid'::pg_catalog.regtype THEN 'uuid'
		WHEN 'pg_catalog.text'::pg_catalog.regtype THEN 'text'
		WHEN 'pg_catalog.varchar'::pg_catalog.regtype THEN 'text'
	END;
END
$$;
COMMENT ON FUNCTION tenantguard.type_family(oid) IS
	'The key type that a column type stands for: integer, bigint, uuid or text (varchar counts as text, a domain as what it is over); NULL for types that cannot hold a tenant.';

CREATE FUNCTION tenantguard.types_agree(column_type oid, key_type oid)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	column_family text := tenantguard.type_family(types_agree.column_type);
	key_family	text := tenantguard.type_family(types_agree.key_type);
BEGIN
	RETURN CASE
		WHEN column_family IS NULL THEN false
		WHEN key_family IS NULL OR column_family = 'text' THEN true
		WHEN column_family IN ('integer', 'bigint') THEN key_family IN ('integer', 'bigint')
		ELSE column_family = key_family
	END;
END
$$;
COMMENT ON FUNCTION tenantguard.types_agree(oid, oid) IS
	'Whether a column of the first type can name a tenant whose key has the second: text goes with every key, the integers with each other. A key type of NULL (no registry adopted) agrees with every type that can hold a tenant.';

CREATE FUNCTION tenantguard.registry_key()
RETURNS TABLE (relid oid, attnum smallint, type oid)
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	adopted	tenantguard.registry;
BEGIN
	-- Not a join: the server does not know that this table has one row, and
	-- would read the columns of every table.
	SELECT r.* INTO adopted FROM tenantguard.registry AS r;
	RETURN QUERY
	SELECT adopted.registry::oid, a.attnum, a.atttypid
	FROM pg_catalog.pg_attribute AS a
	WHERE a.attrelid = adopted.registry AND a.attname = adopted.key_column AND NOT a.attisdropped;
END
$$;
COMMENT ON FUNCTION tenantguard.registry_key() IS
	'The adopted registry, the number of its key column and that column''s type; no row before adopt_registry().';

CREATE FUNCTION tenantguard.tenant_columns()
RETURNS TABLE (relid oid, attnum smallint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE
	pair AS MATERIALIZED (
		SELECT c.conrelid, k.attnum, c.confrelid, k.refnum
		FROM pg_catalog.pg_constraint AS c
		CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) AS k (attnum, refnum)
		WHERE c.contype = 'f'
			AND c.conparentid = 0
			-- PostgreSQL 18 knows foreign keys that are not enforced. Before it
			-- there is no such column, and to look for it takes its time.
			AND (pg_catalog.current_setting('server_version_num')::integer < 180000
				 OR COALESCE(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true')
	),
	tied (relid, attnum) AS (
		SELECT r.relid, r.attnum
		FROM tenantguard.registry_key() AS r
		UNION
		SELECT p.conrelid, p.attnum
		FROM tied AS t
		JOIN pair AS p ON p.confrelid = t.relid AND p.refnum = t.attnum
		WHERE NOT EXISTS (SELECT 1 FROM tenantguard.registry AS r WHERE r.registry = p.conrelid)
	)
	SELECT t.relid, t.attnum
	FROM tied AS t
	WHERE NOT EXISTS (SELECT 1 FROM tenantguard.registry AS r WHERE r.registry = t.relid)
$$;
COMMENT ON FUNCTION tenantguard.tenant_columns() IS
	'Every column that foreign keys tie to the key of the registry, directly or through the same column of another table, alone or as part of a composite key. Names play no part.';

CREATE FUNCTION tenantguard.tenant_names()
RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES ('orgid'), ('organizationid'), ('organisationid'), ('tenantid'),
		('accountid'), ('companyid'), ('workspaceid')
	UNION
	SELECT t.plain || 'id'
	FROM tenantguard.registry AS r
	JOIN pg_catalog.pg_class AS c ON c.oid = r.registry
	CROSS JOIN LATERAL (VALUES
		(pg_catalog.lower(pg_catalog.replace(c.relname, '_', ''))),
		(pg_catalog.rtrim(pg_catalog.lower(pg_catalog.replace(c.relname, '_', '')), 's'))
	) AS t (plain)
$$;
COMMENT ON FUNCTION tenantguard.tenant_names() IS
	'What tenant columns are usually called, in lower case without underscores (orgid, tenantid, the registry''s name and id, ...). Good for a proposal, never for a decision.';

-- Asked several times for each table. Most have no children, which one look-up
-- in the index says; a hash of pg_inherits would read all partitions there are.
CREATE FUNCTION tenantguard.table_family(relation oid)
RETURNS TABLE (member oid)
LANGUAGE plpgsql STABLE STRICT ROWS 2
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
	RETURN QUERY
	WITH RECURSIVE family (relid) AS (
		SELECT table_family.relation
		UNION
		SELECT i.inhrelid
		FROM family AS f
		JOIN pg_catalog.pg_inherits AS i ON i.inhparent = f.relid
	)
	SELECT f.relid FROM family AS f;
END
$$;
COMMENT ON FUNCTION tenantguard.table_family(oid) IS
	'The table itself and every partition and inheritance child below it.';

CREATE FUNCTION tenantguard.require_table(relation regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
	rel		pg_catalog.pg_class;
	schema	name;
	parent	regclass;
	what	text;
	help	text;
BEGIN
	SELECT c.* INTO rel FROM pg_catalog.pg_class AS c WHERE c.oid = require_table.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no relation is named'
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Found: %s.', COALESCE(relation::text, 'NULL')),
				HINT = 'Use the name of a table, for example ''public.tickets''.';
	END IF;
	schema := rel.relnamespace::pg_catalog.regnamespace;

	IF NOT pg_catalog.pg_has_role(rel.relowner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of table "%"', rel.relname
			USING ERRCODE = '42501',
				DETAIL = pg_catalog.format('The owner is role "%s".', pg_catalog.pg_get_userbyid(rel.relowner)),
				HINT = pg_catalog.format('Use SET ROLE %I, or call as a superuser.', pg_catalog.pg_get_userbyid(rel.relowner));
	END IF;

	SELECT i.inhparent::regclass INTO parent
	FROM pg_catalog.pg_inherits AS i
	WHERE i.inhrelid = rel.oid
	ORDER BY i.inhseqno
	LIMIT 1;

	IF rel.oid < 16384 OR rel.relnamespace IN ('pg_catalog'::pg_catalog.regnamespace,
											   'pg_toast'::pg_catalog.regnamespace) THEN
		what := 'it belongs to the system.';
		help := 'Use a table of your own schema; tenantguard.propose() lists them.';
	ELSIF EXISTS (
		SELECT 1
		FROM pg_catalog.pg_depend AS d
		WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = rel.oid
			AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
	) THEN
		what := 'it belongs to an extension.';
		help := 'Use a table of your own schema; tenantguard.propose() lists them.';
	ELSIF rel.relkind = 'v' THEN
		what := 'it is a view.';
		help := 'Use tenantguard.protect() for the tables below it: what the view shows is filtered with them.';
	ELSIF rel.relkind NOT IN ('r', 'p', 'm', 'f') THEN
		what := 'it is not a table.';
		help := 'Use the name of a table.';
	ELSIF rel.relpersistence = 't' THEN
		what := 'it is a temporary table.';
		help := 'Temporary tables belong to one session. Use tenantguard.protect() for permanent tables.';
	ELSIF parent IS NOT NULL THEN
		what := CASE WHEN rel.relispartition
			THEN pg_catalog.format('it is a partition of %s.', parent)
			ELSE pg_catalog.format('it inherits from %s.', parent) END;
		help := pg_catalog.format('Protect the parent, which covers its children: SELECT tenantguard.protect(%L).', parent);
	ELSE
		RETURN;
	END IF;

	RAISE EXCEPTION 'cannot guard relation "%"."%"', schema, rel.relname
		USING ERRCODE = '22023', DETAIL = 'Found: ' || what, HINT = help;
END
$$;
COMMENT ON FUNCTION tenantguard.require_table(regclass) IS
	'Returns when the caller owns the relation and it is a table, a foreign table or a materialized view, and nobody''s child. Raises 42501 for another owner; 22023 for system, extension and temporary tables, views, partitions and inheritance children.';

CREATE FUNCTION tenantguard.require_tenant_column(relation regclass, column_name name, is_registry boolean)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	att		pg_catalog.pg_attribute;
	key		record;
	what	text;
	help	text;
BEGIN
	SELECT a.* INTO att
	FROM pg_catalog.pg_attribute AS a
	WHERE a.attrelid = require_tenant_column.relation
		AND a.attname = require_tenant_column.column_name
		AND a.attnum > 0 AND NOT a.attisdropped;
	SELECT k.* INTO key FROM tenantguard.registry_key() AS k;

	IF att.attnum IS NULL THEN
		what := 'there is no such column.';
		help := pg_catalog.format('Its columns are %s.', (
			SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
			FROM pg_catalog.pg_attribute AS a
			WHERE a.attrelid = require_tenant_column.relation AND a.attnum > 0 AND NOT a.attisdropped));
	ELSIF tenantguard.type_family(att.atttypid) IS NULL THEN
		what := pg_catalog.format('its type is %s.', pg_catalog.format_type(att.atttypid, att.atttypmod));
		help := 'Use a column of type integer, bigint, uuid, text, varchar or a domain over one of them; ALTER TABLE ... ALTER COLUMN ... TYPE changes it.';
	ELSIF att.attgenerated <> '' THEN
		what := 'it is a generated column, which cannot be filled in.';
		help := 'Use an ordinary column; ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION makes one of it.';
	ELSIF EXISTS (
		SELECT 1 FROM pg_catalog.pg_collation AS l
		WHERE l.oid = att.attcollation AND NOT l.collisdeterministic
	) THEN
		what := 'its collation is not deterministic, so that two spellings could be one tenant.';
		help := 'Use ALTER TABLE ... ALTER COLUMN ... TYPE text COLLATE "C".';
	ELSIF NOT is_registry AND att.attidentity <> '' THEN
		what := 'it is an identity column, whose values no tenant has.';
		help := 'Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY, or name another column.';
	ELSIF NOT is_registry AND NOT tenantguard.types_agree(att.atttypid, key.type) THEN
		what := pg_catalog.format('its type is %s, the key of the registry %s has type %s.',
			pg_catalog.format_type(att.atttypid, att.atttypmod), key.relid::regclass,
			pg_catalog.format_type(key.type, NULL));
		help := 'Use ALTER TABLE ... ALTER COLUMN ... TYPE, or name another column.';
	ELSE
		RETURN;
	END IF;

	RAISE EXCEPTION 'column "%" of table % cannot hold the tenant', column_name, relation
		USING ERRCODE = '22023', DETAIL = 'Found: ' || what, HINT = help;
END
$$;
COMMENT ON FUNCTION tenantguard.require_tenant_column(regclass, name, boolean) IS
	'Returns when the column can hold the tenant; the key of a registry may be an identity and sets the type. Raises 22023 when it is missing, generated, an identity, of a type that cannot hold a tenant or does not go with the registry''s key, or of a collation that is not deterministic.';

CREATE FUNCTION tenantguard.quarantines()
RETURNS SETOF oid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT g.relid::oid
	FROM tenantguard.guarded_relation AS g
	JOIN pg_catalog.pg_constraint AS c ON c.conrelid = g.relid AND c.conname = 'tenantguard_quarantine'
	WHERE g.tenant_column = 'quarantined_tenant' AND c.contype = 'c' AND c.convalidated
		AND pg_catalog.pg_get_constraintdef(c.oid) = 'CHECK ((quarantined_tenant IS NULL))'
$$;
COMMENT ON FUNCTION tenantguard.quarantines() IS
	'The tables that quarantine() made: no row of them has a tenant.';
