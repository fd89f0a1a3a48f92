-- 38_grants.sql: who may work across tenants, and for what.

CREATE FUNCTION tenantguard.grant_bypass(role regrole, purpose text, until timestamptz DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	grantee	pg_catalog.pg_roles;
BEGIN
	SELECT r.* INTO grantee FROM pg_catalog.pg_roles AS r WHERE r.oid = role;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no such role'
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Found: %s.', COALESCE(role::text, 'NULL')),
				HINT = 'Use the name of a role that can log in.';
	END IF;
	IF purpose IS NULL OR purpose NOT IN ('migration', 'backup', 'replication', 'test',
										  'support', 'analytics', 'job') THEN
		RAISE EXCEPTION 'there is no purpose %', COALESCE(pg_catalog.quote_literal(purpose), 'NULL')
			USING ERRCODE = '22023',
				DETAIL = 'migration, backup, replication and test are active whenever the role has no tenant set; support, analytics and job permit begin_bypass().',
				HINT = 'Use one of these seven words.';
	END IF;
	IF until <= pg_catalog.now() THEN
		RAISE EXCEPTION 'the grant to role "%" would have ended already', grantee.rolname
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Found: %s.', until),
				HINT = 'Use a time to come, for example now() + interval ''1 hour'', or NULL.';
	END IF;
	IF purpose = 'backup' AND NOT (grantee.rolsuper OR grantee.rolbypassrls) THEN
		RAISE EXCEPTION 'role "%" cannot take a backup', grantee.rolname
			USING ERRCODE = '22023',
				DETAIL = 'pg_dump switches row security off, which needs BYPASSRLS.',
				HINT = pg_catalog.format('Use ALTER ROLE %I BYPASSRLS.', grantee.rolname);
	END IF;

	INSERT INTO tenantguard.bypass_grant AS g (grantee, purpose, until, granted_by, granted_at)
	VALUES (role, purpose, until, session_user, pg_catalog.now())
	ON CONFLICT ON CONSTRAINT bypass_grant_pkey DO UPDATE
	SET until = EXCLUDED.until, granted_by = EXCLUDED.granted_by, granted_at = EXCLUDED.granted_at;
END
$$;
COMMENT ON FUNCTION tenantguard.grant_bypass(regrole, text, timestamptz) IS
	'Lets a role work across tenants for a purpose, until a time or (NULL) without an end. migration, backup, replication and test are active whenever the role has no tenant set; support, analytics and job permit begin_bypass(). An existing grant for the purpose is replaced. For superusers. Raises 22023 for an unknown role or purpose, a time that has passed, and purpose backup for a role without BYPASSRLS.';

CREATE FUNCTION tenantguard.revoke_bypass(role regrole, purpose text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM tenantguard.bypass_grant AS g
	WHERE g.grantee = revoke_bypass.role
		AND (revoke_bypass.purpose IS NULL OR g.purpose = revoke_bypass.purpose);
	IF NOT FOUND THEN
		RAISE NOTICE 'role % holds no such grant', COALESCE(role::text, 'NULL')
			USING DETAIL = pg_catalog.format('Its grants: %s.', COALESCE((
				SELECT pg_catalog.string_agg(g.purpose, ', ' ORDER BY g.purpose)
				FROM tenantguard.bypass_grant AS g
				WHERE g.grantee = revoke_bypass.role), 'none'));
	END IF;
END
$$;
COMMENT ON FUNCTION tenantguard.revoke_bypass(regrole, text) IS
	'Takes a role''s grant for a purpose, or (NULL) all of them. NOTICE when it holds none. For superusers.';
