-- 24_filter.sql: what policies, checks and plans call.

CREATE FUNCTION tenantguard.visible_support(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_visible_support';
COMMENT ON FUNCTION tenantguard.visible_support(internal) IS
	'Planner support of visible(): puts the indexable clause "column = tenant" in its place, or TRUE under a bypass.';

-- The partner's condition. It depends on the extension, so that dropping the
-- extension leaves row security without a permissive policy: closed. STABLE,
-- although it is constant: an immutable call would be run, at some cost, before
-- the planner asks its support function.
CREATE FUNCTION tenantguard.any_row() RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_any_row';
COMMENT ON FUNCTION tenantguard.any_row() IS
	'Returns true: the condition of the policy tenantguard_partner, which lets pass what the restrictive policy has chosen.';

CREATE FUNCTION tenantguard.visible(integer) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_int4';
COMMENT ON FUNCTION tenantguard.visible(integer) IS
	'Returns whether a row with this tenant is the current tenant''s, or a bypass is open. The condition of the policy tenantguard_tenant.';

CREATE FUNCTION tenantguard.visible_or_shared(integer) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_or_shared_int4';
COMMENT ON FUNCTION tenantguard.visible_or_shared(integer) IS
	'visible(), and true for NULL: rows of no tenant, which all may read.';

CREATE FUNCTION tenantguard.check_tenant(integer, oid, integer) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_check_tenant_int4';
COMMENT ON FUNCTION tenantguard.check_tenant(integer, oid, integer) IS
	'The check of a written row, added to plans by the library: returns true, or raises 42501 (foreign_tenant, foreign_conflict).';

CREATE FUNCTION tenantguard.observe(integer, oid, integer) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'tenantguard_observe_int4';
COMMENT ON FUNCTION tenantguard.observe(integer, oid, integer) IS
	'Added to plans while tenantguard.enforce is "log": returns true and counts rows that are not the tenant''s.';

CREATE FUNCTION tenantguard.visible(bigint) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_int8';
COMMENT ON FUNCTION tenantguard.visible(bigint) IS
	'Returns whether a row with this tenant is the current tenant''s, or a bypass is open. The condition of the policy tenantguard_tenant.';

CREATE FUNCTION tenantguard.visible_or_shared(bigint) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_or_shared_int8';
COMMENT ON FUNCTION tenantguard.visible_or_shared(bigint) IS
	'visible(), and true for NULL: rows of no tenant, which all may read.';

CREATE FUNCTION tenantguard.check_tenant(bigint, oid, integer) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_check_tenant_int8';
COMMENT ON FUNCTION tenantguard.check_tenant(bigint, oid, integer) IS
	'The check of a written row, added to plans by the library: returns true, or raises 42501 (foreign_tenant, foreign_conflict).';

CREATE FUNCTION tenantguard.observe(bigint, oid, integer) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'tenantguard_observe_int8';
COMMENT ON FUNCTION tenantguard.observe(bigint, oid, integer) IS
	'Added to plans while tenantguard.enforce is "log": returns true and counts rows that are not the tenant''s.';

CREATE FUNCTION tenantguard.visible(uuid) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_uuid';
COMMENT ON FUNCTION tenantguard.visible(uuid) IS
	'Returns whether a row with this tenant is the current tenant''s, or a bypass is open. The condition of the policy tenantguard_tenant.';

CREATE FUNCTION tenantguard.visible_or_shared(uuid) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_or_shared_uuid';
COMMENT ON FUNCTION tenantguard.visible_or_shared(uuid) IS
	'visible(), and true for NULL: rows of no tenant, which all may read.';

CREATE FUNCTION tenantguard.check_tenant(uuid, oid, integer) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_check_tenant_uuid';
COMMENT ON FUNCTION tenantguard.check_tenant(uuid, oid, integer) IS
	'The check of a written row, added to plans by the library: returns true, or raises 42501 (foreign_tenant, foreign_conflict).';

CREATE FUNCTION tenantguard.observe(uuid, oid, integer) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'tenantguard_observe_uuid';
COMMENT ON FUNCTION tenantguard.observe(uuid, oid, integer) IS
	'Added to plans while tenantguard.enforce is "log": returns true and counts rows that are not the tenant''s.';

CREATE FUNCTION tenantguard.visible(text) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_text';
COMMENT ON FUNCTION tenantguard.visible(text) IS
	'Returns whether a row with this tenant is the current tenant''s, or a bypass is open. The condition of the policy tenantguard_tenant.';

CREATE FUNCTION tenantguard.visible_or_shared(text) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE SUPPORT tenantguard.visible_support
AS 'MODULE_PATHNAME', 'tenantguard_visible_or_shared_text';
COMMENT ON FUNCTION tenantguard.visible_or_shared(text) IS
	'visible(), and true for NULL: rows of no tenant, which all may read.';

CREATE FUNCTION tenantguard.check_tenant(text, oid, integer) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_check_tenant_text';
COMMENT ON FUNCTION tenantguard.check_tenant(text, oid, integer) IS
	'The check of a written row, added to plans by the library: returns true, or raises 42501 (foreign_tenant, foreign_conflict).';

CREATE FUNCTION tenantguard.observe(text, oid, integer) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'tenantguard_observe_text';
COMMENT ON FUNCTION tenantguard.observe(text, oid, integer) IS
	'Added to plans while tenantguard.enforce is "log": returns true and counts rows that are not the tenant''s.';

-- Of rows that are tied to a tenant by links. In a plan the library's own
-- filter takes its place; the body holds the roles that row security binds where
-- the library is not preloaded. It runs as its owner: a role need not be allowed
-- to read the parents for its rows to be told apart.
CREATE FUNCTION tenantguard.visible_by_links(row_of_relation anyelement) RETURNS boolean
LANGUAGE plpgsql STABLE LEAKPROOF PARALLEL SAFE SECURITY DEFINER SUPPORT tenantguard.visible_support
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found	boolean;
	result	boolean := false;
	lead	text;
BEGIN
	IF tenantguard.visible(NULL::text) THEN
		RETURN true;	-- a bypass is open
	END IF;
	FOR lead IN
		SELECT tenantguard.link_query(n)
		FROM tenantguard.nearest_links(pg_catalog.pg_typeof(row_of_relation)) AS n
	LOOP
		EXECUTE lead INTO found USING row_of_relation;
		IF NOT found THEN
			RETURN false;
		END IF;
		result := COALESCE(found, result);
	END LOOP;
	RETURN result;
END
$$;
COMMENT ON FUNCTION tenantguard.visible_by_links(anyelement) IS
	'Returns whether a row of a derived relation is the current tenant''s, or a bypass is open: at least one of its links leads to a visible row, and none elsewhere. The condition of the policy tenantguard_tenant of such relations.';

CREATE FUNCTION tenantguard.check_partition(oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_check_partition';
COMMENT ON FUNCTION tenantguard.check_partition(oid) IS
	'The check of the partition that a written row goes to, added to plans by the library: returns true, or raises 42501 (integrity_off) where triggers of its foreign keys are disabled.';

CREATE FUNCTION tenantguard.check_links(boolean, oid, integer) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_check_links';
COMMENT ON FUNCTION tenantguard.check_links(boolean, oid, integer) IS
	'The check of a written row of a derived relation, added to plans by the library: returns true, or raises 42501 (no_parent, foreign_conflict).';

CREATE FUNCTION tenantguard.leads_to_tenant(relation oid, locked boolean, columns smallint[], VARIADIC "any") RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_leads_to_tenant';
COMMENT ON FUNCTION tenantguard.leads_to_tenant(oid, boolean, smallint[], "any") IS
	'Added by the library to the look-ups of foreign keys: returns whether the links of a row lead to the tenant. Raises 42501 for everybody else.';

CREATE FUNCTION tenantguard.link_operator(parent_type regtype, type regtype) RETURNS regoperator
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenantguard_link_operator';
COMMENT ON FUNCTION tenantguard.link_operator(regtype, regtype) IS
	'The equality by which a link without a foreign key compares a column of the parent with one of the relation; NULL where there is none.';

CREATE FUNCTION tenantguard.record_link(relation regclass, columns name[], parent regclass,
	parent_columns name[], type_column name, type_value text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_record_link';
COMMENT ON FUNCTION tenantguard.record_link(regclass, name[], regclass, name[], name, text) IS
	'Records a link of a relation; derive() and add_link() call it. For the owner. Raises 42501 (ddl_refused) where the relation is guarded already and no bypass is open.';

CREATE FUNCTION tenantguard.inherit_links(relation regclass) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT
AS 'MODULE_PATHNAME', 'tenantguard_inherit_links';
COMMENT ON FUNCTION tenantguard.inherit_links(regclass) IS
	'Records the links that a partition or child without any has from its parent, so that it keeps them when it is detached. For the owner.';

CREATE FUNCTION tenantguard.forget_links(relation regclass) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_forget_links';
COMMENT ON FUNCTION tenantguard.forget_links(regclass) IS
	'Removes the links of a relation; unprotect() and drop_link() call it. For the owner. Raises 42501 (ddl_refused) where the relation is guarded and no bypass is open.';

CREATE FUNCTION tenantguard.lock_relation(relation regclass) RETURNS void
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'tenantguard_lock_relation';
COMMENT ON FUNCTION tenantguard.lock_relation(regclass) IS
	'Locks a relation of any kind in ACCESS EXCLUSIVE mode until the transaction ends; LOCK TABLE knows tables and views only. Raises 42501 for a caller who is not the owner.';

CREATE FUNCTION tenantguard.record_relation(relation regclass, mode text,
	tenant_column name, reason text, original_default text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_record_relation';
COMMENT ON FUNCTION tenantguard.record_relation(regclass, text, name, text, text) IS
	'Records how a relation is guarded; protect() and its kin call it. For the owner. Raises 42501 (ddl_refused) where the relation is declared otherwise already and no bypass is open.';

CREATE FUNCTION tenantguard.forget_relation(relation regclass) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenantguard_forget_relation';
COMMENT ON FUNCTION tenantguard.forget_relation(regclass) IS
	'Removes the record of a relation; unprotect() calls it. For the owner, under a bypass: otherwise 42501 (ddl_refused).';

CREATE FUNCTION tenantguard.catalog_changed() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'tenantguard_catalog_changed';
COMMENT ON FUNCTION tenantguard.catalog_changed() IS
	'Trigger of the extension''s own tables: has every session read them again.';

CREATE FUNCTION tenantguard.registry_changed() RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'tenantguard_registry_changed';
COMMENT ON FUNCTION tenantguard.registry_changed() IS
	'Trigger of the adopted registry: a changed key or status reaches every session at commit. Raises 42501 (root_immutable) where a tenant changes its own.';

CREATE FUNCTION tenantguard.lookup(name text, VARIADIC keys text[])
RETURNS SETOF jsonb
LANGUAGE c STABLE PARALLEL UNSAFE STRICT ROWS 1
AS 'MODULE_PATHNAME', 'tenantguard_lookup';
COMMENT ON FUNCTION tenantguard.lookup(text, text[]) IS
	'Reads a registered look-up before the tenant is known: one object for each row whose key columns equal the keys. Raises 42501 (lookup_refused).';
