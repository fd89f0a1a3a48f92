/*
 * copy_rows.c
 *	  COPY FROM where a BEFORE ROW trigger may change the tenant, or where a
 *	  sub-select says whose a row is.
 *
 * The server's own loop evaluates the condition of COPY before the triggers
 * run and has no place for a check after them.  INSERT has.  So the rows go
 * through the plan of an INSERT, which the planner door gives its check: the
 * plan computes one row of nothing, and the node that would do so is replaced
 * by one that returns the rows of the COPY, one after the other.  Where there
 * is such a trigger, the server inserts row by row as well.
 *
 * The query is not rewritten: COPY knows no rules, takes values for identity
 * columns, and fills in the defaults itself.
 */
#include "postgres.h"

#include "base/compat.h"
#include "commands/copy.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "guard/copy_rows.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/dest.h"
#include "utils/backend_progress.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Stands in the plan where its one-row Result stood. */
typedef struct RowSource
{
	ResultState node;
	CopyFromState copy;
	ExprState  *where;
	TupleTableSlot *slot;
	int64		excluded;		/* rows that the statement's WHERE left out */
} RowSource;

static bool
is_kept(RowSource *source, ExprContext *econtext)
{
	econtext->ecxt_scantuple = source->slot;
	if (ExecQual(source->where, econtext))
		return true;
	pgstat_progress_update_param(PROGRESS_COPY_TUPLES_EXCLUDED,
								 ++source->excluded);
	return false;
}

/* The next row of the COPY; NULL at its end. */
static TupleTableSlot *
next_row(PlanState *node)
{
	RowSource  *source = (RowSource *) node;
	TupleTableSlot *slot = source->slot;
	ExprContext *econtext = node->ps_ExprContext;
	MemoryContext old;
	bool		found;

	pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED,
								 node->state->es_processed);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		ExecClearTuple(slot);
		old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		found = NextCopyFrom(source->copy, econtext, slot->tts_values,
							 slot->tts_isnull);
		MemoryContextSwitchTo(old);
		if (!found)
			return NULL;
		if (tguard_copy_skips_row(source->copy))
			continue;
		ExecStoreVirtualTuple(slot);
		slot->tts_tableOid = RelationGetRelid(source->copy->rel);
		if (is_kept(source, econtext))
			return slot;
	}
}

/* INSERT of one row in which every column is NULL */
static Query *
make_insert(ParseState *pstate, TupleDesc desc)
{
	Query	   *query = makeNode(Query);

	query->commandType = CMD_INSERT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->resultRelation = 1;
	query->jointree = makeFromExpr(NIL, NULL);
	tguard_query_set_rtable(query, pstate);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || attribute->attgenerated)
			continue;
		query->targetList =
			lappend(query->targetList,
					makeTargetEntry((Expr *)
									makeNullConst(attribute->atttypid,
												  attribute->atttypmod,
												  attribute->attcollation),
									attribute->attnum,
									pstrdup(NameStr(attribute->attname)),
									false));
	}
	return query;
}

static void
put_source(PlanState *modify, CopyFromState copy)
{
	RowSource  *source = palloc0(sizeof(RowSource));
	PlanState  *old = outerPlanState(modify);

	if (!IsA(modify, ModifyTableState) || !IsA(old, ResultState) ||
		((ModifyTable *) modify->plan)->withCheckOptionLists == NIL)
		elog(ERROR, "unexpected plan for COPY FROM");
	source->node = *(ResultState *) old;
	source->copy = copy;
	source->where = ExecInitQual((List *) copy->whereClause,
								 &source->node.ps);
	source->slot = ExecInitExtraTupleSlot(modify->state,
										  RelationGetDescr(copy->rel),
										  &TTSOpsVirtual);
	source->node.ps.ExecProcNode = next_row;
	outerPlanState(modify) = &source->node.ps;
}

static void
run(QueryDesc *query, CopyFromState copy)
{
	ErrorContextCallback context;
	MemoryContext old;

	ExecutorStart(query, 0);
	old = MemoryContextSwitchTo(query->estate->es_query_cxt);
	put_source(query->planstate, copy);
	MemoryContextSwitchTo(old);
	context.callback = CopyFromErrorCallback;
	context.arg = copy;
	context.previous = error_context_stack;
	error_context_stack = &context;
	tguard_run_all(query);
	error_context_stack = context.previous;
	tguard_copy_tell_skipped(copy);
	ExecutorFinish(query);
}

uint64
tguard_copy_rows(ParseState *pstate, CopyFromState copy)
{
	PlannedStmt *plan;
	QueryDesc  *query;
	uint64		processed;

	if (copy->opts.freeze)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot perform COPY FREEZE on guarded relation \"%s\"",
						RelationGetRelationName(copy->rel)),
				 errdetail("It has a BEFORE ROW trigger."),
				 errhint("Leave FREEZE out.")));
	plan = planner(make_insert(pstate, RelationGetDescr(copy->rel)),
				   pstate->p_sourcetext, 0, NULL);
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	query = CreateQueryDesc(plan, pstate->p_sourcetext, GetActiveSnapshot(),
							InvalidSnapshot, None_Receiver, NULL,
							pstate->p_queryEnv, 0);
	run(query, copy);
	processed = query->estate->es_processed;
	ExecutorEnd(query);
	FreeQueryDesc(query);
	PopActiveSnapshot();
	return processed;
}
