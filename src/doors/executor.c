/*
 * executor.c
 *	  The executor door: no plan starts, and no cursor goes on, unasked.
 *
 * An unguarded statement pays for a few comparisons and, where it writes, a
 * note of where it was entered, for reference.c.  So each hook only chooses:
 * what has to be asked or noted is in a function of its own, and the way past
 * it needs no stack frame.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "base/compat.h"
#include "base/settings.h"
#include "doors/doors.h"
#include "executor/executor.h"
#include "guard/neutral.h"
#include "guard/plan.h"
#include "guard/reference.h"
#include "guard/report.h"

static ExecutorStart_hook_type next_start = NULL;
static ExecutorRun_hook_type next_run = NULL;
static ExecutorFinish_hook_type next_finish = NULL;
static ExecutorEnd_hook_type next_end = NULL;

static pg_noinline void
start_asked(QueryDesc *queryDesc, int eflags)
{
	tguard_plan_admit(queryDesc, eflags);
	next_start(queryDesc, eflags);
}

static void
guard_start(QueryDesc *queryDesc, int eflags)
{
	if (queryDesc->plannedstmt->invalItems != NIL || IsParallelWorker())
		start_asked(queryDesc, eflags);
	else
		next_start(queryDesc, eflags);
}

/* Only what changes rows fires the triggers that reference.c asks about. */
static bool
fires_triggers(QueryDesc *queryDesc)
{
	return queryDesc->operation != CMD_SELECT ||
		queryDesc->plannedstmt->hasModifyingCTE;
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

/* Count while the statement runs what would be filtered. */
static void
run_reported(TGUARD_RUN_ARGS)
{
	ReportCounts *outer = tguard_report_count(tguard_plan_report(queryDesc));

	PG_TRY();
	{
		next_run(TGUARD_RUN_PASS);
	}
	PG_FINALLY();
	{
		(void) tguard_report_count(outer);
	}
	PG_END_TRY();
}

static void
run(TGUARD_RUN_ARGS)
{
	if (!tguard_plan_held && tguard_plan_portal_is_held())
		run_held(TGUARD_RUN_PASS);
	else if (tguard_enforce == ENFORCE_LOG && tguard_plan_report(queryDesc))
		run_reported(TGUARD_RUN_PASS);
	else
		next_run(TGUARD_RUN_PASS);
}

static pg_noinline void
run_asked(TGUARD_RUN_ARGS)
{
	ErrorContextCallback callback;
	int			depth;

	if (queryDesc->plannedstmt->invalItems != NIL)
		tguard_plan_readmit(queryDesc);
	if (!fires_triggers(queryDesc))
	{
		run(TGUARD_RUN_PASS);
		return;
	}
	tguard_neutral_begin(&callback);
	depth = tguard_reference_enter_executor(queryDesc->plannedstmt);
	run(TGUARD_RUN_PASS);
	tguard_reference_leave(depth);
	tguard_neutral_end(&callback);
}

static pg_noinline void
run_writing(TGUARD_RUN_ARGS)
{
	int			depth = tguard_reference_enter_executor(queryDesc->plannedstmt);

	next_run(TGUARD_RUN_PASS);
	tguard_reference_leave(depth);
}

static void
guard_run(TGUARD_RUN_ARGS)
{
	if (queryDesc->plannedstmt->invalItems != NIL ||
		tguard_plan_portal_is_held())
		run_asked(TGUARD_RUN_PASS);
	else if (fires_triggers(queryDesc))
		run_writing(TGUARD_RUN_PASS);
	else
		next_run(TGUARD_RUN_PASS);
}

/* Constraints that can be deferred are checked here, after the triggers. */
static pg_noinline void
finish_writing(QueryDesc *queryDesc)
{
	bool		guarded = queryDesc->plannedstmt->invalItems != NIL;
	ErrorContextCallback callback;
	int			depth;

	if (guarded)
		tguard_neutral_begin(&callback);
	depth = tguard_reference_enter_executor(queryDesc->plannedstmt);
	next_finish(queryDesc);
	tguard_reference_leave(depth);
	if (guarded)
		tguard_neutral_end(&callback);
}

static void
guard_finish(QueryDesc *queryDesc)
{
	if (fires_triggers(queryDesc))
		finish_writing(queryDesc);
	else
		next_finish(queryDesc);
}

static pg_noinline void
end_reported(QueryDesc *queryDesc)
{
	if (tguard_plan_report(queryDesc))
		tguard_report_end(tguard_plan_report(queryDesc), queryDesc);
	next_end(queryDesc);
}

static void
guard_end(QueryDesc *queryDesc)
{
	if (tguard_enforce == ENFORCE_LOG)
		end_reported(queryDesc);
	else
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
