-- 20_context.sql: which tenant the transaction works for.

CREATE FUNCTION tenantguard.preloaded() RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_preloaded';
COMMENT ON FUNCTION tenantguard.preloaded() IS
	'Returns whether the library is in shared_preload_libraries of the running server, so that every role is held; otherwise only row security holds.';

CREATE FUNCTION tenantguard.current_tenant() RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'tenantguard_current_tenant_text';
COMMENT ON FUNCTION tenantguard.current_tenant() IS
	'Returns the tenant that counts in this transaction, as text, or NULL where none is set. Neither verifies nor pins it.';

CREATE FUNCTION tenantguard.current_tenant_integer() RETURNS integer
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'tenantguard_current_tenant_int4';
COMMENT ON FUNCTION tenantguard.current_tenant_integer() IS
	'Returns current_tenant() as integer, or NULL. Raises 22023 (malformed_tenant) where the tenant is no integer.';

CREATE FUNCTION tenantguard.current_tenant_bigint() RETURNS bigint
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'tenantguard_current_tenant_int8';
COMMENT ON FUNCTION tenantguard.current_tenant_bigint() IS
	'Returns current_tenant() as bigint, or NULL. Raises 22023 (malformed_tenant) where the tenant is no bigint.';

CREATE FUNCTION tenantguard.current_tenant_uuid() RETURNS uuid
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'tenantguard_current_tenant_uuid';
COMMENT ON FUNCTION tenantguard.current_tenant_uuid() IS
	'Returns current_tenant() as uuid, or NULL. Raises 22023 (malformed_tenant) where the tenant is no uuid.';

CREATE FUNCTION tenantguard.enter(tenant text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_enter';
COMMENT ON FUNCTION tenantguard.enter(text) IS
	'Works for a tenant until the transaction ends, like SET LOCAL app.current_org_id. Under a bypass it may be called again and again, and NULL returns to the whole bypass. Raises 22023 for a malformed key, 42501 (tenant_fixed) where the transaction has worked for another tenant.';

CREATE FUNCTION tenantguard.enter(tenant bigint) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC SELECT tenantguard.enter(tenant::text); END;
COMMENT ON FUNCTION tenantguard.enter(bigint) IS
	'enter(text) for an integer key.';

CREATE FUNCTION tenantguard.enter(tenant uuid) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC SELECT tenantguard.enter(tenant::text); END;
COMMENT ON FUNCTION tenantguard.enter(uuid) IS
	'enter(text) for a uuid key.';
