/*
 * parents.c
 *	  The rows that say whose a row is, found without a query.
 *
 * A parent is found by a probe of its unique index: filling a column, a COPY
 * or a backfill asks for every row.  Where the parent has no tenant column
 * either, its own links are followed, at most LINKS_DEPTH times.
 *
 * A probe that locks takes what the check of a foreign key takes, FOR KEY
 * SHARE, and so sees the newest version of the parent.  Whoever moves a parent
 * to another tenant locks it FOR UPDATE first (carried.c): either the move
 * waits for the new child and takes it along, or the child waits and sees the
 * move.
 *
 * Rows that are written one after the other often have the same parents.  So
 * what a statement has found is remembered while nothing can have changed: it
 * is forgotten when a statement that writes begins or ends, be it inside of
 * another one, with a savepoint that is rolled back, and with every change of
 * a relation.  What others change meanwhile does not matter: a parent that was
 * locked stays as it is, and of one that was not, the statement might have
 * asked a moment before.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "guard/owner.h"
#include "guard/reference.h"
#include "miscadmin.h"
#include "relations/cache.h"
#include "tenant/context.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

/* ---------------------------------------------------------------------
 * What was found before
 * ---------------------------------------------------------------------
 */

#define MEMO_SIZE 512
#define MEMO_BYTES 40

/* A value that is kept: of a type by value, or as its bytes. */
typedef struct MemoValue
{
	int			size;			/* 0: it is in "datum" */
	Datum		datum;
	char		bytes[MEMO_BYTES];
} MemoValue;

/* A parent, by what was looked for, and whose it is. */
typedef struct MemoEntry
{
	uint32		epoch;			/* valid while it is the present one */
	Oid			index;
	Oid			operator;
	bool		locked;
	MemoValue	key;
	TenantKeyKind kind;
	MemoValue	tenant;
} MemoEntry;

static MemoEntry memo[MEMO_SIZE];
static uint32 memo_epoch = 1;

void
tguard_owner_forget(void)
{
	if (++memo_epoch == 0)		/* zero is what was never filled */
	{
		memset(memo, 0, sizeof(memo));
		memo_epoch = 1;
	}
}

/* False where the value is too long to be kept. */
static bool
memo_value(Datum value, bool byval, int length, MemoValue *result)
{
	if (byval)
	{
		result->size = 0;
		result->datum = value;
		return true;
	}
	result->size = datumGetSize(value, byval, length);
	if (result->size > MEMO_BYTES)
		return false;
	memcpy(result->bytes, DatumGetPointer(value), result->size);
	return true;
}

static bool
memo_same(const MemoValue *one, const MemoValue *other)
{
	return one->size == other->size &&
		(one->size == 0 ? one->datum == other->datum :
		 memcmp(one->bytes, other->bytes, one->size) == 0);
}

/*
 * The place of a parent in the memo, with what was looked for; NULL where it
 * is not to be remembered.  Its entry is the parent's own if *known.
 */
static MemoEntry *
memo_place(const CarriedLink *link, const ProbeTarget *target, Datum value,
		   OwnerLook look, MemoValue *key, bool *known)
{
	Oid			operator = linitial_oid(link->link->operators);
	MemoEntry  *entry;
	uint32		hash;

	if (look == OWNER_LATEST || link->key_count != 1 ||
		!memo_value(value, link->key_byval, link->key_length, key))
		return NULL;
	hash = key->size == 0 ?
		hash_bytes((unsigned char *) &key->datum, sizeof(Datum)) :
		hash_bytes((unsigned char *) key->bytes, key->size);
	entry = &memo[(hash ^ target->index) % MEMO_SIZE];
	*known = entry->epoch == memo_epoch && entry->index == target->index &&
		entry->operator == operator &&
		(entry->locked || look != OWNER_LOCKED) && memo_same(&entry->key, key);
	return entry;
}

/* Only what is plain: one tenant's, and nobody else's. */
static void
memo_keep(MemoEntry *entry, const CarriedLink *link,
		  const ProbeTarget *target, OwnerLook look, const MemoValue *key,
		  const RowOwner *found)
{
	if (!found->known || found->several || found->missing || found->shared ||
		!memo_value(found->value,
					found->kind == KEY_INT4 || found->kind == KEY_INT8,
					found->kind == KEY_UUID ? UUID_LEN : -1, &entry->tenant))
	{
		entry->epoch = 0;
		return;
	}
	entry->epoch = memo_epoch;
	entry->index = target->index;
	entry->operator = linitial_oid(link->link->operators);
	entry->locked = look == OWNER_LOCKED;
	entry->key = *key;
	entry->kind = found->kind;
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
			  OwnerLook look, TupleTableSlot *slot)
{
	Snapshot	snapshot = RegisterSnapshot(look == OWNER_SEEN ?
											GetActiveSnapshot() :
											IsolationUsesXactSnapshot() ?
											GetTransactionSnapshot() :
											GetLatestSnapshot());
	IndexScanDesc scan = tguard_index_beginscan(parent, index, snapshot,
												key_count);
	bool		found;

	index_rescan(scan, keys, key_count, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot) &&
		(look != OWNER_LOCKED || lock_parent(parent, slot, snapshot));
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
			const Datum *values, OwnerLook look, RowOwner *owner)
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
	parent = table_open(target->relid,
						look == OWNER_LOCKED ? RowShareLock : AccessShareLock);
	index = index_open(target->index, AccessShareLock);
	slot = table_slot_create(parent, NULL);
	make_keys(keys, index, link, target, values);
	found = find_in_index(parent, index, keys, link->key_count, look, slot);
	if (found)
		tguard_owner_of_row(target->relid, slot, look, owner);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(parent, NoLock);
	return found;
}

/* The same, unless this statement has found it before. */
static bool
recall_parent(const CarriedLink *link, const ProbeTarget *target,
			  const Datum *values, OwnerLook look, RowOwner *owner)
{
	RowOwner	found = {0};
	MemoValue	key;
	uint32		epoch = memo_epoch;
	bool		known = false;
	MemoEntry  *entry = memo_place(link, target, values[0], look, &key, &known);

	if (entry == NULL)
		return find_parent(link, target, values, look, owner);
	if (known)
	{
		tguard_owner_add(owner, entry->kind,
						 entry->tenant.size ?
						 PointerGetDatum(entry->tenant.bytes) :
						 entry->tenant.datum);
		return true;
	}
	if (!find_parent(link, target, values, look, &found))
		return false;
	if (epoch == memo_epoch)
		memo_keep(entry, link, target, look, &key, &found);
	owner->missing |= found.missing;
	owner->shared |= found.shared;
	owner->several |= found.several;
	if (found.known)
		tguard_owner_add(owner, found.kind, found.value);
	return true;
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
tguard_owner_ask(const CarriedLink *link, TupleTableSlot *row,
				 OwnerLook look, RowOwner *owner)
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
		if (recall_parent(link, lfirst(lc), values, look, owner))
			return true;
	}
	owner->missing = true;
	return true;
}

void
tguard_owner_ask_all(const CarriedRelation *relation, TupleTableSlot *row,
					 OwnerLook look, RowOwner *owner)
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
		tguard_owner_ask(lfirst(lc), row, look, owner);
}

void
tguard_owner_of_row(Oid relid, TupleTableSlot *row, OwnerLook look,
					RowOwner *owner)
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
			tguard_owner_add(owner, guarded.kind, value);
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
		tguard_owner_ask_all(tguard_carried(relid), row, look, owner);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	if (owner->links == before)
		owner->missing = true;
}

/* ---------------------------------------------------------------------
 * For the look-ups of foreign keys
 * ---------------------------------------------------------------------
 */

bool
tguard_owner_is_probed(Oid relid)
{
	GuardedRelation guarded = *tguard_relation(relid);
	ListCell   *lc;

	check_stack_depth();
	if (guarded.mode != RELATION_DERIVED)
		return true;
	foreach(lc, tguard_carried(relid)->links)
	{
		const CarriedLink *link = lfirst(lc);
		const ProbeTarget *target = list_length(link->targets) == 1 ?
		linitial(link->targets) : NULL;

		if (target == NULL || target->relid != link->link->parent ||
			!OidIsValid(target->index) ||
			!tguard_owner_is_probed(link->link->parent))
			return false;
	}
	return true;
}

static void
put_value(FunctionCallInfo fcinfo, int argument, TupleTableSlot *row,
		  AttrNumber column)
{
	TupleDesc	desc = row->tts_tupleDescriptor;

	if (column < 1 || column > desc->natts ||
		get_fn_expr_argtype(fcinfo->flinfo, argument) !=
		TupleDescAttr(desc, column - 1)->atttypid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("leads_to_tenant() takes columns of the relation")));
	row->tts_isnull[column - 1] = PG_ARGISNULL(argument);
	row->tts_values[column - 1] = PG_GETARG_DATUM(argument);
}

/* Is the row one tenant's, this one's, or may all read it? */
static bool
belongs(const RowOwner *owner, const TenantIdentity *tenant)
{
	if (owner->missing || owner->several)
		return false;
	return owner->known ?
		tguard_identity_matches(tenant, owner->kind, owner->value) :
		owner->shared;
}

static bool
row_belongs(FunctionCallInfo fcinfo, Oid relid, const TenantIdentity *tenant)
{
	ArrayType  *columns = PG_GETARG_ARRAYTYPE_P(2);
	Relation	relation = table_open(relid, AccessShareLock);
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(relation),
												   &TTSOpsVirtual);
	OwnerLook	look = PG_GETARG_BOOL(1) ? OWNER_LOCKED : OWNER_SEEN;
	RowOwner	owner = {0};

	ExecStoreAllNullTuple(row);
	for (int i = 0; i < ARR_DIMS(columns)[0] && i + 3 < PG_NARGS(); i++)
		put_value(fcinfo, i + 3, row, ((int16 *) ARR_DATA_PTR(columns))[i]);
	tguard_owner_of_row(relid, row, look, &owner);
	ExecDropSingleTupleTableSlot(row);
	table_close(relation, NoLock);
	return belongs(&owner, tenant);
}

TGUARD_SQL_FUNCTION(tenantguard_leads_to_tenant);

/*
 * leads_to_tenant(relation oid, locked boolean, columns smallint[], VARIADIC
 * "any") RETURNS boolean: is a row of a derived relation, of which these are
 * the columns that its links use, the tenant's?  False without a tenant.  Only
 * the look-ups of foreign keys call it: nobody else may ask about rows that he
 * cannot read, or lock them.
 */
Datum
tenantguard_leads_to_tenant(PG_FUNCTION_ARGS)
{
	const TenantIdentity *tenant = tguard_context_bound();

	if (!tguard_reference_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("leads_to_tenant() is for the look-ups of foreign keys")));
	for (int i = 0; i < 3; i++)
	{
		if (PG_ARGISNULL(i))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(tenant && row_belongs(fcinfo, PG_GETARG_OID(0), tenant));
}
