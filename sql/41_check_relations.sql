-- 41_check_relations.sql: rules TG101 to TG199, relations and their columns.

INSERT INTO tenantguard.check_rule (code, severity, title) VALUES
	('TG101', 'critical', 'a relation is not classified'),
	('TG102', 'critical', 'row security of a guarded table is off'),
	('TG103', 'warning', 'row security of a guarded table is not forced');

CREATE FUNCTION tenantguard.check_relations(schema regnamespace)
RETURNS SETOF tenantguard.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH rel AS MATERIALIZED (
		SELECT r.* FROM tenantguard.checked_relations(check_relations.schema) AS r
	)
	SELECT 'TG101', r.name,
		'nothing is recorded about it: every tenant sees its rows.',
		pg_catalog.format('SELECT tenantguard.protect(%L);', r.name)
	FROM rel AS r
	WHERE r.mode IS NULL AND r.parent IS NULL AND r.persistence <> 't'
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
$$;
COMMENT ON FUNCTION tenantguard.check_relations(regnamespace) IS
	'Findings TG101 to TG199 in the schema (NULL: in all): relations that are not classified or not in force, and their columns.';
