/*
 * registry.c
 *	  The user's own table of tenants.
 *
 * A tenant is verified by one probe of the registry's unique index, with a
 * snapshot of now, and the answer is kept in this backend.  It is dropped
 * when the configuration table tenantguard.registry is invalidated, which the
 * triggers on the registry do whenever a key or a status changes: at commit,
 * undone by a rollback, replayed on standbys.  The invalidation goes through
 * the small configuration table and not through the user's own, so that
 * suspending a tenant does not invalidate every plan that reads the registry,
 * and updates of other columns (last_seen) send nothing at all.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tenant/registry.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Answers kept per backend, and the longest key that is kept. */
#define VERIFIED_MAX	4096
#define VERIFIED_KEY	64

/* columns of tenantguard.registry */
#define Natts_registry				4
#define Anum_registry_registry		1
#define Anum_registry_key_column	2
#define Anum_registry_status_column 3
#define Anum_registry_active_values 4

#define Natts_lost_registry 3

typedef struct RegistryConfig
{
	bool		known;			/* the rest was read */
	Oid			relid;			/* InvalidOid: none adopted */
	AttrNumber	key;
	AttrNumber	status;			/* 0: no status column */
	TenantKeyKind kind;
	Oid			index;
	Oid			collation;
	int			active_count;
	char	  **active;
} RegistryConfig;

static RegistryConfig config;
static Oid	config_table = InvalidOid;	/* tenantguard.registry, once read */
static bool config_dirty = false;
static MemoryContext config_context = NULL;
static HTAB *verified = NULL;
static bool verified_stale = false;
static uint32 epoch = 1;

static const RegProcedure equality[KEY_KINDS] =
{F_INT4EQ, F_INT8EQ, F_UUID_EQ, F_TEXTEQ};

/* The unique, immediate, complete index on exactly the key column. */
static Oid
find_key_index(Relation registry, AttrNumber key)
{
	List	   *indexes = RelationGetIndexList(registry);
	ListCell   *lc;
	Oid			result = InvalidOid;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;

		if (form->indisunique && form->indimmediate && form->indisvalid &&
			form->indnkeyatts == 1 && form->indkey.values[0] == key &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			result = RelationGetRelid(index);
		index_close(index, AccessShareLock);
		if (OidIsValid(result))
			break;
	}
	list_free(indexes);
	return result;
}

static void
read_active_values(RegistryConfig *fresh, Datum value)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &count);
	fresh->active = palloc0(sizeof(char *) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			fresh->active[fresh->active_count++] =
				TextDatumGetCString(elements[i]);
	}
}

static void
describe_registry(RegistryConfig *fresh, const char *key, const char *status)
{
	Relation	registry = try_relation_open(fresh->relid, AccessShareLock);
	Oid			type;
	int32		typmod;

	if (registry == NULL)
	{
		fresh->relid = InvalidOid;
		return;
	}
	fresh->key = get_attnum(fresh->relid, key);
	fresh->status = status ? get_attnum(fresh->relid, status) : 0;
	if (fresh->key > 0 && !(status && fresh->status <= 0))
	{
		get_atttypetypmodcoll(fresh->relid, fresh->key, &type, &typmod,
							  &fresh->collation);
		fresh->kind = tguard_key_kind(type);
		fresh->index = find_key_index(registry, fresh->key);
	}
	relation_close(registry, AccessShareLock);
}

/*
 * A registry whose table is gone counts as none for the moment: its row in
 * the configuration goes with the table (object_access.c).
 */
static void
read_config_row(RegistryConfig *fresh, TupleDesc desc, HeapTuple tuple)
{
	Datum		values[Natts_registry];
	bool		nulls[Natts_registry];

	heap_deform_tuple(tuple, desc, values, nulls);
	if (!nulls[Anum_registry_active_values - 1])
		read_active_values(fresh, values[Anum_registry_active_values - 1]);
	fresh->relid = DatumGetObjectId(values[Anum_registry_registry - 1]);
	describe_registry(fresh,
					  NameStr(*DatumGetName(values[Anum_registry_key_column - 1])),
					  nulls[Anum_registry_status_column - 1] ? NULL :
					  NameStr(*DatumGetName(values[Anum_registry_status_column - 1])));
}

/* Read into "fresh" first: an error half-way must not look like "none". */
static void
read_config(Oid table_oid)
{
	RegistryConfig fresh = {.kind = KEY_NONE};
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple;
	MemoryContext old;

	if (config_context == NULL)
		config_context = AllocSetContextCreate(CacheMemoryContext,
											   "tenantguard registry",
											   ALLOCSET_SMALL_SIZES);
	config.known = false;
	MemoryContextReset(config_context);
	old = MemoryContextSwitchTo(config_context);
	config_table = table_oid;
	config_dirty = false;
	table = table_open(table_oid, AccessShareLock);
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		read_config_row(&fresh, RelationGetDescr(table), tuple);
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	MemoryContextSwitchTo(old);
	config = fresh;
	config.known = !config_dirty;
}

/* The configuration, read if it is not known; NULL where none was adopted. */
static const RegistryConfig *
get_config(void)
{
	const TguardExtension *ext = tguard_extension();

	if (ext == NULL || !OidIsValid(ext->registry))
		return NULL;
	if (!config.known || config_table != ext->registry)
		read_config(ext->registry);
	return OidIsValid(config.relid) ? &config : NULL;
}

TenantKeyKind
tguard_registry_key_kind(void)
{
	const RegistryConfig *registry = get_config();

	return registry ? registry->kind : KEY_NONE;
}

Oid
tguard_registry_relation(void)
{
	const RegistryConfig *registry = get_config();

	return registry ? registry->relid : InvalidOid;
}

bool
tguard_registry_is(Oid relid)
{
	const RegistryConfig *registry = get_config();

	return registry && registry->relid == relid;
}

bool
tguard_registry_columns(Oid relid, AttrNumber *key, AttrNumber *status)
{
	const RegistryConfig *registry = get_config();

	if (registry == NULL || registry->relid != relid)
		return false;
	*key = registry->key;
	*status = registry->status;
	return true;
}

bool
tguard_registry_uses(const char *column)
{
	const RegistryConfig *registry = get_config();
	AttrNumber	number = registry ? get_attnum(registry->relid, column) : 0;

	return number > 0 &&
		(number == registry->key || number == registry->status);
}

void
tguard_registry_invalidate(void)
{
	const TguardExtension *ext = tguard_extension();

	if (ext && OidIsValid(ext->registry))
		CacheInvalidateRelcacheByRelid(ext->registry);
}

/* Remember, by name, that there was one (sql/10_catalog.sql). */
static void
note_loss(Oid relid)
{
	Oid			table_oid = get_relname_relid("lost_registry",
											  tguard_extension()->schema);
	Datum		values[Natts_lost_registry];
	bool		nulls[Natts_lost_registry] = {false};
	NameData	user;
	Relation	table;

	if (!OidIsValid(table_oid))
		return;
	namestrcpy(&user, GetUserNameFromId(GetSessionUserId(), false));
	values[0] = CStringGetTextDatum(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
															   get_rel_name(relid)));
	values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	values[2] = NameGetDatum(&user);
	table = table_open(table_oid, RowExclusiveLock);
	CatalogTupleInsert(table, heap_form_tuple(RelationGetDescr(table), values,
											  nulls));
	table_close(table, NoLock);
}

/* All rows of one of our own tables, past its triggers. */
static void
empty_own_table(Oid table_oid)
{
	Relation	table = table_open(table_oid, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		CatalogTupleDelete(table, &tuple->t_self);
	systable_endscan(scan);
	table_close(table, NoLock);
}

void
tguard_registry_found(void)
{
	const TguardExtension *ext = tguard_extension();
	Oid			table_oid = ext ? get_relname_relid("lost_registry", ext->schema) :
	InvalidOid;

	if (OidIsValid(table_oid))
		empty_own_table(table_oid);
}

/* The registry was dropped: its row in the configuration goes with it. */
void
tguard_registry_remove(Oid relid)
{
	const TguardExtension *ext = tguard_extension();

	if (!tguard_registry_is(relid))
		return;
	note_loss(relid);
	empty_own_table(ext->registry);
	tguard_registry_invalidate();
}

uint32
tguard_registry_epoch(void)
{
	return epoch;
}

static bool
status_is_active(const RegistryConfig *registry, Relation table,
				 HeapTuple tuple)
{
	Oid			output;
	bool		varlena;
	bool		isnull;
	Datum		status;
	char	   *spelled;

	if (registry->status == 0)
		return true;
	status = heap_getattr(tuple, registry->status, RelationGetDescr(table),
						  &isnull);
	if (isnull)
		return false;
	getTypeOutputInfo(TupleDescAttr(RelationGetDescr(table),
									registry->status - 1)->atttypid,
					  &output, &varlena);
	spelled = OidOutputFunctionCall(output, status);
	for (int i = 0; i < registry->active_count; i++)
	{
		if (strcmp(spelled, registry->active[i]) == 0)
			return true;
	}
	return false;
}

/* Look the tenant up in the registry itself. */
static TenantStanding
probe(const RegistryConfig *registry, const TenantIdentity *identity,
	  bool *lasting)
{
	TenantStanding result = TENANT_UNKNOWN;
	Relation	table;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	*lasting = false;
	if (!OidIsValid(registry->index) || registry->kind == KEY_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the tenant registry \"%s\" cannot be searched",
						get_rel_name(registry->relid)),
				 errdetail(REASON_COLUMN_LOST ": its key column, its status column or the unique index on the key is gone."),
				 tguard_reason(REASON_COLUMN_LOST),
				 errhint("Restore it, or call tenantguard.adopt_registry() again.")));
	if (!tguard_identity_fits(identity, registry->kind))
		return TENANT_UNKNOWN;
	table = table_open(registry->relid, AccessShareLock);
	ScanKeyEntryInitialize(&key, 0, registry->key, BTEqualStrategyNumber,
						   InvalidOid, registry->collation,
						   equality[registry->kind],
						   tguard_identity_datum(identity, registry->kind));
	scan = systable_beginscan(table, registry->index, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

		*lasting = !TransactionIdIsCurrentTransactionId(xmin);
		result = status_is_active(registry, table, tuple) ?
			TENANT_ACTIVE : TENANT_SUSPENDED;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return result;
}

static HTAB *
verified_table(void)
{
	if (verified && (verified_stale ||
					 hash_get_num_entries(verified) >= VERIFIED_MAX))
	{
		hash_destroy(verified);
		verified = NULL;
	}
	verified_stale = false;
	if (verified == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = VERIFIED_KEY;
		ctl.entrysize = VERIFIED_KEY;
		ctl.hcxt = CacheMemoryContext;
		verified = hash_create("tenantguard verified tenants", 64, &ctl,
							   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	return verified;
}

TenantStanding
tguard_registry_ask(const TenantIdentity *identity, bool *lasting)
{
	const RegistryConfig *registry = get_config();
	bool		keepable = strlen(identity->text) < VERIFIED_KEY;
	uint32		asked = epoch;
	TenantStanding result;

	*lasting = true;
	if (registry == NULL)
		return TENANT_ACTIVE;
	if (keepable &&
		hash_search(verified_table(), identity->text, HASH_FIND, NULL))
		return TENANT_ACTIVE;
	result = probe(registry, identity, lasting);
	if (asked != epoch)
		*lasting = false;		/* changed while we looked */
	if (result == TENANT_ACTIVE && *lasting && keepable)
		hash_search(verified_table(), identity->text, HASH_ENTER, NULL);
	return result;
}

static void
relation_invalidated(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && relid != config_table && relid != config.relid)
		return;
	config.known = false;
	config_dirty = true;
	if (relid == config.relid && relid != config_table && OidIsValid(relid))
		return;					/* its shape may have changed, not its rows */
	verified_stale = true;
	epoch++;
}

void
tguard_registry_init(void)
{
	CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
}
