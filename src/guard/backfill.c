/*
 * backfill.c
 *	  Filling a tenant column that was added to a table with rows in it.
 *
 * backfill_range() does one batch, which the procedure backfill_tenant_column()
 * commits.  It is an UPDATE in all but the triggers: what a trigger of the
 * application notes of an update, such as updated_at, did not happen.  A row
 * that somebody holds is left for the next pass, so nobody waits for a batch;
 * a batch holds its own rows as long as it takes to read a few pages.
 *
 * The table is walked by block numbers.  Rows that are inserted or moved
 * meanwhile have their column filled by the trigger, and the caller repeats
 * the walk until it finds nothing to do.
 *
 * The functions here read rows and parents of all tenants, so they take a
 * bypass, and the owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/settings.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "guard/carried.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "relations/catalog.h"
#include "storage/bufmgr.h"
#include "tenant/bypass.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

/* A batch ends after so many rows for each that it may fill. */
#define READ_FOR_EACH 20

typedef struct Backfill
{
	Relation	relation;
	const CarriedRelation *carried;
	ResultRelInfo *target;
	EState	   *estate;
	TupleTableSlot *row;		/* as it was read, ... */
	TupleTableSlot *locked;		/* ... locked in its newest version, ... */
	TupleTableSlot *filled;		/* ... and with its column */
	MemoryContext scratch;		/* for one row */
	int64		count_filled;
	int64		count_unowned;	/* no parent, or several tenants */
	int64		count_locked;	/* somebody else holds the row */
} Backfill;

static void
demand_owner(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!tguard_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)), name);
}

/* Without a line in the log for each row: the statement has its own. */
static void
demand_bypass(Oid relid)
{
	if (tguard_preloaded && tguard_mode() == MODE_GUARD)
		tguard_bypass_demand(REASON_BEYOND,
							 psprintf("look for the tenants of relation \"%s\"",
									  get_rel_name(relid)),
							 "rows and parents of every tenant are read.");
}

/* ---------------------------------------------------------------------
 * A batch
 * ---------------------------------------------------------------------
 */

/* Store the row with its column; no trigger fires. */
static void
store(Backfill *fill, const RowOwner *owner)
{
	AttrNumber	column = fill->carried->column;
	EPQState	epq = {0};

	ExecCopySlot(fill->filled, fill->locked);
	fill->filled->tts_values[column - 1] =
		tguard_owner_convert(owner->kind, owner->value, fill->carried->kind);
	fill->filled->tts_isnull[column - 1] = false;
	ExecSimpleRelationUpdate(fill->target, fill->estate, &epq, fill->locked,
							 fill->filled);
	fill->count_filled++;
}

/* The newest version of the row, held; false where there is none to be had. */
static bool
lock_row(Backfill *fill, Snapshot snapshot)
{
	ItemPointerData tid = fill->row->tts_tid;
	TM_FailureData failure;
	bool		isnull;

	switch (table_tuple_lock(fill->relation, &tid, snapshot, fill->locked,
							 GetCurrentCommandId(false),
							 LockTupleNoKeyExclusive, LockWaitSkip,
							 TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure))
	{
		case TM_Ok:
			(void) slot_getattr(fill->locked, fill->carried->column, &isnull);
			return isnull;
		case TM_WouldBlock:
			fill->count_locked++;
			return false;
		default:
			return false;
	}
}

static void
fill_row(Backfill *fill, Snapshot snapshot)
{
	RowOwner	owner = {0};
	MemoryContext old;
	bool		isnull;

	(void) slot_getattr(fill->row, fill->carried->column, &isnull);
	if (!isnull || !lock_row(fill, snapshot))
		return;
	old = MemoryContextSwitchTo(fill->scratch);
	tguard_owner_ask_all(fill->carried, fill->locked, OWNER_LATEST, &owner);
	if (owner.known && !owner.several && !owner.missing)
		store(fill, &owner);
	else
		fill->count_unowned++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(fill->scratch);
}

/* Walk from a block on; returns the block to go on with. */
static int64
walk(Backfill *fill, int64 first, int64 end, int64 most)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ItemPointerData from;
	ItemPointerData to;
	TableScanDesc scan;
	int64		read = 0;
	int64		block = first;

	ItemPointerSet(&from, (BlockNumber) first, 0);
	ItemPointerSet(&to, (BlockNumber) (end - 1), MaxOffsetNumber);
	scan = table_beginscan_tidrange(fill->relation, snapshot, &from, &to);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection,
										   fill->row))
	{
		int64		here = ItemPointerGetBlockNumber(&fill->row->tts_tid);

		CHECK_FOR_INTERRUPTS();
		if (here != block && (fill->count_filled >= most ||
							  read >= most * READ_FOR_EACH))
		{
			end = here;
			break;
		}
		block = here;
		read++;
		fill_row(fill, snapshot);
		ResetPerTupleExprContext(fill->estate);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return end;
}

static void
begin(Backfill *fill, Oid relid)
{
	fill->relation = table_open(relid, RowExclusiveLock);
	fill->carried = tguard_carried(relid);
	if (fill->carried->column == 0 || fill->carried->links == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"%s\" has no tenant column that is carried from a parent",
						RelationGetRelationName(fill->relation)),
				 errhint("Use SELECT tenantguard.add_tenant_column().")));
	fill->estate = CreateExecutorState();
	fill->estate->es_snapshot = GetActiveSnapshot();
	fill->estate->es_output_cid = GetCurrentCommandId(true);
	fill->target = makeNode(ResultRelInfo);
	InitResultRelInfo(fill->target, fill->relation, 0, NULL, 0);
	fill->target->ri_TrigDesc = NULL;
	ExecOpenIndices(fill->target, false);
	fill->scratch = AllocSetContextCreate(CurrentMemoryContext,
										  "tenantguard backfill",
										  ALLOCSET_DEFAULT_SIZES);
	fill->row = table_slot_create(fill->relation, NULL);
	fill->locked = table_slot_create(fill->relation, NULL);
	fill->filled = MakeSingleTupleTableSlot(RelationGetDescr(fill->relation),
											&TTSOpsVirtual);
}

static void
finish(Backfill *fill)
{
	ExecDropSingleTupleTableSlot(fill->row);
	ExecDropSingleTupleTableSlot(fill->locked);
	ExecDropSingleTupleTableSlot(fill->filled);
	ExecCloseIndices(fill->target);
	FreeExecutorState(fill->estate);
	table_close(fill->relation, NoLock);
}

TGUARD_SQL_FUNCTION(tenantguard_backfill_range);

/*
 * backfill_range(member regclass, first_block bigint, end_block bigint,
 * most_rows integer) RETURNS (next_block bigint, filled bigint, unowned
 * bigint, locked bigint)
 *
 * Fills the carried column of rows of one table, from a block up to another,
 * until so many are filled.  Needs a bypass and the owner.
 */
Datum
tenantguard_backfill_range(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	int64		first = Max(PG_GETARG_INT64(1), 0);
	int64		end = PG_GETARG_INT64(2);
	Backfill	fill = {0};
	Datum		values[4];
	bool		nulls[4] = {false};
	TupleDesc	desc;
	int64		blocks;

	demand_owner(relid);
	demand_bypass(relid);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	begin(&fill, relid);
	blocks = RelationGetNumberOfBlocks(fill.relation);
	end = Min(end, blocks);
	values[0] = Int64GetDatum(first < end ?
							  walk(&fill, first, end,
								   Max(PG_GETARG_INT32(3), 1)) : end);
	values[1] = Int64GetDatum(fill.count_filled);
	values[2] = Int64GetDatum(fill.count_unowned);
	values[3] = Int64GetDatum(fill.count_locked);
	finish(&fill);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/* ---------------------------------------------------------------------
 * What is wrong with a row
 * ---------------------------------------------------------------------
 */

static const char *
problem_of(const CarriedRelation *carried, const RowOwner *owner,
		   TupleTableSlot *row)
{
	bool		isnull = true;
	Datum		value = carried->column > 0 ?
	slot_getattr(row, carried->column, &isnull) : (Datum) 0;

	if (owner->several)
		return "parents of different tenants";
	if (!isnull && owner->known &&
		!tguard_owner_same(carried->kind, value, owner->kind, owner->value))
		return "column disagrees";
	if (owner->missing || (isnull && !owner->known))
		return "no parent";
	return NULL;
}

static Datum
text_array(List *texts)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, texts)
		elements[count++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* A row of a table as a slot; the relation it is of. */
static TupleTableSlot *
row_of_record(HeapTupleHeader record, HeapTuple tuple, Oid *relid)
{
	Oid			type = HeapTupleHeaderGetTypeId(record);
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type,
												   HeapTupleHeaderGetTypMod(record));
	TupleTableSlot *slot;

	*relid = typeOrDomainTypeRelid(type);
	if (!OidIsValid(*relid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("not a row of a table")));
	tuple->t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_tableOid = *relid;
	tuple->t_data = record;
	slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	ExecStoreHeapTuple(tuple, slot, false);
	return slot;
}

TGUARD_SQL_FUNCTION(tenantguard_row_problem);

/*
 * row_problem(row record) RETURNS (problem text, tenants text[])
 *
 * What is wrong with a row that is tied to its tenant by links, NULL where
 * nothing is, and the tenants that they lead to.  Needs a bypass and the owner.
 */
Datum
tenantguard_row_problem(PG_FUNCTION_ARGS)
{
	HeapTupleData tuple;
	Oid			relid;
	TupleTableSlot *row = row_of_record(PG_GETARG_HEAPTUPLEHEADER(0), &tuple,
										&relid);
	RowOwner	owner = {.collect = true};
	const CarriedRelation *carried;
	const char *problem;
	Datum		values[2] = {0};
	bool		nulls[2] = {false};
	TupleDesc	desc;

	demand_owner(relid);
	demand_bypass(relid);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	carried = tguard_carried(relid);
	if (carried->links == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"%s\" has no links to parents",
						get_rel_name(relid)),
				 errhint("Use SELECT tenantguard.derive().")));
	tguard_owner_ask_all(carried, row, OWNER_LATEST, &owner);
	problem = problem_of(carried, &owner, row);
	nulls[0] = problem == NULL;
	values[0] = problem ? CStringGetTextDatum(problem) : (Datum) 0;
	values[1] = text_array(owner.tenants);
	ExecDropSingleTupleTableSlot(row);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/* ---------------------------------------------------------------------
 * The record
 * ---------------------------------------------------------------------
 */

bool		tguard_carried_is_noted = false;

static uint64
run_as_extension(const char *sql, Oid relid, Datum changes, int expected)
{
	uint64		processed = 0;
	Oid			types[2] = {REGCLASSOID, JSONBOID};
	Datum		values[2] = {ObjectIdGetDatum(relid), changes};
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   security | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	PG_TRY();
	{
		tguard_carried_is_noted = true;
		if (SPI_execute_with_args(sql, changes == (Datum) 0 ? 1 : 2, types,
								  values, NULL, false, 0) != expected)
			elog(ERROR, "could not write the record of a carried column");
		processed = SPI_processed;
	}
	PG_FINALLY();
	{
		tguard_carried_is_noted = false;
	}
	PG_END_TRY();
	SPI_finish();
	SetUserIdAndSecContext(user, security); /* an error restores it, too */
	return processed;
}

TGUARD_SQL_FUNCTION(tenantguard_note_carried);

/*
 * note_carried(relation regclass, changes jsonb) RETURNS void
 *
 * Writes the record of a carried column: columns of carried_column by name.
 * For the owner, under a bypass.
 */
Datum
tenantguard_note_carried(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	demand_owner(relid);
	demand_bypass(relid);
	if (run_as_extension("INSERT INTO tenantguard.carried_column "
						 "SELECT (pg_catalog.jsonb_populate_record("
						 "NULL::tenantguard.carried_column, pg_catalog.jsonb_build_object("
						 "'relid', $1, 'state', 'added', 'pass', 0, 'rows_filled', 0, 'rows_unowned', 0, "
						 "'rows_locked', 0, 'pass_filled', 0, 'pass_locked', 0) "
						 "OPERATOR(pg_catalog.||) $2)).* "
						 "WHERE NOT EXISTS (SELECT FROM tenantguard.carried_column AS c "
						 "WHERE c.relid OPERATOR(pg_catalog.=) $1)", relid,
						 PG_GETARG_DATUM(1), SPI_OK_INSERT) > 0)
		tguard_catalog_invalidate(relid);
	run_as_extension("UPDATE tenantguard.carried_column AS c SET "
					 "(column_name, state, pass, member, next_block, end_block, "
					 "pass_filled, pass_locked, rows_filled, rows_unowned, rows_locked, "
					 "estimated_rows, started, last_batch) = "
					 "(SELECT r.column_name, r.state, r.pass, r.member, r.next_block, r.end_block, "
					 "r.pass_filled, r.pass_locked, r.rows_filled, r.rows_unowned, "
					 "r.rows_locked, r.estimated_rows, r.started, r.last_batch "
					 "FROM pg_catalog.jsonb_populate_record(c, $2) AS r) "
					 "WHERE c.relid OPERATOR(pg_catalog.=) $1", relid,
					 PG_GETARG_DATUM(1), SPI_OK_UPDATE);
	PG_RETURN_VOID();
}

TGUARD_SQL_FUNCTION(tenantguard_pause_carried);

/*
 * pause_carried(relation regclass, paused boolean) RETURNS boolean
 *
 * Pauses a backfill that is under way, or lets it go on; false where there was
 * none.  For the owner, also without a bypass, but not for a tenant.
 */
Datum
tenantguard_pause_carried(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	const char *sql = PG_GETARG_BOOL(1) ?
	"UPDATE tenantguard.carried_column AS c SET state = 'paused' "
	"WHERE c.relid OPERATOR(pg_catalog.=) $1 AND c.state OPERATOR(pg_catalog.=) 'filling'" :
	"UPDATE tenantguard.carried_column AS c SET state = 'filling' "
	"WHERE c.relid OPERATOR(pg_catalog.=) $1 AND c.state OPERATOR(pg_catalog.=) 'paused'";

	demand_owner(relid);
	if (tguard_preloaded && tguard_tenant_binds())
		tguard_bypass_demand(REASON_DDL,
							 psprintf("pause the backfill of relation \"%s\"",
									  get_rel_name(relid)),
							 "a tenant is set in this transaction.");
	PG_RETURN_BOOL(run_as_extension(sql, relid, (Datum) 0,
									SPI_OK_UPDATE) > 0);
}

TGUARD_SQL_FUNCTION(tenantguard_forget_carried);

/* forget_carried(relation regclass) RETURNS void: removes the record. */
Datum
tenantguard_forget_carried(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	demand_owner(relid);
	demand_bypass(relid);
	run_as_extension("DELETE FROM tenantguard.carried_column AS c "
					 "WHERE c.relid OPERATOR(pg_catalog.=) $1", relid,
					 (Datum) 0, SPI_OK_DELETE);
	tguard_catalog_invalidate(relid);
	PG_RETURN_VOID();
}
