/*
 * owner.c
 *	  Whose is a row, by the links that lead from it to its tenant?
 *
 * What is known of a relation's links, made ready for parents.c to look for the
 * rows that they lead to, and how keys of tenants compare.
 *
 * Answers about a relation's links are kept until one of the relations that
 * were looked at changes.  One that is replaced is freed when the transaction
 * ends, since a trigger further up may still use it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/retired.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "guard/owner.h"
#include "relations/cache.h"
#include "relations/catalog.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* columns of tenantguard.carried_column */
#define Anum_carried_relid	1
#define Anum_carried_name	2

/* OID of the table carried_column, once this backend has read it. */
static Oid	records_seen = InvalidOid;

static HTAB *relations = NULL;
static uint32 generation = 0;

/* ---------------------------------------------------------------------
 * What is known of a relation
 * ---------------------------------------------------------------------
 */

List *
tguard_owner_ancestors(Oid relid)
{
	List	   *result = list_make1_oid(relid);
	int			i = 0;

	/* the list grows while it is walked */
	for (; i < list_length(result); i++)
		result = list_concat_unique_oid(result,
										tguard_catalog_parents(list_nth_oid(result, i)));
	return result;
}

/* The record of a relation's column; to be closed by close_record(). */
static HeapTuple
open_record(Oid relid, LOCKMODE lockmode, Relation *table, SysScanDesc *scan)
{
	ScanKeyData key;

	records_seen = get_relname_relid("carried_column",
									 tguard_extension()->schema);
	*table = table_open(records_seen, lockmode);
	ScanKeyInit(&key, Anum_carried_relid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	*scan = systable_beginscan(*table, tguard_primary_key(*table), true, NULL,
							   1, &key);
	return systable_getnext(*scan);
}

static void
close_record(Relation table, SysScanDesc scan)
{
	systable_endscan(scan);
	table_close(table, NoLock);
}

static char *
recorded_name(HeapTuple tuple, Relation table)
{
	bool		isnull;

	return pstrdup(NameStr(*DatumGetName(heap_getattr(tuple,
													  Anum_carried_name,
													  RelationGetDescr(table),
													  &isnull))));
}

static char *
read_column_name(Oid relid)
{
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple = open_record(relid, AccessShareLock, &table, &scan);
	char	   *result = HeapTupleIsValid(tuple) ?
	recorded_name(tuple, table) : NULL;

	close_record(table, scan);
	return result;
}

void
tguard_carried_remove(Oid relid)
{
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (tguard_extension() == NULL)
		return;
	tuple = open_record(relid, RowExclusiveLock, &table, &scan);
	if (HeapTupleIsValid(tuple))
		CatalogTupleDelete(table, &tuple->t_self);
	close_record(table, scan);
}

void
tguard_carried_follow_column(Oid relid, AttrNumber column)
{
	char	   *old_name = get_attname(relid, column, true);
	char	   *new_name = tguard_catalog_name_right_now(relid, column);
	int			number = Anum_carried_name;
	bool		isnull = false;
	NameData	name;
	Datum		value = NameGetDatum(&name);
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple = open_record(relid, RowExclusiveLock, &table, &scan);

	if (HeapTupleIsValid(tuple) && old_name && new_name &&
		strcmp(recorded_name(tuple, table), old_name) == 0)
	{
		namestrcpy(&name, new_name);
		tuple = heap_modify_tuple_by_cols(tuple, RelationGetDescr(table), 1,
										  &number, &value, &isnull);
		CatalogTupleUpdate(table, &tuple->t_self, tuple);
	}
	close_record(table, scan);
}

/*
 * The column that the relation, or one above it, was given.  Once it is guarded
 * by the column, the record of that counts.
 */
static void
find_column(CarriedRelation *entry)
{
	const GuardedRelation *guarded = tguard_relation(entry->relid);
	char	   *name = NULL;
	ListCell   *lc;

	foreach(lc, entry->depends)
	{
		if (name == NULL)
			name = read_column_name(lfirst_oid(lc));
	}
	if (name == NULL)
		return;
	entry->column = guarded->mode == RELATION_TENANT ? guarded->column :
		get_attnum(entry->relid, name);
	entry->kind = entry->column > 0 ?
		tguard_key_kind(get_atttype(entry->relid, entry->column)) : KEY_NONE;
	if (entry->kind == KEY_NONE)
		entry->column = 0;
}

/* The place, among the link's columns, of a column that an index has. */
static int
find_place(Oid relid, const RelationLink *link, AttrNumber column)
{
	int			place = 0;
	ListCell   *lc;

	foreach(lc, link->parent_columns)
	{
		char	   *name = get_attname(link->parent, lfirst_int(lc), false);

		if (get_attnum(relid, name) == column)
			return place;
		place++;
	}
	return -1;
}

/*
 * Is it an index that holds the parent's columns, and no others, to one row in
 * the link's own sense of equality?  Notes their order.
 */
static bool
fits(Relation relation, Relation index, const RelationLink *link,
	 ProbeTarget *target)
{
	if (!tguard_link_may_use(index, list_length(link->columns)))
		return false;
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		int			place = find_place(RelationGetRelid(relation), link,
									   index->rd_index->indkey.values[i]);

		if (place < 0 ||
			!tguard_link_agrees(relation, index, i,
								list_nth_oid(link->operators, place)))
			return false;
		target->places[i] = place;
	}
	return true;
}

static ProbeTarget *
make_target(Oid relid, const RelationLink *link)
{
	ProbeTarget *target = palloc0(sizeof(ProbeTarget));
	Relation	relation = table_open(relid, AccessShareLock);
	ListCell   *lc;

	target->relid = relid;
	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (!OidIsValid(target->index) && fits(relation, index, link, target))
			target->index = lfirst_oid(lc);
		index_close(index, AccessShareLock);
	}
	table_close(relation, AccessShareLock);
	return target;
}

static bool
is_deferrable(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_constraint) GETSTRUCT(tuple))->condeferrable;
	ReleaseSysCache(tuple);
	return result;
}

/* A partitioned parent is looked for in each of its partitions. */
static CarriedLink *
make_link(CarriedRelation *entry, RelationLink *link)
{
	CarriedLink *result = palloc0(sizeof(CarriedLink));
	List	   *tables = get_rel_relkind(link->parent) == RELKIND_PARTITIONED_TABLE ?
	find_all_inheritors(link->parent, AccessShareLock, NULL) :
	list_make1_oid(link->parent);
	ListCell   *lc;

	result->link = link;
	result->key_count = list_length(link->columns);
	get_typlenbyval(get_atttype(entry->relid, linitial_int(link->columns)),
					&result->key_length, &result->key_byval);
	result->checked = tguard_link_is_checked(entry->relid, link);
	result->deferrable = OidIsValid(link->constraint) &&
		is_deferrable(link->constraint);
	foreach(lc, tables)
	{
		entry->depends = list_append_unique_oid(entry->depends, lfirst_oid(lc));
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION)
			result->targets = lappend(result->targets,
									  make_target(lfirst_oid(lc), link));
	}
	return result;
}

static void
describe(CarriedRelation *entry)
{
	MemoryContext old;
	ListCell   *lc;

	entry->context = AllocSetContextCreate(CurrentMemoryContext,
										   "tenantguard carried relation",
										   ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(entry->context);
	entry->depends = tguard_owner_ancestors(entry->relid);
	find_column(entry);
	foreach(lc, tguard_links_read(entry->relid, &entry->whole))
		entry->links = lappend(entry->links, make_link(entry, lfirst(lc)));
	MemoryContextSwitchTo(old);
}

static void
make_table(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(CarriedRelation);
	ctl.hcxt = CacheMemoryContext;
	relations = hash_create("tenantguard carried relations", 32, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

const CarriedRelation *
tguard_carried(Oid relid)
{
	CarriedRelation fresh = {0};
	CarriedRelation *entry;
	uint32		before = generation;
	bool		found;

	if (relations == NULL)
		make_table();
	entry = hash_search(relations, &relid, HASH_FIND, NULL);
	if (entry && entry->valid)
		return entry;
	fresh.relid = relid;
	describe(&fresh);
	fresh.valid = before == generation;
	entry = hash_search(relations, &relid, HASH_ENTER, &found);
	if (found)
		tguard_retire(entry->context);
	MemoryContextSetParent(fresh.context, CacheMemoryContext);
	*entry = fresh;
	return entry;
}

static void
relation_invalidated(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CarriedRelation *entry;

	generation++;
	tguard_owner_forget();
	if (relations == NULL)
		return;
	hash_seq_init(&status, relations);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || list_member_oid(entry->depends, relid) ||
			tguard_links_is(relid) || tguard_catalog_is(relid) ||
			relid == records_seen)
			entry->valid = false;
	}
}

/* ---------------------------------------------------------------------
 * Keys
 * ---------------------------------------------------------------------
 */

static bool
is_integer(TenantKeyKind kind)
{
	return kind == KEY_INT4 || kind == KEY_INT8;
}

static int64
as_integer(TenantKeyKind kind, Datum value)
{
	return kind == KEY_INT4 ? DatumGetInt32(value) : DatumGetInt64(value);
}

bool
tguard_owner_same(TenantKeyKind kind, Datum value, TenantKeyKind other_kind,
				  Datum other)
{
	if (is_integer(kind) && is_integer(other_kind))
		return as_integer(kind, value) == as_integer(other_kind, other);
	if (kind == KEY_UUID && other_kind == KEY_UUID)
		return memcmp(DatumGetUUIDP(value), DatumGetUUIDP(other), UUID_LEN) == 0;
	return strcmp(tguard_key_text(kind, value),
				  tguard_key_text(other_kind, other)) == 0;
}

Datum
tguard_owner_convert(TenantKeyKind kind, Datum value, TenantKeyKind to)
{
	char	   *text;
	TenantIdentity *identity;

	if (kind == to)
		return value;
	text = tguard_key_text(kind, value);
	identity = palloc(tguard_identity_size(text));
	tguard_identity_parse(text, identity);
	return tguard_identity_datum(identity, to);
}

void
tguard_owner_add(RowOwner *owner, TenantKeyKind kind, Datum value)
{
	if (!owner->known)
	{
		owner->known = true;
		owner->kind = kind;
		owner->value = datumCopy(value, is_integer(kind),
								 kind == KEY_UUID ? UUID_LEN : -1);
	}
	else if (!tguard_owner_same(owner->kind, owner->value, kind, value))
		owner->several = true;
	if (owner->collect)
	{
		char	   *text = tguard_key_text(kind, value);
		ListCell   *lc;

		foreach(lc, owner->tenants)
		{
			if (strcmp(lfirst(lc), text) == 0)
				return;
		}
		owner->tenants = lappend(owner->tenants, text);
	}
}

void
tguard_owner_init(void)
{
	CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
}
