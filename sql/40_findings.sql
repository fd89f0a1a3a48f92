-- 40_findings.sql: what check() is made of. A rule is a row here, for its
-- severity and title, and a query in one of the chapters 41 to 46, which
-- return findings. check() itself is in 49_check.sql.

CREATE TABLE tenantguard.check_rule (
	code		text PRIMARY KEY CHECK (code ~ '^TG[1-6][0-9][0-9]$'),
	severity	text NOT NULL CHECK (severity IN ('critical', 'warning', 'notice')),
	title		text NOT NULL
);
COMMENT ON TABLE tenantguard.check_rule IS
	'The rules of check(). TG1 relations and columns, TG2 policies, TG3 roles and privileges, TG4 views, functions and other code, TG5 keys and indexes, TG6 server and settings.';
COMMENT ON COLUMN tenantguard.check_rule.severity IS
	'critical: rows of one tenant can reach another; warning: they could after one more mistake, or work goes wrong; notice: worth knowing.';

CREATE TABLE tenantguard.check_suppression (
	code		text NOT NULL REFERENCES tenantguard.check_rule,
	object		text NOT NULL,
	reason		text NOT NULL,
	until		timestamptz,
	recorded_by	name NOT NULL DEFAULT session_user,
	since		timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (code, object)
);
COMMENT ON TABLE tenantguard.check_suppression IS
	'Findings that a person has looked at and accepts. Written by suppress_finding() and restore_finding() only.';
COMMENT ON COLUMN tenantguard.check_suppression.object IS
	'The object as check() prints it: under another name it is found again.';
COMMENT ON COLUMN tenantguard.check_suppression.until IS
	'When the finding is shown again; NULL for never.';

REVOKE ALL ON TABLE tenantguard.check_rule, tenantguard.check_suppression FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('tenantguard.check_suppression', '');

CREATE TYPE tenantguard.finding AS (
	code	text,
	object	text,
	detail	text,
	fix		text
);
COMMENT ON TYPE tenantguard.finding IS
	'One finding: the code of the rule, the object that it is about, what was found, and the SQL that fixes it (NULL where a person must decide).';

CREATE FUNCTION tenantguard.checked_relations(schema regnamespace)
RETURNS TABLE (
	relid oid, name text, relname name, relkind "char", relowner oid, parent oid,
	mode text, tenant_column name, attnum smallint,
	row_security boolean, forced boolean, persistence "char"
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname, c.relkind, c.relowner, i.inhparent,
		g.mode, g.tenant_column, a.attnum,
		c.relrowsecurity, c.relforcerowsecurity, c.relpersistence
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN LATERAL (
		SELECT h.inhparent FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1
	) AS i ON true
	LEFT JOIN tenantguard.guarded_relation AS g ON g.relid = c.oid
	LEFT JOIN pg_catalog.pg_attribute AS a
		ON a.attrelid = c.oid AND a.attname = g.tenant_column AND NOT a.attisdropped
	WHERE c.relkind IN ('r', 'p', 'f', 'm')
		AND (c.relnamespace = checked_relations.schema
			 OR (checked_relations.schema IS NULL AND n.nspname <> 'information_schema'
				 AND NOT pg_catalog.starts_with(n.nspname::text, 'pg_')))
		AND NOT EXISTS (
			SELECT 1
			FROM pg_catalog.pg_depend AS d
			WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
				AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION tenantguard.checked_relations(regnamespace) IS
	'Every table, partitioned table, foreign table and materialized view of the schema (NULL: of all but the system''s) that belongs to no extension: qualified name, owner, first parent, and what is recorded about it (mode NULL: nothing).';

CREATE FUNCTION tenantguard.suppress_finding(code text, object text, reason text, until timestamptz DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	PERFORM tenantguard.require_reason(reason);
	IF object IS NULL OR NOT EXISTS (SELECT 1 FROM tenantguard.check_rule AS r WHERE r.code = suppress_finding.code) THEN
		RAISE EXCEPTION 'there is no finding % of %', COALESCE(code, 'NULL'), COALESCE(object, 'NULL')
			USING ERRCODE = '22023',
				DETAIL = 'A finding is named by its code and its object, as check() prints them.',
				HINT = 'Use SELECT code, object FROM tenantguard.check().';
	END IF;
	INSERT INTO tenantguard.check_suppression AS s (code, object, reason, until)
	VALUES (code, object, reason, until)
	ON CONFLICT ON CONSTRAINT check_suppression_pkey DO UPDATE
	SET reason = EXCLUDED.reason, until = EXCLUDED.until,
		recorded_by = EXCLUDED.recorded_by, since = EXCLUDED.since;
END
$$;
COMMENT ON FUNCTION tenantguard.suppress_finding(text, text, text, timestamptz) IS
	'Accepts a finding of check() for a reason, until a time or (NULL) for good. For superusers. Raises 22023 without a reason and for an unknown code.';

CREATE FUNCTION tenantguard.restore_finding(code text, object text)
RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH gone AS (
		DELETE FROM tenantguard.check_suppression AS s
		WHERE s.code = restore_finding.code AND s.object = restore_finding.object
		RETURNING 1
	)
	SELECT EXISTS (SELECT 1 FROM gone)
$$;
COMMENT ON FUNCTION tenantguard.restore_finding(text, text) IS
	'Has check() show a finding again. Returns whether it was suppressed. For superusers.';
