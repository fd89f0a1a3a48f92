-- 32_relations.sql: a person decides about one relation. Everything runs
-- with the caller's rights, so only the owner of a table (or a superuser)
-- can decide; the record itself is written by record_relation(), which
-- judges the same question in C.
--
-- Each command first works out the statements that are missing and then runs
-- them. Nothing missing, nothing locked: repeating a command is free.

CREATE FUNCTION tenantguard.protection_target(relation regclass, tenant_column name, shared_rows boolean)
RETURNS TABLE (target_mode text, target_column name, target_default text)
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(protection_target.relation);
	adopted		tenantguard.registry;
	candidates	name[];
	wanted_column name := protection_target.tenant_column;
	wanted_mode	text := CASE WHEN shared_rows THEN 'tenant_or_shared' ELSE 'tenant' END;
	kept_default text;
BEGIN
	SELECT r.* INTO adopted FROM tenantguard.registry AS r;
	IF adopted.registry = protection_target.relation THEN
		wanted_mode := 'root';
		IF COALESCE(wanted_column, adopted.key_column) <> adopted.key_column OR shared_rows THEN
			RAISE EXCEPTION 'table % is the registry', adopted.registry
				USING ERRCODE = '22023',
					DETAIL = pg_catalog.format('Its tenant column is its key, %I, and it has no shared rows.', adopted.key_column),
					HINT = pg_catalog.format('Use SELECT tenantguard.protect(%L).', adopted.registry);
		END IF;
		wanted_column := adopted.key_column;
	ELSIF wanted_column IS NULL AND recorded.tenant_column IS NOT NULL THEN
		-- A repair keeps what was decided.
		wanted_column := recorded.tenant_column;
		wanted_mode := CASE WHEN shared_rows THEN 'tenant_or_shared' ELSE recorded.mode END;
	ELSIF wanted_column IS NULL THEN
		IF adopted.registry IS NULL THEN
			RAISE EXCEPTION 'cannot determine the tenant column of table %', protection_target.relation
				USING ERRCODE = '22023',
					DETAIL = 'No registry is adopted that foreign keys could lead to.',
					HINT = 'Use SELECT tenantguard.adopt_registry(''public.organizations'', ''id'') first, or name the column.';
		END IF;
		SELECT pg_catalog.array_agg(a.attname ORDER BY a.attnum) INTO candidates
		FROM tenantguard.tenant_columns() AS t
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.relid AND a.attnum = t.attnum
		WHERE t.relid = protection_target.relation;
		wanted_column := candidates[1];

		IF pg_catalog.cardinality(candidates) IS DISTINCT FROM 1 THEN
			IF candidates IS NULL THEN
				SELECT pg_catalog.array_agg(a.attname ORDER BY a.attnum) INTO candidates
				FROM pg_catalog.pg_attribute AS a
				WHERE a.attrelid = protection_target.relation AND a.attnum > 0 AND NOT a.attisdropped
					AND pg_catalog.lower(pg_catalog.replace(a.attname, '_', '')) IN (SELECT n.* FROM tenantguard.tenant_names() AS n)
					AND tenantguard.types_agree(a.atttypid, (SELECT k.type FROM tenantguard.registry_key() AS k));
			END IF;
			RAISE EXCEPTION 'cannot determine the tenant column of table %', protection_target.relation
				USING ERRCODE = '22023',
					DETAIL = CASE WHEN wanted_column IS NULL
						THEN pg_catalog.format('No foreign key ties a column to the registry %s; by name: %s.', adopted.registry,
							COALESCE(pg_catalog.array_to_string(candidates, ', '), 'none'))
						ELSE pg_catalog.format('Candidates: %s.', pg_catalog.array_to_string(candidates, ', ')) END,
					HINT = pg_catalog.format('Use SELECT tenantguard.protect(%L, %L), or tenantguard.share() or tenantguard.exempt() when its rows belong to no tenant.',
						protection_target.relation, COALESCE(candidates[1], 'org_id'));
		END IF;
	END IF;

	PERFORM tenantguard.require_tenant_column(protection_target.relation, wanted_column, wanted_mode = 'root');

	-- The registry keeps its default: it makes the keys of new tenants.
	IF wanted_mode = 'root' THEN
		kept_default := NULL;
	ELSIF tenantguard.is_our_default(protection_target.relation, wanted_column) THEN
		kept_default := recorded.original_default;
	ELSE
		kept_default := COALESCE(
			tenantguard.column_default(protection_target.relation, wanted_column),
			CASE WHEN recorded.tenant_column = wanted_column THEN recorded.original_default END);
	END IF;
	RETURN QUERY SELECT wanted_mode, wanted_column, kept_default;
END
$$;
COMMENT ON FUNCTION tenantguard.protection_target(regclass, name, boolean) IS
	'What protect() will record: mode, tenant column and the default to keep for unprotect(). A column that is not named is taken from the record, else from the one column that foreign keys tie to the registry. Raises 22023 with the candidates when that is none or several.';

CREATE FUNCTION tenantguard.protection_statements(relation regclass, mode text, tenant_column name, original_default text)
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(relation);
	accessor	text;
BEGIN
	IF relation IS NULL OR mode IS NULL OR tenant_column IS NULL THEN
		RETURN;
	END IF;
	IF (recorded.mode, recorded.tenant_column, recorded.original_default)
		IS DISTINCT FROM (mode, tenant_column, original_default) THEN
		RETURN NEXT pg_catalog.format('SELECT tenantguard.record_relation(%L, %L, %L, NULL, %L)',
			relation, mode, tenant_column, original_default);
	END IF;

	RETURN QUERY SELECT s.* FROM tenantguard.policy_statements(relation, tenant_column, mode) AS s;
	RETURN QUERY
		SELECT s.statement
		FROM tenantguard.table_family(relation) AS f
		CROSS JOIN LATERAL tenantguard.member_statements(f.member, mode, tenant_column, false)
			WITH ORDINALITY AS s (statement, step)
		WHERE f.member <> relation
		ORDER BY f.member, s.step;

	IF mode <> 'root' AND tenantguard.column_default(relation, tenant_column) IS NOT NULL
		AND NOT tenantguard.is_our_default(relation, tenant_column) THEN
		SELECT CASE tenantguard.type_family(a.atttypid)
			WHEN 'text' THEN 'current_tenant' ELSE 'current_tenant_' || tenantguard.type_family(a.atttypid) END
		INTO STRICT accessor
		FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid = relation AND a.attname = tenant_column;
		RETURN NEXT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT tenantguard.%I()',
			relation, tenant_column, accessor);
	END IF;

	RETURN QUERY SELECT s.* FROM tenantguard.revoke_statements(relation) AS s;
END
$$;
COMMENT ON FUNCTION tenantguard.protection_statements(regclass, text, name, text) IS
	'The statements that bring a table and its children to a mode of tenant, root or tenant_or_shared; none when nothing is missing.';

CREATE FUNCTION tenantguard.follow_parent(member regclass)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
	parent		tenantguard.guarded_relation;
BEGIN
	SELECT g.* INTO parent
	FROM pg_catalog.pg_inherits AS i
	JOIN tenantguard.guarded_relation AS g ON g.relid = i.inhparent
	WHERE i.inhrelid = member AND g.mode <> 'exempt'
	ORDER BY i.inhseqno
	LIMIT 1;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT r.* FROM tenantguard.run_statements(ARRAY(
		SELECT s.statement
		FROM tenantguard.table_family(member) AS f
		CROSS JOIN LATERAL tenantguard.member_statements(f.member, parent.mode, parent.tenant_column, false)
			WITH ORDINALITY AS s (statement, step)
		ORDER BY (f.member <> member), f.member, s.step)) AS r;
	RETURN QUERY SELECT r.* FROM tenantguard.run_statements(ARRAY(
		SELECT s.* FROM tenantguard.revoke_statements(member) AS s)) AS r;
END
$$;
COMMENT ON FUNCTION tenantguard.follow_parent(regclass) IS
	'Brings a new partition or child, and what is below it, to the mode of its guarded parent; the library calls it after CREATE TABLE and ALTER TABLE. Returns the statements it ran; none for a table without such a parent.';

CREATE FUNCTION tenantguard.remark_revoked(relation regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found	text;
BEGIN
	SELECT pg_catalog.string_agg(DISTINCT e.grantee, ', ') INTO found
	FROM tenantguard.table_family(relation) AS f
	CROSS JOIN LATERAL tenantguard.excess_grantees(f.member) AS e;
	IF found IS NOT NULL THEN
		RAISE NOTICE 'privileges on table % are revoked', relation
			USING DETAIL = pg_catalog.format(
				'What reaches the rows of every tenant is taken from %s: TRIGGER, REFERENCES, TRUNCATE and, from PostgreSQL 17 on, MAINTAIN.', found);
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.remark_revoked(regclass) IS
	'Raises a NOTICE that names the roles that lose the privileges of the owner.';

CREATE FUNCTION tenantguard.remark_published(relation regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found	text;
BEGIN
	SELECT pg_catalog.string_agg(pg_catalog.quote_ident(p.pubname), ', ' ORDER BY p.pubname) INTO found
	FROM pg_catalog.pg_publication AS p
	JOIN pg_catalog.pg_class AS c ON c.oid = remark_published.relation AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
	WHERE p.puballtables
		OR EXISTS (SELECT 1 FROM pg_catalog.pg_publication_namespace AS n WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)
		OR EXISTS (SELECT 1 FROM pg_catalog.pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = c.oid AND r.prqual IS NULL);
	IF found IS NOT NULL THEN
		RAISE WARNING 'rows of every tenant of table % are published', relation
			USING DETAIL = pg_catalog.format('Found: publication %s, without a row filter by tenant.', found),
				HINT = 'Use ALTER PUBLICATION ... SET TABLE ... WHERE (tenant column = key), or leave it where all of the database is replicated.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.remark_published(regclass) IS
	'Raises a WARNING that names the publications which send a table without a row filter.';

CREATE FUNCTION tenantguard.remark_protection(relation regclass, mode text, tenant_column name)
RETURNS void
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	att		pg_catalog.pg_attribute;
	rel		pg_catalog.pg_class;
	found	text;
BEGIN
	SELECT c.* INTO STRICT rel FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
	SELECT a.* INTO STRICT att
	FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = relation AND a.attname = tenant_column;

	SELECT pg_catalog.string_agg(
			CASE WHEN c.oid = relation THEN '' ELSE c.oid::regclass || ': ' END || pg_catalog.quote_ident(u.name),
			', ' ORDER BY c.oid, u.name) INTO found
	FROM tenantguard.table_family(relation) AS f
	JOIN pg_catalog.pg_class AS c ON c.oid = f.member AND NOT c.relrowsecurity
	CROSS JOIN LATERAL tenantguard.user_policies(c.oid) AS u;
	IF found IS NOT NULL THEN
		RAISE NOTICE 'policies of table % that were switched off take effect', relation
			USING DETAIL = pg_catalog.format('Found: %s.', found),
				HINT = 'Use DROP POLICY for those that are no longer meant.';
	END IF;

	found := tenantguard.column_default(relation, tenant_column);
	IF mode <> 'root' AND found IS NOT NULL AND NOT tenantguard.is_our_default(relation, tenant_column) THEN
		RAISE NOTICE 'the default of column "%" of table % is replaced by the current tenant', tenant_column, relation
			USING DETAIL = pg_catalog.format('It was %s; tenantguard.unprotect() restores it.', found);
	END IF;

	PERFORM tenantguard.remark_revoked(relation);
	PERFORM tenantguard.remark_published(relation);

	IF mode = 'tenant' AND NOT att.attnotnull AND rel.relkind IN ('r', 'p') THEN
		RAISE WARNING 'column "%" of table % may be NULL', tenant_column, relation
			USING DETAIL = 'Rows without a tenant are visible to nobody.',
				HINT = pg_catalog.format('Use ALTER TABLE %s ALTER COLUMN %I SET NOT NULL, or shared_rows => true if all tenants may read such rows.',
					relation, tenant_column);
	END IF;

	IF rel.relkind <> 'f' AND NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_index AS i
		WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = att.attnum
	) THEN
		RAISE WARNING 'no index of table % begins with column "%"', relation, tenant_column
			USING DETAIL = 'Every query of a tenant would read the rows of all.',
				HINT = CASE WHEN rel.relkind = 'p'
					THEN pg_catalog.format('Use CREATE INDEX ON %s (%I).', relation, tenant_column)
					ELSE pg_catalog.format('Use CREATE INDEX CONCURRENTLY ON %s (%I).', relation, tenant_column) END;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.remark_protection(regclass, text, name) IS
	'Says what protect() finds: a NOTICE for policies that were switched off, a default that is replaced, privileges that are revoked; a WARNING for a publication without a filter, for a nullable tenant column and for a missing index.';

CREATE FUNCTION tenantguard.protect(
	relation regclass,
	tenant_column name DEFAULT NULL,
	shared_rows boolean DEFAULT false,
	dry_run boolean DEFAULT false
)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	wanted		record;
	statements	text[];
BEGIN
	IF tenant_column IS NULL AND (tenantguard.recorded_relation(relation)).mode = 'derived' THEN
		RETURN QUERY SELECT s.* FROM tenantguard.derive(relation, NULL, dry_run) AS s;
		RETURN;
	END IF;
	PERFORM tenantguard.require_table(relation);
	SELECT t.* INTO wanted FROM tenantguard.protection_target(relation, tenant_column, shared_rows IS TRUE) AS t;
	statements := ARRAY(SELECT s.* FROM tenantguard.protection_statements(
		relation, wanted.target_mode, wanted.target_column, wanted.target_default) AS s);

	IF statements = '{}' THEN
		RETURN;
	ELSIF dry_run IS NOT FALSE THEN
		PERFORM tenantguard.remark_protection(relation, wanted.target_mode, wanted.target_column);
		RETURN QUERY SELECT s.* FROM pg_catalog.unnest(statements) AS s;
		RETURN;
	END IF;

	-- What was found may have changed until the lock was granted.
	PERFORM tenantguard.lock_relation(relation);
	PERFORM tenantguard.require_table(relation);
	SELECT t.* INTO wanted FROM tenantguard.protection_target(relation, tenant_column, shared_rows IS TRUE) AS t;
	PERFORM tenantguard.remark_protection(relation, wanted.target_mode, wanted.target_column);
	RETURN QUERY SELECT r.* FROM tenantguard.run_statements(ARRAY(
		SELECT s.* FROM tenantguard.protection_statements(
			relation, wanted.target_mode, wanted.target_column, wanted.target_default) AS s)) AS r;
END
$$;
COMMENT ON FUNCTION tenantguard.protect(regclass, name, boolean, boolean) IS
	'Guards a table by its tenant column: records it, switches row security on and FORCEs it, creates the policies, also on partitions and children, replaces the column''s default and revokes TRIGGER, REFERENCES, TRUNCATE and MAINTAIN from roles that are not the owner. Without a column: the recorded one (of a derived table its links), else the one that foreign keys tie to the registry. shared_rows: rows whose tenant is NULL are readable by all. Returns the statements it ran, with dry_run those it would run; none when nothing is missing. Raises 42501 for a caller who is not the owner, 22023 for what cannot be guarded.';

CREATE FUNCTION tenantguard.release_statements(relation regclass, mode text, reason text)
RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(relation);
	anew		boolean;
BEGIN
	IF EXISTS (SELECT 1 FROM tenantguard.registry AS r WHERE r.registry = relation) THEN
		RAISE EXCEPTION 'table % is the registry', relation
			USING ERRCODE = '22023',
				DETAIL = 'Without its protection a tenant could read and change the others.',
				HINT = pg_catalog.format('Use SELECT tenantguard.protect(%L).', relation);
	END IF;

	RETURN QUERY SELECT s.* FROM tenantguard.restore_default_statements(relation) AS s;
	IF recorded.mode IS DISTINCT FROM 'shared' OR mode IS DISTINCT FROM 'shared' THEN
		RETURN QUERY SELECT s.* FROM tenantguard.drop_policy_statements(relation) AS s;
	END IF;
	IF (tenantguard.carried_record(relation)).relid IS NOT NULL THEN
		RETURN NEXT pg_catalog.format('SELECT tenantguard.release_carried(%L)', relation);
	END IF;
	IF recorded.mode = 'derived' OR (tenantguard.carried_record(relation)).relid IS NOT NULL THEN
		RETURN QUERY
			SELECT pg_catalog.format('SELECT tenantguard.forget_links(%L)', f.member::regclass)
			FROM tenantguard.table_family(relation) AS f
			WHERE EXISTS (SELECT 1 FROM tenantguard.recorded_links(f.member))
			ORDER BY f.member;
	END IF;
	IF mode IS NULL THEN
		IF recorded.relid IS NOT NULL THEN
			RETURN NEXT pg_catalog.format('SELECT tenantguard.forget_relation(%L)', relation);
		END IF;
	ELSIF (recorded.mode, recorded.reason) IS DISTINCT FROM (mode, reason) THEN
		RETURN NEXT pg_catalog.format('SELECT tenantguard.record_relation(%L, %L, NULL, %L, NULL)',
			relation, mode, reason);
	END IF;
	IF mode = 'shared' THEN
		-- Without a record there may be policies, which are dropped above.
		anew := COALESCE(recorded.mode NOT IN ('shared', 'exempt'),
			tenantguard.has_policy(relation, 'tenantguard_tenant')
			OR tenantguard.has_policy(relation, 'tenantguard_insert'));
		RETURN QUERY SELECT s.* FROM tenantguard.share_statements(relation, anew) AS s;
		RETURN QUERY
			SELECT s.statement
			FROM tenantguard.table_family(relation) AS f
			CROSS JOIN LATERAL tenantguard.member_statements(f.member, mode, NULL, anew)
				WITH ORDINALITY AS s (statement, step)
			WHERE f.member <> relation
			ORDER BY f.member, s.step;
		RETURN QUERY SELECT s.* FROM tenantguard.revoke_statements(relation) AS s;
	ELSIF recorded.mode <> 'exempt' THEN
		RETURN QUERY
			SELECT pg_catalog.format('SELECT tenantguard.forget_relation(%L)', f.member::regclass)
			FROM tenantguard.table_family(relation) AS f
			JOIN tenantguard.guarded_relation AS g ON g.relid = f.member
			WHERE f.member <> relation
			ORDER BY f.member;
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.release_statements(regclass, text, text) IS
	'The statements that bring a table to the mode shared or exempt, or (mode NULL) out of the record: default restored, our policies dropped. Raises 22023 for the registry.';

CREATE FUNCTION tenantguard.may_restore(expression text)
RETURNS boolean
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	-- The text was recorded on the owner's word. Run by a superuser it could
	-- be more than a default: then only a constant or a plain call will do.
	SELECT may_restore.expression ~ pg_catalog.concat(
			'^(''([^''\\]|'''')*''|\(?-?[0-9.]+\)?|NULL|true|false',
			'|("?[A-Za-z_][A-Za-z0-9_]*"?\.)?"?[A-Za-z_][A-Za-z0-9_]*"?\((''([^''\\]|'''')*''::regclass)?\))',
			'(::("?[A-Za-z_][A-Za-z0-9_ ]*"?\.)?"?[A-Za-z_][A-Za-z0-9_ ]*"?(\([0-9]+\))?)?$')
		OR NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
$$;
COMMENT ON FUNCTION tenantguard.may_restore(text) IS
	'Whether the caller may run a recorded default: a superuser only when it is a constant or a plain call.';

CREATE FUNCTION tenantguard.remark_default(relation regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(remark_default.relation);
BEGIN
	IF NOT tenantguard.may_restore(recorded.original_default) THEN
		RAISE WARNING 'the default of column "%" of table % is not restored', recorded.tenant_column, recorded.relid
			USING DETAIL = pg_catalog.format('It was %s.', recorded.original_default),
				HINT = 'Look at it and use ALTER TABLE ... ALTER COLUMN ... SET DEFAULT, or call as the owner of the table.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.remark_default(regclass) IS
	'Raises a WARNING when the recorded default is one that the caller may not run.';

CREATE FUNCTION tenantguard.restore_default_statements(relation regclass)
RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	recorded	tenantguard.guarded_relation := tenantguard.recorded_relation(restore_default_statements.relation);
BEGIN
	IF recorded.original_default IS NULL
		OR NOT tenantguard.is_our_default(recorded.relid, recorded.tenant_column) THEN
		RETURN;
	END IF;
	RETURN NEXT CASE WHEN tenantguard.may_restore(recorded.original_default)
		THEN pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s',
			recorded.relid, recorded.tenant_column, recorded.original_default)
		ELSE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT',
			recorded.relid, recorded.tenant_column) END;
END
$$;
COMMENT ON FUNCTION tenantguard.restore_default_statements(regclass) IS
	'The statement that restores the tenant column''s own default where protect() replaced it. For a superuser only simple defaults are restored, others are dropped.';

CREATE FUNCTION tenantguard.release(relation regclass, mode text, reason text, dry_run boolean)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	statements	text[];
BEGIN
	PERFORM tenantguard.require_table(relation);
	statements := ARRAY(SELECT s.* FROM tenantguard.release_statements(relation, mode, reason) AS s);
	IF statements <> '{}' AND dry_run IS FALSE THEN
		IF tenantguard.preloaded() AND tenantguard.current_bypass() IS NULL
			AND (tenantguard.recorded_relation(relation)).mode NOT IN ('exempt', COALESCE(mode, '')) THEN
			RAISE EXCEPTION 'cannot change how table % is guarded without a bypass', relation
				USING ERRCODE = '42501',
					CONSTRAINT = 'tenantguard_ddl_refused',
					DETAIL = pg_catalog.format('ddl_refused: its mode is "%s".', (tenantguard.recorded_relation(relation)).mode),
					HINT = 'Use SELECT tenantguard.begin_bypass(''reason'') in the same transaction.';
		END IF;
		PERFORM tenantguard.lock_relation(relation);
		PERFORM tenantguard.require_table(relation);
		PERFORM tenantguard.remark_default(relation);
		IF mode = 'shared' THEN
			PERFORM tenantguard.remark_revoked(relation);
		END IF;
		statements := ARRAY(SELECT r.* FROM tenantguard.run_statements(ARRAY(
			SELECT s.* FROM tenantguard.release_statements(relation, mode, reason) AS s)) AS r);
	END IF;
	RETURN QUERY SELECT s.* FROM pg_catalog.unnest(statements) AS s;
END
$$;
COMMENT ON FUNCTION tenantguard.release(regclass, text, text, boolean) IS
	'The common part of share(), exempt() and unprotect(): works out the statements and, unless it is a dry run, runs them under a lock. Returns them.';

CREATE FUNCTION tenantguard.require_reason(reason text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF reason IS NULL OR pg_catalog.btrim(reason) = '' THEN
		RAISE EXCEPTION 'a reason is missing'
			USING ERRCODE = '22023',
				DETAIL = 'Whoever finds a table that is not guarded must be able to read why.',
				HINT = 'Use a sentence, for example ''written by the migration tool only''.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.require_reason(text) IS
	'Returns when a reason is given; raises 22023 when it is NULL or blank.';

CREATE FUNCTION tenantguard.share(relation regclass, dry_run boolean DEFAULT false)
RETURNS SETOF text
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT s.* FROM tenantguard.release(share.relation, 'shared', NULL, share.dry_run) AS s
$$;
COMMENT ON FUNCTION tenantguard.share(regclass, boolean) IS
	'Records a table as shared reference data: every tenant reads it, writing needs a bypass. Revokes TRIGGER, REFERENCES, TRUNCATE and MAINTAIN from roles that are not the owner. Returns the statements it ran or, with dry_run, would run. Raises 42501 for a caller who is not the owner and, for a table guarded by tenant, without a bypass.';

CREATE FUNCTION tenantguard.exempt(relation regclass, reason text)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	PERFORM tenantguard.require_reason(reason);
	RETURN QUERY SELECT s.* FROM tenantguard.release(relation, 'exempt', reason, false) AS s;
END
$$;
COMMENT ON FUNCTION tenantguard.exempt(regclass, text) IS
	'Records that a table is deliberately not guarded, and why. Returns the statements it ran. Raises 22023 without a reason, 42501 for a caller who is not the owner and, for a table that is guarded, without a bypass.';

CREATE FUNCTION tenantguard.unprotect(relation regclass, reason text)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	PERFORM tenantguard.require_reason(reason);
	PERFORM tenantguard.require_table(relation);
	IF tenantguard.current_bypass() IS NULL THEN
		RAISE EXCEPTION 'cannot unprotect table % without a bypass', relation
			USING ERRCODE = '42501',
				CONSTRAINT = 'tenantguard_bypass_denied',
				DETAIL = 'bypass_denied: afterwards every tenant would see every row.',
				HINT = 'Use SELECT tenantguard.begin_bypass(''reason'') in the same transaction.';
	END IF;
	RAISE LOG 'table % is no longer guarded', relation
		USING DETAIL = pg_catalog.format('Role "%s" gave the reason: %s', session_user, reason);
	RETURN QUERY SELECT s.* FROM tenantguard.release(relation, NULL, reason, false) AS s;
END
$$;
COMMENT ON FUNCTION tenantguard.unprotect(regclass, text) IS
	'Takes a table out of the guard: restores the tenant column''s default, drops our policies, lifts FORCE, switches row security off where the user has no policies, and forgets the table. Privileges stay revoked. Returns the statements it ran and writes the reason to the server log. Raises 42501 without an open bypass or for a caller who is not the owner, 22023 without a reason or for the registry.';

CREATE VIEW tenantguard.relations AS
	SELECT
		g.relid AS relation,
		g.mode,
		g.tenant_column,
		tenantguard.preloaded()
			AND COALESCE(pg_catalog.current_setting('tenantguard.enforce', true), 'on') <> 'log'
			AND g.mode <> 'exempt'
			AND (c.relrowsecurity OR c.relkind IN ('m', 'f')) AS enforced,
		g.reason,
		g.since
	FROM tenantguard.guarded_relation AS g
	JOIN pg_catalog.pg_class AS c ON c.oid = g.relid
	WHERE NOT EXISTS (
		SELECT 1
		FROM pg_catalog.pg_inherits AS i
		JOIN tenantguard.guarded_relation AS p ON p.relid = i.inhparent
		WHERE i.inhrelid = g.relid AND p.mode <> 'exempt');
COMMENT ON VIEW tenantguard.relations IS
	'Every relation that was decided about, and whether the decision is enforced in this session.';
COMMENT ON COLUMN tenantguard.relations.relation IS
	'The table; partitions and inheritance children follow it.';
COMMENT ON COLUMN tenantguard.relations.mode IS
	'tenant, root, shared, tenant_or_shared, derived or exempt.';
COMMENT ON COLUMN tenantguard.relations.tenant_column IS
	'Column that names the tenant; NULL for derived, shared and exempt.';
COMMENT ON COLUMN tenantguard.relations.enforced IS
	'False for exempt tables, when the library is not preloaded, when tenantguard.enforce is log, and when row security was switched off.';
COMMENT ON COLUMN tenantguard.relations.reason IS
	'Why the table is exempt.';
COMMENT ON COLUMN tenantguard.relations.since IS
	'When the decision was recorded.';
