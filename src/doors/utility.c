/*
 * utility.c
 *	  The utility door: every statement that is not planned passes here.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "doors/doors.h"
#include "guard/copy.h"
#include "guard/ddl_rules.h"
#include "guard/plan.h"
#include "guard/reference.h"
#include "tcop/utility.h"

static ProcessUtility_hook_type next_utility = NULL;

/* Statements of transaction control have no transaction to look around in. */
static bool
is_ruled(Node *statement)
{
	return !IsA(statement, TransactionStmt) && IsTransactionState();
}

/* CREATE TEMP TABLE ... ON COMMIT DROP AS: gone before the next tenant. */
static bool
is_gone_at_commit(Node *statement)
{
	RangeVar   *name;

	if (!IsA(statement, CreateTableAsStmt))
		return false;
	name = ((CreateTableAsStmt *) statement)->into->rel;
	return ((CreateTableAsStmt *) statement)->into->onCommit == ONCOMMIT_DROP &&
		(name->relpersistence == RELPERSISTENCE_TEMP ||
		 (name->schemaname && strcmp(name->schemaname, "pg_temp") == 0));
}

/* Run the statement with what the rooms have to know while it runs. */
static void
run_statement(PlannedStmt *pstmt, Node *statement, const char *queryString,
			  bool readOnlyTree, ProcessUtilityContext context,
			  ParamListInfo params, QueryEnvironment *queryEnv,
			  DestReceiver *dest, QueryCompletion *qc)
{
	ReferenceCaller caller = tguard_reference_caller;
	bool		may_keep = tguard_plan_may_keep;

	tguard_reference_caller.stack = error_context_stack;
	tguard_reference_caller.utility = true;
	tguard_reference_caller.validates = tguard_reference_validates(statement);
	tguard_plan_may_keep = is_gone_at_commit(statement);
	PG_TRY();
	{
		next_utility(pstmt, queryString, readOnlyTree, context, params,
					 queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		tguard_reference_caller = caller;
		tguard_plan_may_keep = may_keep;
	}
	PG_END_TRY();
}

static void
guard_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *queryEnv, DestReceiver *dest,
			  QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;

	if (!is_ruled(statement))
	{
		next_utility(pstmt, queryString, readOnlyTree, context, params,
					 queryEnv, dest, qc);
		return;
	}
	tguard_rule_before(statement);
	if (IsA(statement, CopyStmt))
	{
		pstmt = copyObject(pstmt);
		pstmt->utilityStmt = (Node *)
			tguard_copy_guarded((CopyStmt *) statement);
	}
	run_statement(pstmt, statement, queryString, readOnlyTree, context, params,
				  queryEnv, dest, qc);
	tguard_rule_after(statement);
}

void
tguard_utility_door_open(void)
{
	next_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = guard_utility;
}
