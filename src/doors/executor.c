/*
 * executor.c
 *	  The executor door: no plan starts, and no cursor goes on, unasked.
 *
 * An unguarded statement pays for two comparisons.  The top of the error
 * context stack at the entry is kept for reference.c; after an error it is
 * stale, which the next entry repairs.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "base/compat.h"
#include "base/settings.h"
#include "doors/doors.h"
#include "executor/executor.h"
#include "guard/plan.h"
#include "guard/reference.h"
#include "guard/report.h"

static ExecutorStart_hook_type next_start = NULL;
static ExecutorRun_hook_type next_run = NULL;
static ExecutorFinish_hook_type next_finish = NULL;
static ExecutorEnd_hook_type next_end = NULL;

static void
guard_start(QueryDesc *queryDesc, int eflags)
{
	if (queryDesc->plannedstmt->invalItems != NIL || IsParallelWorker())
		tguard_plan_admit(queryDesc, eflags);
	next_start(queryDesc, eflags);
}

/* Functions below a cursor WITH HOLD may read other cursors meanwhile. */
static void
run_held(TGUARD_RUN_ARGS)
{
	tguard_plan_held = true;
	PG_TRY();
	{
		next_run(TGUARD_RUN_PASS);
	}
	PG_FINALLY();
	{
		tguard_plan_held = false;
	}
	PG_END_TRY();
}

static void
guard_run(TGUARD_RUN_ARGS)
{
	ErrorContextCallback *callers = tguard_reference_callers;

	if (queryDesc->plannedstmt->invalItems != NIL)
		tguard_plan_readmit(queryDesc);
	tguard_reference_callers = error_context_stack;
	if (!tguard_plan_held && tguard_plan_portal_is_held())
		run_held(TGUARD_RUN_PASS);
	else
		next_run(TGUARD_RUN_PASS);
	tguard_reference_callers = callers;
}

static void
guard_finish(QueryDesc *queryDesc)
{
	ErrorContextCallback *callers = tguard_reference_callers;

	tguard_reference_callers = error_context_stack;
	next_finish(queryDesc);
	tguard_reference_callers = callers;
}

static void
guard_end(QueryDesc *queryDesc)
{
	if (tguard_enforce == ENFORCE_LOG)
		tguard_report_end(queryDesc);
	next_end(queryDesc);
}

void
tguard_executor_door_open(void)
{
	next_start = ExecutorStart_hook ? ExecutorStart_hook : standard_ExecutorStart;
	ExecutorStart_hook = guard_start;
	next_run = ExecutorRun_hook ? ExecutorRun_hook : standard_ExecutorRun;
	ExecutorRun_hook = guard_run;
	next_finish = ExecutorFinish_hook ? ExecutorFinish_hook : standard_ExecutorFinish;
	ExecutorFinish_hook = guard_finish;
	next_end = ExecutorEnd_hook ? ExecutorEnd_hook : standard_ExecutorEnd;
	ExecutorEnd_hook = guard_end;
}
