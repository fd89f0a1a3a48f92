/*
 * owner.c
 *	  Whose is a row, by the links that lead from it to its tenant?
 *
 * A parent is found by a probe of its unique index, without a query: filling
 * a column, a COPY or a backfill asks for every row.  Where the parent has no
 * tenant column either, its own links are followed, at most LINKS_DEPTH times.
 *
 * The probe takes the same lock as the check of a foreign key, FOR KEY SHARE,
 * and so sees the newest version of the parent.  Whoever moves a parent to
 * another tenant locks it FOR UPDATE first (carried.c): either the move waits
 * for the new child and takes it along, or the child waits and sees the move.
 *
 * Answers about a relation's links are kept until one of the relations that
 * were looked at changes.  One that is replaced is freed when the transaction
 * ends, since a trigger further up may still use it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "base/compat.h"
#include "base/errors.h"
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
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* columns of tenantguard.carried_column */
#define Anum_carried_relid	1
#define Anum_carried_name	2

/* A table that holds parents, and the index that finds them. */
typedef struct ProbeTarget
{
	Oid			relid;
	Oid			index;			/* InvalidOid where there is none */
	int			places[INDEX_MAX_KEYS]; /* which column of the link is the
										 * index's i-th */
} ProbeTarget;

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

	*table = table_open(get_relname_relid("carried_column",
										  tguard_extension()->schema),
						lockmode);
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

/* Is it a unique index over exactly the parent's columns?  Notes their order. */
static bool
fits(Relation index, Oid relid, const RelationLink *link, ProbeTarget *target)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisunique || !form->indisvalid ||
		form->indnkeyatts != list_length(link->columns) ||
		RelationGetIndexPredicate(index) != NIL)
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		int			place = 0;
		ListCell   *lc;

		target->places[i] = -1;
		foreach(lc, link->parent_columns)
		{
			char	   *name = get_attname(link->parent, lfirst_int(lc), false);

			if (get_attnum(relid, name) == form->indkey.values[i])
				target->places[i] = place;
			place++;
		}
		if (target->places[i] < 0)
			return false;
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

		if (!OidIsValid(target->index) && fits(index, relid, link, target))
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
	if (relations == NULL)
		return;
	hash_seq_init(&status, relations);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || list_member_oid(entry->depends, relid) ||
			tguard_links_is(relid) || tguard_catalog_is(relid))
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

static void
add_tenant(RowOwner *owner, TenantKeyKind kind, Datum value)
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

/* ---------------------------------------------------------------------
 * Probes
 * ---------------------------------------------------------------------
 */

static void
refuse_change(Relation parent)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("A row of \"%s\", which says whose a row is, was changed.",
					   RelationGetRelationName(parent))));
}

/*
 * Lock what was found, as the check of a foreign key does, and see its newest
 * version.  A row that this very command changed is taken as it was: whoever
 * moves it takes its children along when the command is done.
 */
static bool
lock_parent(Relation parent, TupleTableSlot *slot, Snapshot snapshot)
{
	uint8		flags = IsolationUsesXactSnapshot() ? 0 :
	TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
	ItemPointerData tid = slot->tts_tid;
	TM_FailureData failure;

	switch (table_tuple_lock(parent, &tid, snapshot, slot,
							 GetCurrentCommandId(false), LockTupleKeyShare,
							 LockWaitBlock, flags, &failure))
	{
		case TM_Ok:
		case TM_SelfModified:
			return true;
		case TM_Updated:
			if (IsolationUsesXactSnapshot())
				refuse_change(parent);
			return false;
		default:
			return false;		/* deleted meanwhile */
	}
}

/* Is it a row that this transaction itself has written? */
static bool
is_own(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		xmin = slot_getsysattr(slot, MinTransactionIdAttributeNumber,
									   &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

static void
make_keys(ScanKey keys, Relation index, const CarriedLink *link,
		  const ProbeTarget *target, const Datum *values)
{
	for (int i = 0; i < link->key_count; i++)
	{
		int			place = target->places[i];
		Oid			operator = list_nth_oid(link->link->operators, place);
		Oid			left;
		Oid			right;

		op_input_types(operator, &left, &right);
		ScanKeyEntryInitialize(&keys[i], 0, i + 1, BTEqualStrategyNumber,
							   right, index->rd_indcollation[i],
							   get_opcode(operator), values[place]);
	}
}

/*
 * The parent as it is for whoever commits now.  What this very command has
 * written, as WITH ... INSERT does, is seen by no snapshot yet; a foreign key
 * is checked when it is done.
 */
static bool
find_in_index(Relation parent, Relation index, ScanKey keys, int key_count,
			  bool lock, TupleTableSlot *slot)
{
	Snapshot	snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ?
											GetTransactionSnapshot() :
											GetLatestSnapshot());
	IndexScanDesc scan = tguard_index_beginscan(parent, index, snapshot,
												key_count);
	bool		found;

	index_rescan(scan, keys, key_count, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot) &&
		(!lock || lock_parent(parent, slot, snapshot));
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	if (found)
		return true;

	scan = tguard_index_beginscan(parent, index, SnapshotSelf, key_count);
	index_rescan(scan, keys, key_count, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot) &&
		is_own(slot);
	index_endscan(scan);
	return found;
}

static bool
find_parent(const CarriedLink *link, const ProbeTarget *target,
			const Datum *values, bool lock, RowOwner *owner)
{
	ScanKeyData keys[INDEX_MAX_KEYS];
	Relation	parent;
	Relation	index;
	TupleTableSlot *slot;
	bool		found;

	if (!OidIsValid(target->index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no unique index of \"%s\" covers the columns of a link",
						get_rel_name(target->relid)),
				 errhint("Create it again; tenantguard.link names the columns.")));
	parent = table_open(target->relid, RowShareLock);
	index = index_open(target->index, AccessShareLock);
	slot = table_slot_create(parent, NULL);
	make_keys(keys, index, link, target, values);
	found = find_in_index(parent, index, keys, link->key_count, lock, slot);
	if (found)
		tguard_owner_of_row(target->relid, slot, lock, owner);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(parent, NoLock);
	return found;
}

/* Does a polymorphic link concern this row? */
static bool
is_of_type(const RelationLink *link, TupleTableSlot *row)
{
	bool		isnull;
	Datum		value;
	Oid			output;
	bool		varlena;

	if (link->type_column == 0)
		return true;
	value = slot_getattr(row, link->type_column, &isnull);
	if (isnull)
		return false;
	getTypeOutputInfo(TupleDescAttr(row->tts_tupleDescriptor,
									link->type_column - 1)->atttypid,
					  &output, &varlena);
	return strcmp(OidOutputFunctionCall(output, value),
				  link->type_value) == 0;
}

bool
tguard_owner_ask(const CarriedLink *link, TupleTableSlot *row, bool lock,
				 RowOwner *owner)
{
	Datum		values[INDEX_MAX_KEYS];
	int			i = 0;
	ListCell   *lc;

	if (!is_of_type(link->link, row))
		return false;
	foreach(lc, link->link->columns)
	{
		bool		isnull;

		values[i++] = slot_getattr(row, lfirst_int(lc), &isnull);
		if (isnull)
			return false;
	}
	owner->links++;
	foreach(lc, link->targets)
	{
		if (find_parent(link, lfirst(lc), values, lock, owner))
			return true;
	}
	owner->missing = true;
	return true;
}

void
tguard_owner_ask_all(const CarriedRelation *relation, TupleTableSlot *row,
					 bool lock, RowOwner *owner)
{
	ListCell   *lc;

	if (!relation->whole)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("relation \"%s\" has lost a link to its tenant",
						get_rel_name(relation->relid)),
				 errdetail(REASON_LINK_LOST ": a column of it, or of the parent, is missing."),
				 tguard_reason(REASON_LINK_LOST),
				 errhint("See tenantguard.links, and use tenantguard.drop_link() for what is no longer meant.")));
	foreach(lc, relation->links)
		tguard_owner_ask(lfirst(lc), row, lock, owner);
}

void
tguard_owner_of_row(Oid relid, TupleTableSlot *row, bool lock, RowOwner *owner)
{
	static int	depth = 0;
	GuardedRelation guarded = *tguard_relation(relid);
	bool		isnull;
	Datum		value;
	int			before = owner->links;

	if (guarded.lost || !tguard_mode_filters(guarded.mode))
	{
		owner->missing = true;
		return;
	}
	if (guarded.mode != RELATION_DERIVED)
	{
		value = slot_getattr(row, guarded.column, &isnull);
		if (!isnull)
			add_tenant(owner, guarded.kind, value);
		else if (guarded.mode == RELATION_TENANT_OR_SHARED)
			owner->shared = true;
		else
			owner->missing = true;
		return;
	}
	if (depth == LINKS_DEPTH)
		elog(ERROR, "the links of \"%s\" close a circle", get_rel_name(relid));
	PG_TRY();
	{
		depth++;
		tguard_owner_ask_all(tguard_carried(relid), row, lock, owner);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	if (owner->links == before)
		owner->missing = true;
}

void
tguard_owner_init(void)
{
	CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
}
