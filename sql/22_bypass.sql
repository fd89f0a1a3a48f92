-- 22_bypass.sql: the declared way out.

CREATE FUNCTION tenantguard.begin_bypass(reason text,
	scope text DEFAULT 'transaction', until timestamptz DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_begin_bypass';
COMMENT ON FUNCTION tenantguard.begin_bypass(text, text, timestamptz) IS
	'Opens a bypass: from now on statements see every tenant, and each goes to the server log. Scope "transaction" ends with the transaction block, "session" at "until". For superusers and roles with a grant. Raises 42501 (bypass_denied, bypass_scope, not_preloaded), 22023 without a reason.';

CREATE FUNCTION tenantguard.end_bypass() RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_end_bypass';
COMMENT ON FUNCTION tenantguard.end_bypass() IS
	'Closes the bypass that begin_bypass() opened. Returns whether one was open.';

CREATE FUNCTION tenantguard.current_bypass() RETURNS text
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'tenantguard_current_bypass';
COMMENT ON FUNCTION tenantguard.current_bypass() IS
	'Returns the reason of the bypass in force, the purpose of a standing grant, or NULL where the guard holds.';
