-- 10_catalog.sql: what is remembered. Six small tables, written by the
-- functions of the later chapters and by the library, which reads most of them
-- through its caches. All are configuration tables: pg_dump carries their rows.

CREATE TABLE tenantguard.guarded_relation (
	relid			regclass PRIMARY KEY,
	mode			text NOT NULL
		CHECK (mode IN ('tenant', 'root', 'shared', 'tenant_or_shared', 'derived', 'exempt')),
	tenant_column	name,
	reason			text,
	original_default text,
	since			timestamptz NOT NULL DEFAULT now(),
	recorded_by		name NOT NULL DEFAULT session_user,
	CHECK ((tenant_column IS NOT NULL) = (mode IN ('tenant', 'root', 'tenant_or_shared')))
);
COMMENT ON TABLE tenantguard.guarded_relation IS
	'One row for each relation that a person decided about. Written by protect(), share(), exempt() and unprotect() only; partitions and inheritance children follow their parent.';
COMMENT ON COLUMN tenantguard.guarded_relation.mode IS
	'tenant (every row belongs to the tenant in tenant_column), root (the registry: its key is the tenant), shared (all read, nobody writes without a bypass), tenant_or_shared (NULL is readable by all), derived (its links lead to the tenant), exempt (not guarded, for the reason given).';
COMMENT ON COLUMN tenantguard.guarded_relation.tenant_column IS
	'Column that names the tenant; NULL for derived, shared and exempt relations.';
COMMENT ON COLUMN tenantguard.guarded_relation.original_default IS
	'Default that the tenant column had before protect() replaced it, fully qualified; unprotect() restores it.';
COMMENT ON COLUMN tenantguard.guarded_relation.recorded_by IS
	'Session user that recorded the relation.';

CREATE TABLE tenantguard.link (
	relid			regclass NOT NULL,
	columns			name[] NOT NULL,
	parent			regclass NOT NULL,
	parent_columns	name[] NOT NULL,
	type_column		name,
	type_value		text,
	CHECK ((type_column IS NULL) = (type_value IS NULL))
);
COMMENT ON TABLE tenantguard.link IS
	'How the rows of a relation without a tenant column are tied to their tenant: by a key of another guarded relation. Written by derive(), add_link() and drop_link() only.';
COMMENT ON COLUMN tenantguard.link.columns IS
	'Columns that refer to the parent. The link says nothing of rows in which one of them is NULL.';
COMMENT ON COLUMN tenantguard.link.parent IS
	'Relation whose rows say whose the rows are: of mode tenant, tenant_or_shared or derived.';
COMMENT ON COLUMN tenantguard.link.parent_columns IS
	'Columns of the parent''s key, one for each of columns.';
COMMENT ON COLUMN tenantguard.link.type_column IS
	'Of a polymorphic link: the column that says what the row refers to; NULL otherwise.';
COMMENT ON COLUMN tenantguard.link.type_value IS
	'Of a polymorphic link: what type_column says, as text, where the row refers to this parent.';

CREATE UNIQUE INDEX link_key ON tenantguard.link (relid, columns, parent, type_value) NULLS NOT DISTINCT;
COMMENT ON INDEX tenantguard.link_key IS
	'The links of a relation, each once.';
CREATE INDEX link_parent ON tenantguard.link (parent);
COMMENT ON INDEX tenantguard.link_parent IS
	'The relations that depend on a parent.';

CREATE TABLE tenantguard.registry (
	registry		regclass PRIMARY KEY,
	key_column		name NOT NULL,
	status_column	name,
	active_values	text[] NOT NULL
);
COMMENT ON TABLE tenantguard.registry IS
	'The user''s own table of tenants, named by adopt_registry(): at most one row.';
COMMENT ON COLUMN tenantguard.registry.key_column IS
	'Column that identifies a tenant.';
COMMENT ON COLUMN tenantguard.registry.status_column IS
	'Column that says whether a tenant may work, or NULL when every tenant may.';
COMMENT ON COLUMN tenantguard.registry.active_values IS
	'Values of the status column, as text, with which a tenant may work.';

-- Two registries would let a tenant of one pass for a tenant of the other.
CREATE UNIQUE INDEX registry_only_one ON tenantguard.registry ((true));
COMMENT ON INDEX tenantguard.registry_only_one IS
	'Holds the table to one row.';

CREATE TABLE tenantguard.lost_registry (
	name			text NOT NULL,
	since			timestamptz NOT NULL DEFAULT now(),
	dropped_by		name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE tenantguard.lost_registry IS
	'The registry that was dropped, until one is adopted again: an empty record must not pass for a database that never had tenants. Written by the library.';
COMMENT ON COLUMN tenantguard.lost_registry.name IS
	'Qualified name that the table had.';
COMMENT ON COLUMN tenantguard.lost_registry.dropped_by IS
	'Session user that dropped it.';

CREATE TABLE tenantguard.lookup_definition (
	name			text PRIMARY KEY,
	relid			regclass NOT NULL,
	key_columns		name[] NOT NULL,
	returned_columns name[] NOT NULL,
	max_rows		int NOT NULL CHECK (max_rows BETWEEN 1 AND 1000)
);
COMMENT ON TABLE tenantguard.lookup_definition IS
	'What lookup() may read before the tenant is known. Written by register_lookup() and drop_lookup() only.';
COMMENT ON COLUMN tenantguard.lookup_definition.key_columns IS
	'Columns that the caller must give exact values for, in this order.';
COMMENT ON COLUMN tenantguard.lookup_definition.returned_columns IS
	'The only columns that are returned.';
COMMENT ON COLUMN tenantguard.lookup_definition.max_rows IS
	'Most rows that one call returns.';

CREATE TABLE tenantguard.bypass_grant (
	grantee			regrole,
	purpose			text CHECK (purpose IN ('migration', 'backup', 'replication', 'test',
											'support', 'analytics', 'job')),
	until			timestamptz,
	granted_by		name,
	granted_at		timestamptz,
	PRIMARY KEY (grantee, purpose)
);
COMMENT ON TABLE tenantguard.bypass_grant IS
	'Roles that may work across tenants, for a purpose. Written by grant_bypass() and revoke_bypass() only.';
COMMENT ON COLUMN tenantguard.bypass_grant.purpose IS
	'migration, backup, replication, test: active whenever the role has no tenant set; support, analytics, job: permit begin_bypass() and no more.';
COMMENT ON COLUMN tenantguard.bypass_grant.until IS
	'When the grant ends; NULL for a grant without an end.';

REVOKE ALL ON TABLE
	tenantguard.guarded_relation,
	tenantguard.link,
	tenantguard.registry,
	tenantguard.lost_registry,
	tenantguard.lookup_definition,
	tenantguard.bypass_grant
FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('tenantguard.guarded_relation', '');
SELECT pg_catalog.pg_extension_config_dump('tenantguard.link', '');
SELECT pg_catalog.pg_extension_config_dump('tenantguard.registry', '');
SELECT pg_catalog.pg_extension_config_dump('tenantguard.lost_registry', '');
SELECT pg_catalog.pg_extension_config_dump('tenantguard.lookup_definition', '');
SELECT pg_catalog.pg_extension_config_dump('tenantguard.bypass_grant', '');
