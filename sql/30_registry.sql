-- 30_registry.sql: the user's own table of tenants becomes the registry.

-- A change of what is guarded, of the registry or of a grant reaches every
-- session at its commit. ALWAYS: a replica session must not keep old rules.
CREATE TRIGGER guarded_relation_changed
	AFTER INSERT OR UPDATE OR DELETE ON tenantguard.guarded_relation
	FOR EACH ROW EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER guarded_relation_truncated
	AFTER TRUNCATE ON tenantguard.guarded_relation
	FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER link_changed
	AFTER INSERT OR UPDATE OR DELETE ON tenantguard.link
	FOR EACH ROW EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER link_truncated
	AFTER TRUNCATE ON tenantguard.link
	FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER registry_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenantguard.registry
	FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER lost_registry_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenantguard.lost_registry
	FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER bypass_grant_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenantguard.bypass_grant
	FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.catalog_changed();
CREATE TRIGGER lookup_definition_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenantguard.lookup_definition
	FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.catalog_changed();

COMMENT ON TRIGGER guarded_relation_changed ON tenantguard.guarded_relation IS
	'Tells every session at commit which relation is judged anew.';
COMMENT ON TRIGGER guarded_relation_truncated ON tenantguard.guarded_relation IS
	'Tells every session at commit that all relations are judged anew.';
COMMENT ON TRIGGER link_changed ON tenantguard.link IS
	'Tells every session at commit that derived relations are judged anew.';
COMMENT ON TRIGGER link_truncated ON tenantguard.link IS
	'Tells every session at commit that all derived relations are judged anew.';
COMMENT ON TRIGGER registry_changed ON tenantguard.registry IS
	'Tells every session at commit that another registry holds.';
COMMENT ON TRIGGER lost_registry_changed ON tenantguard.lost_registry IS
	'Keeps what is remembered of a dropped registry from being removed by hand.';
COMMENT ON TRIGGER bypass_grant_changed ON tenantguard.bypass_grant IS
	'Tells every session at commit that grants were made or taken.';
COMMENT ON TRIGGER lookup_definition_changed ON tenantguard.lookup_definition IS
	'Keeps look-ups from being written by hand while a tenant is set, or by one who is not a superuser.';

ALTER TABLE tenantguard.guarded_relation ENABLE ALWAYS TRIGGER guarded_relation_changed;
ALTER TABLE tenantguard.guarded_relation ENABLE ALWAYS TRIGGER guarded_relation_truncated;
ALTER TABLE tenantguard.link ENABLE ALWAYS TRIGGER link_changed;
ALTER TABLE tenantguard.link ENABLE ALWAYS TRIGGER link_truncated;
ALTER TABLE tenantguard.registry ENABLE ALWAYS TRIGGER registry_changed;
ALTER TABLE tenantguard.lost_registry ENABLE ALWAYS TRIGGER lost_registry_changed;
ALTER TABLE tenantguard.bypass_grant ENABLE ALWAYS TRIGGER bypass_grant_changed;
ALTER TABLE tenantguard.lookup_definition ENABLE ALWAYS TRIGGER lookup_definition_changed;

CREATE FUNCTION tenantguard.require_registry(registry regclass, key name, status name, active_values text[])
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	rel		pg_catalog.pg_class;
	att		pg_catalog.pg_attribute;
	other	regclass;
	what	text;
	help	text;
BEGIN
	SELECT r.registry INTO other
	FROM tenantguard.registry AS r
	WHERE r.registry <> require_registry.registry;
	IF FOUND THEN
		RAISE EXCEPTION 'another registry is adopted already'
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Found: %s.', other),
				HINT = 'A database has one registry. If the other one was a mistake, use DELETE FROM tenantguard.registry and tenantguard.unprotect() on it first.';
	END IF;

	PERFORM tenantguard.require_table(require_registry.registry);
	PERFORM tenantguard.require_tenant_column(require_registry.registry, require_registry.key, true);
	SELECT c.* INTO rel FROM pg_catalog.pg_class AS c WHERE c.oid = require_registry.registry;
	SELECT a.* INTO att
	FROM pg_catalog.pg_attribute AS a
	WHERE a.attrelid = rel.oid AND a.attname = require_registry.key;

	IF rel.relkind <> 'r' OR EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = rel.oid) THEN
		what := 'it is partitioned or has children.';
		help := 'Use an ordinary table with one row for each tenant.';
	ELSIF rel.relpersistence <> 'p' THEN
		what := 'it is unlogged: after a crash there would be no tenants.';
		help := 'Use ALTER TABLE ... SET LOGGED.';
	ELSIF NOT att.attnotnull THEN
		what := pg_catalog.format('its key column %I may be NULL.', att.attname);
		help := pg_catalog.format('Use ALTER TABLE %s ALTER COLUMN %I SET NOT NULL.', rel.oid::regclass, att.attname);
	ELSIF NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_index AS i
		WHERE i.indrelid = rel.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
			AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = att.attnum
	) THEN
		what := pg_catalog.format('no valid, immediate unique index covers exactly its key column %I.', att.attname);
		help := pg_catalog.format('Use ALTER TABLE %s ADD UNIQUE (%I).', rel.oid::regclass, att.attname);
	ELSIF require_registry.status IS NOT NULL AND NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid = rel.oid AND a.attname = require_registry.status
			AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> att.attname
	) THEN
		what := pg_catalog.format('it has no column %I beside the key.', require_registry.status);
		help := 'Use the name of the column that says whether a tenant may work, or NULL.';
	ELSIF require_registry.active_values IS NULL
		OR pg_catalog.cardinality(require_registry.active_values) = 0
		OR pg_catalog.array_position(require_registry.active_values, NULL) IS NOT NULL THEN
		what := 'the list of active values is empty or holds NULL.';
		help := 'Use the values of the status column with which a tenant may work, for example ''{active,trial}''.';
	ELSE
		RETURN;
	END IF;

	RAISE EXCEPTION 'table % cannot be the registry', rel.oid::regclass
		USING ERRCODE = '22023', DETAIL = 'Found: ' || what, HINT = help;
END
$$;
COMMENT ON FUNCTION tenantguard.require_registry(regclass, name, name, text[]) IS
	'Returns when the table can be the registry. Raises 22023 when another one is adopted, or the table is not an ordinary logged table with a NOT NULL, uniquely indexed key.';

CREATE FUNCTION tenantguard.registry_triggers(registry regclass, key name, status name)
RETURNS TABLE (name name, type smallint, definition text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- The numbers are pg_trigger.tgtype: ROW 1, INSERT 4, DELETE 8, UPDATE 16,
	-- TRUNCATE 32. WHEN looks at the row as it was stored, after every BEFORE
	-- trigger, so last_seen and the like cost one comparison and no event.
	SELECT v.*
	FROM (VALUES
		('tenantguard_registry'::name, 13::smallint, pg_catalog.format(
			'CREATE OR REPLACE TRIGGER tenantguard_registry AFTER INSERT OR DELETE ON %s '
			'FOR EACH ROW EXECUTE FUNCTION tenantguard.registry_changed()',
			registry_triggers.registry)),
		('tenantguard_registry_update', 17::smallint, pg_catalog.format(
			'CREATE OR REPLACE TRIGGER tenantguard_registry_update AFTER UPDATE ON %1$s '
			'FOR EACH ROW WHEN (OLD.%2$I IS DISTINCT FROM NEW.%2$I%3$s) '
			'EXECUTE FUNCTION tenantguard.registry_changed()',
			registry_triggers.registry, COALESCE(registry_triggers.key, ''),
			CASE WHEN registry_triggers.status IS NULL THEN '' ELSE pg_catalog.format(
				' OR OLD.%1$I::text IS DISTINCT FROM NEW.%1$I::text', registry_triggers.status) END)),
		('tenantguard_registry_truncate', 32::smallint, pg_catalog.format(
			'CREATE OR REPLACE TRIGGER tenantguard_registry_truncate AFTER TRUNCATE ON %s '
			'FOR EACH STATEMENT EXECUTE FUNCTION tenantguard.registry_changed()',
			registry_triggers.registry))
	) AS v (name, type, definition)
	WHERE registry_triggers.registry IS NOT NULL AND registry_triggers.key IS NOT NULL
$$;
COMMENT ON FUNCTION tenantguard.registry_triggers(regclass, name, name) IS
	'The triggers that a registry with this key and status column carries: name, pg_trigger.tgtype and the statement that makes it.';

CREATE FUNCTION tenantguard.registry_statements(registry regclass, key name, status name, active_values text[])
RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	recorded	tenantguard.registry;
	same_columns boolean;
	wanted		record;
BEGIN
	IF registry IS NULL OR key IS NULL THEN
		RETURN;
	END IF;
	SELECT r.* INTO recorded FROM tenantguard.registry AS r WHERE r.registry = registry_statements.registry;
	same_columns := recorded.key_column = registry_statements.key
		AND recorded.status_column IS NOT DISTINCT FROM registry_statements.status;

	-- To change what was adopted takes a bypass (catalog_changed() asks).
	IF recorded.registry IS NULL THEN
		RETURN NEXT pg_catalog.format(
			'INSERT INTO tenantguard.registry (registry, key_column, status_column, active_values) VALUES (%L, %L, %L, %L)',
			registry_statements.registry, registry_statements.key, registry_statements.status,
			registry_statements.active_values);
	ELSIF NOT same_columns OR recorded.active_values IS DISTINCT FROM registry_statements.active_values THEN
		RETURN NEXT pg_catalog.format(
			'UPDATE tenantguard.registry SET key_column = %L, status_column = %L, active_values = %L WHERE registry = %L::regclass',
			registry_statements.key, registry_statements.status, registry_statements.active_values,
			registry_statements.registry);
	END IF;

	FOR wanted IN
		SELECT t.* FROM tenantguard.registry_triggers(
			registry_statements.registry, registry_statements.key, registry_statements.status) AS t
	LOOP
		CONTINUE WHEN same_columns AND EXISTS (
			SELECT 1
			FROM pg_catalog.pg_trigger AS g
			WHERE g.tgrelid = registry_statements.registry AND g.tgname = wanted.name
				AND g.tgtype = wanted.type AND g.tgenabled = 'A'
				AND g.tgfoid = 'tenantguard.registry_changed()'::pg_catalog.regprocedure
				AND (g.tgqual IS NOT NULL) = (wanted.name = 'tenantguard_registry_update')
				AND g.tgattr::text = ''
		);
		RETURN NEXT wanted.definition;
		RETURN NEXT pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I',
			registry_statements.registry, wanted.name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenantguard.registry_statements(regclass, name, name, text[]) IS
	'The statements that record the registry and give it the triggers it misses; none when everything is in place.';

CREATE FUNCTION tenantguard.list_stored_contexts()
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found	text;
BEGIN
	SELECT pg_catalog.string_agg(s.holder, ', ' ORDER BY s.holder) INTO found
	FROM (
		SELECT 'function ' || p.oid::pg_catalog.regprocedure AS holder
		FROM pg_catalog.pg_proc AS p
		CROSS JOIN LATERAL pg_catalog.unnest(p.proconfig) AS c (setting)
		WHERE c.setting ILIKE 'app.current\_org\_id=%'
		UNION ALL
		SELECT pg_catalog.concat_ws(' in ',
				CASE WHEN s.setrole <> 0 THEN 'role ' || s.setrole::pg_catalog.regrole END,
				CASE WHEN s.setdatabase <> 0 THEN pg_catalog.format('database %I', d.datname) END)
		FROM pg_catalog.pg_db_role_setting AS s
		CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (setting)
		LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
		WHERE c.setting ILIKE 'app.current\_org\_id=%'
	) AS s;

	IF found IS NOT NULL THEN
		RAISE NOTICE 'app.current_org_id is stored in places where it no longer counts'
			USING DETAIL = pg_catalog.format('Found: %s.', found),
				HINT = 'Use ALTER FUNCTION, ALTER ROLE or ALTER DATABASE ... RESET app.current_org_id.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.list_stored_contexts() IS
	'Raises a NOTICE that names the functions, roles and databases that carry a value for app.current_org_id; says nothing when there are none.';

CREATE FUNCTION tenantguard.status_values(registry regclass, status name, active_values text[])
RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	type_name	text;
	spelled		text[];
BEGIN
	IF registry IS NULL OR status IS NULL THEN
		RETURN active_values;
	END IF;
	SELECT pg_catalog.format_type(a.atttypid, NULL) INTO STRICT type_name
	FROM pg_catalog.pg_attribute AS a
	WHERE a.attrelid = status_values.registry AND a.attname = status_values.status;
	EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(pg_catalog.format(''%%s'', v::%s)) FROM pg_catalog.unnest($1) AS v', type_name)
		INTO spelled USING active_values;
	RETURN spelled;
END
$$;
COMMENT ON FUNCTION tenantguard.status_values(regclass, name, text[]) IS
	'The active values as the status column''s type spells them (true becomes t), which is what the library compares. Raises what the type raises for a value that it does not know, such as a misspelt label of an enum.';

CREATE FUNCTION tenantguard.adopt_registry(
	registry regclass,
	key name,
	status name DEFAULT NULL,
	active_values text[] DEFAULT '{active}'
)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	PERFORM tenantguard.require_registry(registry, key, status, active_values);
	active_values := tenantguard.status_values(registry, status, active_values);

	IF EXISTS (SELECT 1 FROM tenantguard.registry_statements(registry, key, status, active_values)) THEN
		EXECUTE pg_catalog.format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', registry);
		PERFORM tenantguard.require_registry(registry, key, status, active_values);
		PERFORM tenantguard.list_stored_contexts();
		RETURN QUERY SELECT s.* FROM tenantguard.run_statements(ARRAY(
			SELECT s.* FROM tenantguard.registry_statements(registry, key, status, active_values) AS s)) AS s;
	END IF;

	RETURN QUERY SELECT s.* FROM tenantguard.protect(registry, key) AS s;
END
$$;
COMMENT ON FUNCTION tenantguard.adopt_registry(regclass, name, name, text[]) IS
	'Makes the user''s own table the registry of tenants: its key is the tenant, and only tenants whose status, as text, is among the active values may work. Protects it as mode root. Returns the statements it ran, none when all was in place. For superusers. Raises 22023 for a table that cannot be the registry or when another one is adopted.';

CREATE FUNCTION tenantguard.list_tenants()
RETURNS TABLE (tenant text, status text, active boolean)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	adopted	tenantguard.registry;
BEGIN
	SELECT r.* INTO adopted FROM tenantguard.registry AS r;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no registry is adopted'
			USING ERRCODE = '22023',
				DETAIL = 'Without a registry no tenant is known.',
				HINT = 'Use SELECT tenantguard.adopt_registry(''public.organizations'', ''id'').';
	END IF;

	-- Runs with the caller's rights and is filtered like any other query.
	IF adopted.status_column IS NULL THEN
		RETURN QUERY EXECUTE pg_catalog.format(
			'SELECT pg_catalog.format(''%%s'', t.%I), NULL::text, true FROM ONLY %s AS t',
			adopted.key_column, adopted.registry);
	ELSE
		RETURN QUERY EXECUTE pg_catalog.format(
			'SELECT pg_catalog.format(''%%s'', t.%1$I), s.status, COALESCE(s.status = ANY ($1), false) '
			'FROM ONLY %2$s AS t CROSS JOIN LATERAL (SELECT CASE WHEN t.%3$I IS NOT NULL '
			'THEN pg_catalog.format(''%%s'', t.%3$I) END AS status) AS s',
			adopted.key_column, adopted.registry, adopted.status_column)
			USING adopted.active_values;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.list_tenants() IS
	'The tenants of the registry: key and status as text, and whether the tenant may work. Reads the registry with the caller''s rights: all tenants under a bypass, the own one otherwise. Raises 22023 when no registry is adopted.';

CREATE VIEW tenantguard.tenants AS
	SELECT t.tenant, t.status, t.active
	FROM tenantguard.list_tenants() AS t;
COMMENT ON VIEW tenantguard.tenants IS
	'The tenants of the registry. Needs a bypass (begin_bypass) to show them all.';
COMMENT ON COLUMN tenantguard.tenants.tenant IS
	'Key of the tenant as text, the value for app.current_org_id.';
COMMENT ON COLUMN tenantguard.tenants.status IS
	'Value of the status column as text; NULL when the registry has none.';
COMMENT ON COLUMN tenantguard.tenants.active IS
	'Whether the tenant may work.';
