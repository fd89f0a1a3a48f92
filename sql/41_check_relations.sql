-- 41_check_relations.sql: rules TG101 to TG199, relations and their columns.
-- Each rule is a query over the catalogs; none is asked table by table. What
-- it leaves out is NOT IN (...), which is hashed: the server knows little about
-- the size of a CTE, and would go over NOT EXISTS for each row.

INSERT INTO tenantguard.check_rule (code, severity, title) VALUES
	('TG101', 'critical', 'a relation is not classified'),
	('TG102', 'critical', 'row security of a guarded table is off'),
	('TG103', 'warning', 'row security of a guarded table is not forced'),
	('TG104', 'warning', 'a partition or child is not guarded like its parent'),
	('TG105', 'warning', 'the tenant column of a guarded relation is gone'),
	('TG106', 'critical', 'the tenant column of a guarded relation cannot hold a tenant'),
	('TG107', 'warning', 'the tenant column may be NULL'),
	('TG108', 'warning', 'the default of a tenant column invents a tenant'),
	('TG109', 'warning', 'no foreign key ties the tenant column to the registry'),
	('TG110', 'warning', 'a guarded table has two columns that name a tenant'),
	('TG111', 'warning', 'a guarded table is below a parent that is not guarded'),
	('TG112', 'warning', 'a materialized view over guarded tables is not guarded'),
	('TG113', 'notice', 'a guarded relation is held by the library alone'),
	('TG114', 'warning', 'an exempt or shared relation may have a tenant column'),
	('TG115', 'critical', 'a shared relation has a tenant column'),
	('TG116', 'warning', 'an exempt or shared table refers to rows of tenants'),
	('TG117', 'notice', 'a relation is exempt without a reason'),
	('TG118', 'warning', 'no registry is adopted'),
	('TG119', 'notice', 'the registry has no status column'),
	('TG120', 'critical', 'triggers of the registry are missing or off'),
	('TG121', 'critical', 'the registry cannot tell tenants apart'),
	('TG122', 'critical', 'triggers of the extension''s own tables are missing or off'),
	('TG123', 'notice', 'a relation that is gone is still recorded'),
	('TG124', 'critical', 'a link of a derived relation leads nowhere'),
	('TG125', 'warning', 'no foreign key states a link'),
	('TG126', 'warning', 'rows of a derived relation may refer to nothing'),
	('TG127', 'warning', 'no index begins with the columns of a link'),
	('TG128', 'notice', 'a foreign key of a derived relation is not a link'),
	('TG129', 'warning', 'a foreign key takes rows of a derived relation from their tenant'),
	('TG130', 'warning', 'a table with a carried tenant column lacks a trigger');

CREATE FUNCTION tenantguard.under_bypass(reason text, statements text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.format('BEGIN; SELECT tenantguard.begin_bypass(%L); %s COMMIT;', under_bypass.reason, under_bypass.statements)
$$;
COMMENT ON FUNCTION tenantguard.under_bypass(text, text) IS
	'The statements in a transaction of their own that declares a bypass: how a finding is fixed where the guard itself would refuse.';

CREATE FUNCTION tenantguard.guarded_descendants()
RETURNS TABLE (relid oid, top oid, mode text, tenant_column name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE below (relid, top, mode, tenant_column) AS (
		SELECT i.inhrelid, i.inhparent,
			CASE g.mode WHEN 'root' THEN 'tenant' ELSE g.mode END, g.tenant_column
		FROM tenantguard.guarded_relation AS g
		JOIN pg_catalog.pg_inherits AS i ON i.inhparent = g.relid
		WHERE g.mode <> 'exempt'
			AND NOT EXISTS (
				SELECT 1
				FROM pg_catalog.pg_inherits AS u
				JOIN tenantguard.guarded_relation AS p ON p.relid = u.inhparent
				WHERE u.inhrelid = g.relid AND p.mode <> 'exempt')
		UNION
		SELECT i.inhrelid, b.top, b.mode, b.tenant_column
		FROM below AS b
		JOIN pg_catalog.pg_inherits AS i ON i.inhparent = b.relid
	)
	SELECT DISTINCT ON (b.relid) b.relid, b.top, b.mode, b.tenant_column
	FROM below AS b
	ORDER BY b.relid, b.top
$$;
COMMENT ON FUNCTION tenantguard.guarded_descendants() IS
	'Every partition and child below a guarded relation, the topmost guarded one above it, and the mode and tenant column that it should have.';

CREATE FUNCTION tenantguard.supposed_columns(schema regnamespace)
RETURNS TABLE (relid oid, attnum smallint, attname name, tied boolean, candidates bigint, list text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH tied AS MATERIALIZED (
		SELECT t.relid, t.attnum FROM tenantguard.tenant_columns() AS t
	),
	called AS MATERIALIZED (
		SELECT a.attrelid AS relid, a.attnum, a.atttypid
		FROM pg_catalog.pg_attribute AS a
		WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
			AND pg_catalog.lower(pg_catalog.replace(a.attname, '_', ''))
				IN (SELECT n.* FROM tenantguard.tenant_names() AS n)
	),
	-- A foreign key to something else says that the name means something else.
	elsewhere AS MATERIALIZED (
		SELECT DISTINCT c.conrelid AS relid, k.attnum
		FROM pg_catalog.pg_constraint AS c
		JOIN tenantguard.registry AS r ON r.registry <> c.confrelid
		CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) AS k (attnum, refnum)
		WHERE c.contype = 'f' AND c.confrelid <> c.conrelid
			AND (c.confrelid, k.refnum) NOT IN (SELECT l.relid, l.attnum FROM called AS l)
	),
	named AS MATERIALIZED (
		SELECT l.*
		FROM called AS l
		WHERE l.relid NOT IN (SELECT t.relid FROM tied AS t)
			AND (l.relid, l.attnum) NOT IN (SELECT e.relid, e.attnum FROM elsewhere AS e)
			AND NOT EXISTS (SELECT 1 FROM tenantguard.registry AS r WHERE r.registry = l.relid)
	),
	-- Each type is judged once, not once for every column of that type.
	used AS MATERIALIZED (
		SELECT DISTINCT n.atttypid AS type FROM named AS n
	),
	fitting AS MATERIALIZED (
		SELECT u.type
		FROM used AS u
		WHERE tenantguard.types_agree(u.type, (SELECT k.type FROM tenantguard.registry_key() AS k))
	),
	found AS (
		SELECT t.relid, t.attnum, true AS tied FROM tied AS t
		UNION ALL
		SELECT n.relid, n.attnum, false FROM named AS n JOIN fitting AS f ON f.type = n.atttypid
	)
	SELECT f.relid,
		(pg_catalog.array_agg(a.attnum ORDER BY a.attnum))[1],
		(pg_catalog.array_agg(a.attname ORDER BY a.attnum))[1],
		pg_catalog.bool_and(f.tied),
		pg_catalog.count(*),
		pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
	FROM found AS f
	JOIN pg_catalog.pg_class AS c ON c.oid = f.relid AND c.relkind IN ('r', 'p', 'f', 'm')
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.relid AND a.attnum = f.attnum
	WHERE supposed_columns.schema IS NULL OR c.relnamespace = supposed_columns.schema
	GROUP BY f.relid
$$;
COMMENT ON FUNCTION tenantguard.supposed_columns(regnamespace) IS
	'For each relation that has any: the columns that foreign keys tie to the registry, or where there are none those that are called like a tenant column, have a fitting type and no foreign key to something else; the first of them, how many, and their list.';

CREATE FUNCTION tenantguard.check_registry()
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH adopted AS MATERIALIZED (
		SELECT r.*, r.registry::text AS name, a.attnum, a.attnotnull,
			pg_catalog.format('SELECT tenantguard.adopt_registry(%L, %L, %L, %L);',
				r.registry, r.key_column, r.status_column, r.active_values) AS repair
		FROM tenantguard.registry AS r
		LEFT JOIN pg_catalog.pg_attribute AS a
			ON a.attrelid = r.registry AND a.attname = r.key_column AND NOT a.attisdropped
	),
	own (relation, name) AS (
		VALUES ('tenantguard.guarded_relation'::regclass, 'guarded_relation_changed'),
			('tenantguard.guarded_relation', 'guarded_relation_truncated'),
			('tenantguard.link', 'link_changed'),
			('tenantguard.link', 'link_truncated'),
			('tenantguard.carried_column', 'carried_column_changed'),
			('tenantguard.carried_column', 'carried_column_truncated'),
			('tenantguard.registry', 'registry_changed'),
			('tenantguard.lost_registry', 'lost_registry_changed'),
			('tenantguard.bypass_grant', 'bypass_grant_changed'),
			('tenantguard.lookup_definition', 'lookup_definition_changed')
	)
	SELECT 'TG118', pg_catalog.format('database %I', pg_catalog.current_database()),
		'no tenant is verified: every key counts, those of suspended tenants and of none among them.', NULL
	WHERE NOT EXISTS (SELECT 1 FROM adopted AS r)
	UNION ALL
	SELECT 'TG119', r.name, 'a tenant cannot be suspended, only deleted.', NULL
	FROM adopted AS r
	WHERE r.status_column IS NULL
	UNION ALL
	SELECT 'TG120', r.name,
		pg_catalog.format('sessions do not learn that a tenant was suspended or deleted: %s.',
			pg_catalog.string_agg(pg_catalog.concat(w.name, CASE WHEN t.oid IS NULL THEN ' is missing'
				WHEN t.tgenabled <> 'A' THEN ' is not ENABLE ALWAYS' ELSE ' was changed' END), ', ' ORDER BY w.name)),
		-- One that was changed is not made anew while its name is there.
		pg_catalog.concat(pg_catalog.string_agg(pg_catalog.format('DROP TRIGGER %I ON %s; ', w.name, r.name), '')
			FILTER (WHERE t.tgenabled = 'A' AND r.attnum IS NOT NULL), r.repair)
	FROM adopted AS r
	CROSS JOIN LATERAL tenantguard.registry_triggers(r.registry, r.key_column, r.status_column) AS w
	LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.registry AND t.tgname = w.name
	WHERE t.oid IS NULL OR t.tgenabled <> 'A' OR t.tgtype <> w.type
		OR t.tgfoid <> 'tenantguard.registry_changed()'::pg_catalog.regprocedure
		OR (t.tgqual IS NOT NULL) <> (w.name = 'tenantguard_registry_update')
		OR t.tgattr::text <> ''
	GROUP BY r.name, r.repair
	UNION ALL
	SELECT 'TG121', r.name,
		CASE
			WHEN r.attnum IS NULL THEN pg_catalog.format('it has no column %I, its key.', r.key_column)
			WHEN NOT r.attnotnull THEN pg_catalog.format('its key column %I may be NULL.', r.key_column)
			ELSE pg_catalog.format('no valid, immediate unique index covers exactly its key column %I.', r.key_column)
		END,
		CASE
			WHEN r.attnum IS NULL THEN NULL
			WHEN NOT r.attnotnull THEN pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', r.name, r.key_column)
			ELSE pg_catalog.format('ALTER TABLE %s ADD UNIQUE (%I);', r.name, r.key_column)
		END
	FROM adopted AS r
	WHERE r.attnum IS NULL OR NOT r.attnotnull
		OR NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_index AS i
			WHERE i.indrelid = r.registry AND i.indisunique AND i.indimmediate AND i.indisvalid
				AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = r.attnum)
	UNION ALL
	SELECT 'TG122', w.relation::text,
		pg_catalog.format('sessions do not learn of changes there: trigger %s is %s.', w.name,
			CASE WHEN t.oid IS NULL THEN 'missing' ELSE 'not ENABLE ALWAYS' END),
		CASE WHEN t.oid IS NOT NULL THEN
			tenantguard.under_bypass('repair of triggers',
				pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I;', w.relation, w.name)) END
	FROM own AS w
	LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = w.relation AND t.tgname = w.name
	WHERE t.oid IS NULL OR t.tgenabled <> 'A'
	UNION ALL
	SELECT 'TG123', g.relid::oid::text,
		'the next relation that gets its number would be taken for it.',
		tenantguard.under_bypass('it is gone',
			pg_catalog.format('DELETE FROM tenantguard.guarded_relation WHERE relid = %s;', g.relid::oid))
	FROM tenantguard.guarded_relation AS g
	WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c WHERE c.oid = g.relid)
$$;
COMMENT ON FUNCTION tenantguard.check_registry() IS
	'Findings TG118 to TG123: the registry of tenants, and the extension''s own tables.';

CREATE FUNCTION tenantguard.check_links(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH lead AS MATERIALIZED (
		SELECT l.*, l.relation::text AS name,
			pg_catalog.format('%s to %s', (
				SELECT pg_catalog.string_agg(pg_catalog.quote_ident(u.name), ', ' ORDER BY u.place)
				FROM pg_catalog.unnest(l.columns) WITH ORDINALITY AS u (name, place)), l.parent) AS words,
			p.mode AS parent_mode, k.first, k.never_null, g.mode = 'derived' AS derived,
			pg_catalog.cardinality(l.columns) = k.found AND pg_catalog.cardinality(l.columns) = pg_catalog.cardinality(r.key) AS whole,
			tenantguard.is_link_key(l.parent, l.parent_columns) AS is_key
		FROM tenantguard.links AS l
		JOIN tenantguard.guarded_relation AS g ON g.relid = l.relation
			AND (g.mode = 'derived' OR g.relid IN (SELECT o.relid FROM tenantguard.carried_column AS o))
		JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
		LEFT JOIN tenantguard.guarded_relation AS p ON p.relid = l.parent
		CROSS JOIN LATERAL (
			SELECT pg_catalog.count(*) AS found, (pg_catalog.array_agg(a.attnum ORDER BY u.place))[1] AS first,
				pg_catalog.bool_and(a.attnotnull) AND l.type_column IS NULL AS never_null
			FROM pg_catalog.unnest(l.columns) WITH ORDINALITY AS u (name, place)
			JOIN pg_catalog.pg_attribute AS a ON a.attrelid = l.relation AND a.attname = u.name AND NOT a.attisdropped
		) AS k
		CROSS JOIN LATERAL (
			SELECT pg_catalog.array_agg(a.attnum) AS key
			FROM pg_catalog.unnest(l.parent_columns) AS u (name)
			JOIN pg_catalog.pg_attribute AS a ON a.attrelid = l.parent AND a.attname = u.name AND NOT a.attisdropped
		) AS r
		WHERE (check_links.schema IS NULL OR c.relnamespace = check_links.schema)
			AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = l.relation)
	)
	SELECT 'TG124', l.name,
		pg_catalog.format(CASE WHEN l.derived THEN '%s: %s. Every access is refused (link_lost).'
			ELSE '%s: %s. What a bypass writes is refused, and nothing follows a parent that moves.' END, l.words,
			CASE WHEN l.whole IS NOT TRUE THEN 'a column is gone'
				WHEN l.parent_mode IS NULL OR l.parent_mode NOT IN ('tenant', 'tenant_or_shared', 'derived') THEN 'the parent is not guarded by tenant'
				ELSE 'no unique index of the parent has these columns' END),
		NULL
	FROM lead AS l
	WHERE l.whole IS NOT TRUE
		OR COALESCE(l.parent_mode NOT IN ('tenant', 'tenant_or_shared', 'derived'), true)
		OR NOT l.is_key
	UNION ALL
	SELECT 'TG125', l.name,
		pg_catalog.format(CASE WHEN l.derived THEN '%s: a row may refer to what is not there, or goes on to refer to what was deleted; nobody sees it then.'
			ELSE '%s: a row goes on to refer to what was deleted.' END, l.words),
		CASE WHEN l.type_column IS NULL THEN pg_catalog.format('ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s (%s);', l.name,
			(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(u.name), ', ' ORDER BY u.place)
			 FROM pg_catalog.unnest(l.columns) WITH ORDINALITY AS u (name, place)), l.parent,
			(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(u.name), ', ' ORDER BY u.place)
			 FROM pg_catalog.unnest(l.parent_columns) WITH ORDINALITY AS u (name, place))) END
	FROM lead AS l
	WHERE l.foreign_key IS NULL
	UNION ALL
	SELECT 'TG126', l.name, 'rows in which every link is NULL are nobody''s: no tenant sees them.', NULL
	FROM lead AS l
	WHERE l.derived
	GROUP BY l.name
	HAVING NOT pg_catalog.bool_or(l.never_null)
	UNION ALL
	SELECT 'TG127', l.name,
		pg_catalog.format('%s: a query for all rows of a tenant reads those of all.', l.words),
		pg_catalog.format('CREATE INDEX CONCURRENTLY ON %s (%s);', l.name,
			(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(u.name), ', ' ORDER BY u.place)
			 FROM pg_catalog.unnest(l.columns) WITH ORDINALITY AS u (name, place)))
	FROM lead AS l
	WHERE l.whole AND l.derived AND NOT EXISTS (
		SELECT 1 FROM pg_catalog.pg_index AS i
		WHERE i.indrelid = l.relation AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = l.first)
	UNION ALL
	SELECT 'TG128', d.name,
		pg_catalog.format('%I leads to %s, whose rows may be another tenant''s than those of its links.', p.foreign_key, p.parent),
		tenantguard.under_bypass('one more link', pg_catalog.format('SELECT tenantguard.derive(%L, %L);', d.name, ARRAY[p.foreign_key]))
	FROM (SELECT DISTINCT l.relation, l.name FROM lead AS l WHERE l.derived) AS d
	CROSS JOIN LATERAL tenantguard.possible_links(d.relation) AS p
	WHERE NOT EXISTS (
		SELECT 1 FROM lead AS l
		WHERE l.relation = d.relation AND l.foreign_key = p.foreign_key)
	UNION ALL
	SELECT 'TG129', l.name,
		pg_catalog.format('%s: when a row goes that others refer to, %s %s, and those without another parent are nobody''s. A tenant is refused it (foreign_reference); under a bypass it happens.',
			l.words, l.foreign_key,
			CASE WHEN c.confdeltype = 'n' OR c.confupdtype = 'n' THEN 'sets their columns to NULL' ELSE 'sets their columns to the default' END),
		NULL
	FROM lead AS l
	JOIN pg_catalog.pg_constraint AS c ON c.conrelid = l.relation AND c.conname = l.foreign_key AND c.contype = 'f'
	WHERE l.derived AND (c.confdeltype IN ('n', 'd') OR c.confupdtype IN ('n', 'd'))
		AND l.name NOT IN (SELECT o.name FROM lead AS o WHERE o.never_null)
$$;
COMMENT ON FUNCTION tenantguard.check_links(regnamespace) IS
	'Findings TG124 to TG129 in the schema (NULL: in all): derived relations, those with a carried column, and the links that tie their rows to a tenant.';

CREATE FUNCTION tenantguard.check_carried_columns(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH wanted (relation, carrier, name) AS (
		SELECT f.member, k.relid, n.name
		FROM tenantguard.carried_column AS k
		CROSS JOIN LATERAL tenantguard.table_family(k.relid) AS f
		CROSS JOIN (VALUES ('tenantguard_carry'::name), ('tenantguard_carried')) AS n (name)
		UNION
		SELECT f.member, k.relid, n.name
		FROM tenantguard.carried_column AS k
		CROSS JOIN LATERAL tenantguard.owner_relations(k.relid) AS o
		CROSS JOIN LATERAL tenantguard.table_family(o.ancestor) AS f
		CROSS JOIN (VALUES ('tenantguard_hold'::name), ('tenantguard_follow')) AS n (name)
	)
	SELECT 'TG130', w.relation::regclass::text,
		pg_catalog.format('trigger %s is %s: rows of %s may get, or keep, a wrong tenant.', w.name,
			CASE WHEN t.oid IS NULL THEN 'missing' ELSE 'off' END, pg_catalog.string_agg(w.carrier::text, ', ' ORDER BY w.carrier::text)),
		tenantguard.under_bypass('repair of triggers', CASE WHEN t.oid IS NULL
			THEN pg_catalog.format('SELECT tenantguard.add_tenant_column(%L);', pg_catalog.min(w.carrier::text))
			ELSE pg_catalog.format('ALTER TABLE %s ENABLE TRIGGER %I;', w.relation::regclass, w.name) END)
	FROM wanted AS w
	JOIN pg_catalog.pg_class AS c ON c.oid = w.relation AND c.relkind IN ('r', 'p')
	LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = w.relation AND t.tgname = w.name
	WHERE (check_carried_columns.schema IS NULL OR c.relnamespace = check_carried_columns.schema)
		AND (t.oid IS NULL OR t.tgenabled NOT IN ('O', 'A'))
	GROUP BY w.relation, w.name, t.oid
$$;
COMMENT ON FUNCTION tenantguard.check_carried_columns(regnamespace) IS
	'Finding TG130 in the schema (NULL: in all): the triggers that keep carried tenant columns right.';

CREATE FUNCTION tenantguard.check_relations(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE
	rel AS MATERIALIZED (
		SELECT r.* FROM tenantguard.checked_relations(check_relations.schema) AS r
		WHERE r.persistence <> 't'
	),
	supposed AS MATERIALIZED (
		SELECT s.* FROM tenantguard.supposed_columns(check_relations.schema) AS s
	),
	tied AS MATERIALIZED (
		SELECT t.relid, t.attnum FROM tenantguard.tenant_columns() AS t
	),
	below AS MATERIALIZED (
		SELECT d.relid, d.mode, d.tenant_column,
			pg_catalog.format(CASE d.mode WHEN 'shared' THEN 'SELECT tenantguard.share(%L);'
				ELSE 'SELECT tenantguard.protect(%L);' END, d.top::regclass) AS repair
		FROM tenantguard.guarded_descendants() AS d
	),
	-- Foreign keys to tables that hold rows of tenants.
	to_tenants AS MATERIALIZED (
		SELECT c.conrelid AS relid, pg_catalog.min(c.confrelid::regclass::text) AS target
		FROM pg_catalog.pg_constraint AS c
		JOIN tenantguard.guarded_relation AS g ON g.relid = c.confrelid
		WHERE c.contype = 'f' AND c.conparentid = 0 AND g.mode IN ('tenant', 'tenant_or_shared', 'derived')
		GROUP BY c.conrelid
	),
	-- Where the record was lost, the library goes by these.
	own_policy AS MATERIALIZED (
		SELECT p.polrelid AS relid
		FROM pg_catalog.pg_policy AS p
		WHERE p.polname IN ('tenantguard_tenant', 'tenantguard_insert')
	),
	-- What a materialized view reads, through views as well.
	reads (view, source) AS (
		SELECT r.relid, d.refobjid
		FROM rel AS r
		JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = r.relid
		JOIN pg_catalog.pg_depend AS d
			ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
			AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.relid
		WHERE r.relkind = 'm' AND r.mode IN ('exempt', 'shared')
		UNION
		SELECT s.view, d.refobjid
		FROM reads AS s
		JOIN pg_catalog.pg_class AS c ON c.oid = s.source AND c.relkind IN ('v', 'm')
		JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = s.source
		JOIN pg_catalog.pg_depend AS d
			ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
			AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> s.source
	),
	-- The tenant column: the recorded one, else the one that is supposed.
	held AS MATERIALIZED (
		SELECT r.relid, r.name, r.relkind, r.parent, r.mode, a.attnum, a.attname, a.atttypid, a.attnotnull,
			a.attidentity, a.attgenerated, a.attcollation, a.atthasdef
		FROM rel AS r
		LEFT JOIN supposed AS s ON s.relid = r.relid AND s.candidates = 1
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.relid
			AND a.attnum = COALESCE(r.attnum, CASE WHEN r.tenant_column IS NULL THEN s.attnum END)
	),
	used AS MATERIALIZED (
		SELECT DISTINCT h.atttypid AS type FROM held AS h
	),
	fitting AS MATERIALIZED (
		SELECT u.type
		FROM used AS u
		WHERE tenantguard.types_agree(u.type, (SELECT k.type FROM tenantguard.registry_key() AS k))
	)

	SELECT 'TG101', r.name,
		pg_catalog.concat('nothing is recorded about it: ',
			CASE WHEN r.row_security AND r.relid IN (SELECT o.relid FROM own_policy AS o)
				THEN 'only its policies hold it. ' ELSE 'every tenant sees its rows. ' END,
			CASE
				WHEN r.parent IS NOT NULL THEN 'It inherits from a table of an extension.'
				WHEN s.candidates > 1 THEN pg_catalog.format('Which column names the tenant: %s?', s.list)
				WHEN s.tied THEN pg_catalog.format('A foreign key ties column %I to the registry.', s.attname)
				WHEN s.relid IS NOT NULL THEN pg_catalog.format('Column %I is called like a tenant column.', s.attname)
				WHEN tenantguard.is_bookkeeping(r.relname) THEN 'It is called like the bookkeeping of a migration tool.'
				WHEN t.relid IS NOT NULL THEN pg_catalog.format('It has no tenant column, and refers to rows of tenants in %s.', t.target)
				ELSE 'It has no tenant column: use share() or exempt(), add a link or the column.'
			END),
		CASE
			WHEN r.parent IS NOT NULL THEN pg_catalog.format('ALTER TABLE %s NO INHERIT %s;', r.name, r.parent::regclass)
			WHEN s.candidates > 1 THEN NULL
			WHEN s.tied THEN pg_catalog.format('SELECT tenantguard.protect(%L);', r.name)
			WHEN s.relid IS NOT NULL THEN pg_catalog.format('SELECT tenantguard.protect(%L, %L);', r.name, s.attname)
			WHEN tenantguard.is_bookkeeping(r.relname) THEN
				pg_catalog.format('SELECT tenantguard.exempt(%L, %L);', r.name, 'bookkeeping of a migration tool')
			WHEN t.relid IS NOT NULL THEN pg_catalog.format('SELECT tenantguard.derive(%L);', r.name)
		END
	FROM rel AS r
	LEFT JOIN supposed AS s ON s.relid = r.relid
	LEFT JOIN to_tenants AS t ON t.relid = r.relid
	WHERE r.mode IS NULL
		-- A child is decided about with its parent, where that can be.
		AND (r.parent IS NULL OR EXISTS (
			SELECT 1
			FROM pg_catalog.pg_depend AS d
			WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = r.parent
				AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'))
	UNION ALL
	SELECT 'TG102', r.name,
		pg_catalog.format('it is recorded as %s, and not in force.', r.mode),
		pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.name)
	FROM rel AS r
	WHERE r.mode <> 'exempt' AND NOT r.row_security AND r.relkind IN ('r', 'p')
	UNION ALL
	SELECT 'TG103', r.name,
		'without the library its owner sees every tenant''s rows.',
		pg_catalog.format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.name)
	FROM rel AS r
	WHERE r.mode <> 'exempt' AND r.row_security AND NOT r.forced AND r.relkind IN ('r', 'p')
	UNION ALL
	SELECT 'TG104', r.name,
		pg_catalog.format('without the library every tenant''s rows are in reach by its own name: it is recorded as %s, and should be %s.',
			COALESCE(r.mode, 'nothing'), b.mode),
		-- What is declared otherwise takes a bypass to change, and one
		-- repair is for the whole family.
		CASE WHEN pg_catalog.bool_or(r.mode IS NOT NULL) OVER (PARTITION BY b.repair)
			THEN tenantguard.under_bypass('repair of partitions', b.repair) ELSE b.repair END
	FROM rel AS r
	JOIN below AS b ON b.relid = r.relid
	WHERE (r.mode, r.tenant_column) IS DISTINCT FROM (b.mode, b.tenant_column)
	UNION ALL
	SELECT 'TG105', r.name,
		pg_catalog.format('it is recorded with column %I, which it does not have.', r.tenant_column),
		CASE WHEN s.candidates = 1 AND r.parent IS NULL THEN tenantguard.under_bypass('another tenant column',
			pg_catalog.format('SELECT tenantguard.protect(%L, %L);', r.name, s.attname)) END
	FROM rel AS r
	LEFT JOIN supposed AS s ON s.relid = r.relid
	WHERE r.tenant_column IS NOT NULL AND r.attnum IS NULL
	UNION ALL
	SELECT 'TG106', h.name || '.' || pg_catalog.quote_ident(h.attname),
		CASE
			WHEN h.attgenerated <> '' THEN 'it is a generated column, which cannot be filled in.'
			WHEN h.attidentity <> '' THEN 'it is an identity column, whose values no tenant has.'
			WHEN f.type IS NULL THEN pg_catalog.format('its type, %s, does not go with the registry''s key.',
				pg_catalog.format_type(h.atttypid, NULL))
			ELSE 'its collation is not deterministic, so that two spellings could be one tenant.'
		END,
		CASE WHEN h.attidentity <> '' THEN
			pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY;', h.name, h.attname) END
	FROM held AS h
	LEFT JOIN fitting AS f ON f.type = h.atttypid
	WHERE h.mode IN ('tenant', 'tenant_or_shared')
		AND (h.attgenerated <> '' OR h.attidentity <> '' OR f.type IS NULL
			 OR EXISTS (SELECT 1 FROM pg_catalog.pg_collation AS l WHERE l.oid = h.attcollation AND NOT l.collisdeterministic))
	UNION ALL
	SELECT 'TG107', h.name || '.' || pg_catalog.quote_ident(h.attname),
		'rows without a tenant are seen by nobody and found in every count under a bypass.',
		pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', h.name, h.attname)
	FROM held AS h
	WHERE h.mode = 'tenant' AND NOT h.attnotnull AND h.relkind IN ('r', 'p')
		AND h.relid NOT IN (SELECT q.* FROM tenantguard.quarantines() AS q)
		AND NOT EXISTS (SELECT 1 FROM held AS p WHERE p.relid = h.parent AND p.mode = 'tenant' AND NOT p.attnotnull)
	UNION ALL
	SELECT 'TG108', h.name || '.' || pg_catalog.quote_ident(h.attname),
		pg_catalog.format('its default is %s: without the library, and under a bypass, a row that names no tenant goes to that one.',
			pg_catalog.pg_get_expr(d.adbin, d.adrelid)),
		CASE WHEN h.mode IS NOT NULL AND h.parent IS NULL
			THEN pg_catalog.format('SELECT tenantguard.protect(%L);', h.name)
			ELSE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT;', h.name, h.attname) END
	FROM held AS h
	JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = h.relid AND d.adnum = h.attnum
	WHERE h.atthasdef AND h.attgenerated = ''
		AND COALESCE(h.mode, 'tenant') IN ('tenant', 'tenant_or_shared')
		AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) !~ '^NULL(::.*)?$'
		AND NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_depend AS p
			JOIN pg_catalog.pg_proc AS f ON f.oid = p.refobjid
			WHERE p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
				AND p.refclassid = 'pg_catalog.pg_proc'::regclass
				AND f.pronamespace = 'tenantguard'::pg_catalog.regnamespace
				AND f.proname LIKE 'current\_tenant%')
	UNION ALL
	SELECT 'TG109', h.name || '.' || pg_catalog.quote_ident(h.attname),
		'it may hold keys that no tenant has; rows outlive their tenant, and fall to the next one with its key.',
		CASE WHEN tenantguard.type_family(h.atttypid) = tenantguard.type_family(k.type)
				OR (tenantguard.type_family(h.atttypid) <> 'text' AND tenantguard.type_family(k.type) <> 'text') THEN
			pg_catalog.format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s (%I);', h.name, h.attname,
				k.relid::regclass, (SELECT y.key_column FROM tenantguard.registry AS y)) END
	FROM held AS h
	CROSS JOIN tenantguard.registry_key() AS k
	WHERE h.mode IN ('tenant', 'tenant_or_shared') AND h.relkind IN ('r', 'p')
		AND h.relid NOT IN (SELECT b.relid FROM below AS b)
		AND h.relid NOT IN (SELECT q.* FROM tenantguard.quarantines() AS q)
		AND (h.relid, h.attnum) NOT IN (SELECT t.relid, t.attnum FROM tied AS t)
	UNION ALL
	SELECT 'TG110', r.name,
		pg_catalog.format('the recorded column %I alone decides who sees a row; foreign keys lead to the registry from %s.',
			r.tenant_column, s.list),
		NULL
	FROM rel AS r
	JOIN supposed AS s ON s.relid = r.relid
	WHERE r.mode IN ('tenant', 'tenant_or_shared') AND s.tied AND s.candidates > 1
	UNION ALL
	SELECT 'TG111', r.name,
		pg_catalog.format('its parent %s is %s: the planner''s statistics of every tenant are in reach through it.',
			r.parent::regclass, COALESCE(p.mode, 'not recorded')),
		CASE
			WHEN a.attname IS NULL OR EXISTS (
				SELECT 1 FROM pg_catalog.pg_inherits AS u WHERE u.inhrelid = r.parent) THEN NULL
			WHEN p.mode IS NULL THEN f.repair
			ELSE tenantguard.under_bypass('guard a parent', f.repair)
		END
	FROM rel AS r
	LEFT JOIN tenantguard.guarded_relation AS p ON p.relid = r.parent
	LEFT JOIN pg_catalog.pg_attribute AS a
		ON a.attrelid = r.parent AND a.attname = r.tenant_column AND NOT a.attisdropped
	CROSS JOIN LATERAL (
		SELECT pg_catalog.format('SELECT tenantguard.protect(%L, %L);', r.parent::regclass, a.attname) AS repair
	) AS f
	WHERE r.mode IN ('tenant', 'tenant_or_shared') AND r.parent IS NOT NULL
		AND COALESCE(p.mode, 'exempt') = 'exempt'
		AND r.relid NOT IN (SELECT b.relid FROM below AS b)
	UNION ALL
	SELECT 'TG112', r.name,
		pg_catalog.format('it is recorded as %s, and holds rows of every tenant from %s.', r.mode, w.sources),
		CASE WHEN s.candidates = 1 THEN tenantguard.under_bypass('guard a materialized view',
			pg_catalog.format('SELECT tenantguard.protect(%L, %L);', r.name, s.attname)) END
	FROM rel AS r
	JOIN (
		SELECT d.view, pg_catalog.string_agg(d.source::regclass::text, ', ' ORDER BY d.source::regclass::text) AS sources
		FROM reads AS d
		JOIN tenantguard.guarded_relation AS g ON g.relid = d.source AND g.mode IN ('tenant', 'root', 'tenant_or_shared', 'derived')
		GROUP BY d.view
	) AS w ON w.view = r.relid
	LEFT JOIN supposed AS s ON s.relid = r.relid
	UNION ALL
	SELECT 'TG113', r.name,
		pg_catalog.format('a %s has no row security: where the library is not loaded, nobody is held.',
			CASE r.relkind WHEN 'f' THEN 'foreign table' ELSE 'materialized view' END),
		NULL
	FROM rel AS r
	WHERE r.mode <> 'exempt' AND r.relkind IN ('f', 'm')
	UNION ALL
	-- Names only propose: a shared table is open for certain by a foreign key.
	SELECT CASE WHEN r.mode = 'shared' AND s.tied THEN 'TG115' ELSE 'TG114' END, r.name,
		pg_catalog.format(CASE WHEN s.tied THEN 'a foreign key ties %s to the registry, and every tenant reads every row.'
			ELSE '%s is called like a tenant column, and every tenant reads every row.' END, s.list),
		CASE WHEN s.candidates = 1 AND r.parent IS NULL THEN tenantguard.under_bypass('it has rows of tenants',
			pg_catalog.format('SELECT tenantguard.protect(%L, %L);', r.name, s.attname)) END
	FROM rel AS r
	JOIN supposed AS s ON s.relid = r.relid
	-- TG112 says more about a materialized view.
	WHERE r.mode IN ('exempt', 'shared') AND r.relkind <> 'm'
		AND r.relid NOT IN (SELECT b.relid FROM below AS b)
	UNION ALL
	SELECT 'TG116', r.name,
		pg_catalog.format('it is recorded as %s, and a foreign key leads to %s: its rows may belong to tenants.', r.mode, t.target),
		NULL
	FROM rel AS r
	JOIN to_tenants AS t ON t.relid = r.relid
	WHERE r.mode IN ('exempt', 'shared')
		AND r.relid NOT IN (SELECT s.relid FROM supposed AS s)
	UNION ALL
	SELECT 'TG117', r.name, 'nobody can tell why it is not guarded.', NULL
	FROM rel AS r
	JOIN tenantguard.guarded_relation AS g ON g.relid = r.relid
	WHERE r.mode = 'exempt' AND pg_catalog.btrim(COALESCE(g.reason, '')) = ''
	UNION ALL
	SELECT * FROM tenantguard.check_links(check_relations.schema)
	UNION ALL
	SELECT * FROM tenantguard.check_carried_columns(check_relations.schema)
	UNION ALL
	SELECT * FROM tenantguard.check_registry()
$$;
COMMENT ON FUNCTION tenantguard.check_relations(regnamespace) IS
	'Findings TG101 to TG199 in the schema (NULL: in all): relations that are not classified or not in force, and their columns; the registry and the record, wherever they are.';
