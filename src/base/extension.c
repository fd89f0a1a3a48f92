/*
 * extension.c
 *	  Where the extension's own objects are in this database.
 *
 * Looked up once per backend and kept until a relcache or namespace
 * invalidation says that it may have changed.  The extension is found through
 * pg_extension, never by its schema's name alone: anybody may create a schema
 * of that name, only a superuser an extension.
 */
#include "postgres.h"

#include "access/transam.h"
#include "base/errors.h"
#include "base/extension.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef enum ExtensionState
{
	EXTENSION_UNKNOWN,
	EXTENSION_ABSENT,
	EXTENSION_DAMAGED,
	EXTENSION_PRESENT
} ExtensionState;

static ExtensionState state = EXTENSION_UNKNOWN;
static TguardExtension objects;
const TguardExtension *tguard_extension_known = NULL;

static const Oid key_types[KEY_KINDS] = {INT4OID, INT8OID, UUIDOID, TEXTOID};

static Oid
own_function(const char *name, const Oid *args, int count)
{
	return LookupFuncName(list_make2(makeString("tenantguard"),
									 makeString(pstrdup(name))),
						  count, args, true);
}

/* One that exists for each kind of key, which its first argument is. */
static Oid
typed_function(const char *name, TenantKeyKind kind, int count)
{
	Oid			args[3] = {key_types[kind], OIDOID, INT4OID};

	return own_function(name, args, count);
}

/* The accessor of each kind has its own name: it takes no argument. */
static Oid
own_accessor(TenantKeyKind kind)
{
	static const char *const names[KEY_KINDS] = {
		"current_tenant_integer", "current_tenant_bigint",
		"current_tenant_uuid", "current_tenant"
	};

	return own_function(names[kind], NULL, 0);
}

static void
find_objects(void)
{
	static const Oid any[1] = {ANYELEMENTOID};
	static const Oid oid[1] = {OIDOID};
	static const Oid check_links[3] = {BOOLOID, OIDOID, INT4OID};
	static const Oid leads[4] = {OIDOID, BOOLOID, INT2ARRAYOID, ANYOID};
	Oid			schema = get_namespace_oid("tenantguard", true);
	bool		complete;

	memset(&objects, 0, sizeof(objects));
	state = EXTENSION_ABSENT;
	if (!OidIsValid(schema))
		return;
	objects.extension = get_extension_oid("tenantguard", true);
	if (!OidIsValid(objects.extension))
		return;
	objects.schema = schema;
	objects.guarded_relation = get_relname_relid("guarded_relation", schema);
	objects.link = get_relname_relid("link", schema);
	objects.registry = get_relname_relid("registry", schema);
	objects.lookup_definition = get_relname_relid("lookup_definition", schema);
	objects.bypass_grant = get_relname_relid("bypass_grant", schema);
	objects.visible_by_links = own_function("visible_by_links", any, 1);
	objects.check_links = own_function("check_links", check_links, 3);
	objects.leads_to_tenant = own_function("leads_to_tenant", leads, 4);
	objects.check_partition = own_function("check_partition", oid, 1);
	objects.any_row = own_function("any_row", NULL, 0);
	complete = OidIsValid(objects.guarded_relation) &&
		OidIsValid(objects.link) &&
		OidIsValid(objects.any_row) &&
		OidIsValid(objects.visible_by_links) &&
		OidIsValid(objects.check_links) &&
		OidIsValid(objects.leads_to_tenant) &&
		OidIsValid(objects.check_partition) &&
		OidIsValid(objects.registry) &&
		OidIsValid(objects.lookup_definition) &&
		OidIsValid(objects.bypass_grant);
	for (TenantKeyKind kind = 0; kind < KEY_KINDS; kind++)
	{
		objects.visible[kind] = typed_function("visible", kind, 1);
		objects.visible_or_shared[kind] =
			typed_function("visible_or_shared", kind, 1);
		objects.check_tenant[kind] = typed_function("check_tenant", kind, 3);
		objects.observe[kind] = typed_function("observe", kind, 3);
		objects.current_tenant[kind] = own_accessor(kind);
		complete &= OidIsValid(objects.visible[kind]) &&
			OidIsValid(objects.visible_or_shared[kind]) &&
			OidIsValid(objects.check_tenant[kind]) &&
			OidIsValid(objects.observe[kind]) &&
			OidIsValid(objects.current_tenant[kind]);
	}
	if (complete)
		state = EXTENSION_PRESENT;
	else if (!creating_extension && !IsBinaryUpgrade)
		state = EXTENSION_DAMAGED;	/* pg_upgrade is not done with it */
}

void
tguard_extension_demand_whole(void)
{
	if (state == EXTENSION_DAMAGED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("extension tenantguard is damaged"),
				 errdetail(REASON_DDL ": some of its tables or functions are missing, so no relation can be guarded."),
				 tguard_reason(REASON_DDL),
				 errhint("DROP EXTENSION tenantguard CASCADE, create it again, and protect the relations again.")));
}

const TguardExtension *
tguard_extension_search(void)
{
	if (state == EXTENSION_ABSENT && creating_extension)
		state = EXTENSION_UNKNOWN;	/* it may be ours */
	if (state == EXTENSION_UNKNOWN)
		find_objects();
	tguard_extension_known = state == EXTENSION_PRESENT ? &objects : NULL;
	return tguard_extension_known;
}

static void
search_again(void)
{
	state = EXTENSION_UNKNOWN;
	tguard_extension_known = NULL;
}

Oid
tguard_key_type(TenantKeyKind kind)
{
	return key_types[kind];
}

static TenantKeyKind
kind_of_builtin(Oid type)
{
	switch (type)
	{
		case INT4OID:
			return KEY_INT4;
		case INT8OID:
			return KEY_INT8;
		case UUIDOID:
			return KEY_UUID;
		case TEXTOID:
		case VARCHAROID:
			return KEY_TEXT;
		default:
			return KEY_NONE;
	}
}

TenantKeyKind
tguard_key_kind(Oid type)
{
	return kind_of_builtin(type < FirstNormalObjectId ? type :
						   getBaseType(type));
}

/* Our own relations changed, everything did, or what was absent may exist. */
static void
relation_invalidated(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || state == EXTENSION_ABSENT ||
		relid == objects.guarded_relation || relid == objects.link ||
		relid == objects.registry ||
		relid == objects.lookup_definition || relid == objects.bypass_grant)
		search_again();
}

static void
namespace_invalidated(Datum arg, int cacheid, uint32 hashvalue)
{
	search_again();
}

void
tguard_extension_init(void)
{
	CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, namespace_invalidated,
								  (Datum) 0);
}
