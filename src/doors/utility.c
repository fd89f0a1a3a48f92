/*
 * utility.c
 *	  The utility door: every statement that is not planned passes here.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "doors/doors.h"
#include "guard/copy_to.h"
#include "guard/ddl_rules.h"
#include "guard/neutral.h"
#include "guard/own_code.h"
#include "guard/plan.h"
#include "guard/reference.h"
#include "tcop/utility.h"

static ProcessUtility_hook_type next_utility = NULL;

/*
 * Does it fill a new relation that the next tenant will find?  A temporary
 * table with ON COMMIT DROP is gone by then.
 */
static bool
keeps_rows(Node *statement)
{
	IntoClause *into;

	if (IsA(statement, ExplainStmt))
	{
		Query	   *query = (Query *) ((ExplainStmt *) statement)->query;

		return IsA(query, Query) && query->utilityStmt &&
			keeps_rows(query->utilityStmt);
	}
	if (IsA(statement, RefreshMatViewStmt))
		return true;
	if (!IsA(statement, CreateTableAsStmt))
		return false;
	into = ((CreateTableAsStmt *) statement)->into;
	return into->onCommit != ONCOMMIT_DROP ||
		(into->rel->relpersistence != RELPERSISTENCE_TEMP &&
		 !(into->rel->schemaname &&
		   strcmp(into->rel->schemaname, "pg_temp") == 0));
}

/* Run the statement with what the rooms have to know while it runs. */
static void
run_statement(PlannedStmt *pstmt, Node *statement, const char *queryString,
			  bool readOnlyTree, ProcessUtilityContext context,
			  ParamListInfo params, QueryEnvironment *queryEnv,
			  DestReceiver *dest, QueryCompletion *qc)
{
	bool		keeps = tguard_plan_keeps;
	bool		watched = tguard_own_code_watched;
	ErrorContextCallback callback;
	int			depth;

	tguard_neutral_begin_utility(&callback, statement);
	depth = tguard_reference_enter_utility(statement);
	tguard_plan_keeps = keeps || keeps_rows(statement);
	tguard_own_code_watched = watched || tguard_own_code_computes(statement);
	PG_TRY();
	{
		next_utility(pstmt, queryString, readOnlyTree, context, params,
					 queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		tguard_reference_leave(depth);
		tguard_plan_keeps = keeps;
		tguard_own_code_watched = watched;
	}
	PG_END_TRY();
	tguard_neutral_end(&callback);
}

static pg_noinline void
rule_statement(PlannedStmt *pstmt, const char *queryString,
			   bool readOnlyTree, ProcessUtilityContext context,
			   ParamListInfo params, QueryEnvironment *queryEnv,
			   DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;
	TguardBefore before = {0};

	if (!IsTransactionState())
	{
		next_utility(pstmt, queryString, readOnlyTree, context, params,
					 queryEnv, dest, qc);
		return;
	}
	tguard_rule_before(statement, &before);
	if (IsA(statement, CopyStmt))
	{
		if (tguard_copy_door(pstmt, queryString, context, queryEnv, qc))
			return;
		pstmt = copyObject(pstmt);
		pstmt->utilityStmt = (Node *)
			tguard_copy_to((CopyStmt *) pstmt->utilityStmt);
	}
	run_statement(pstmt, statement, queryString, readOnlyTree, context, params,
				  queryEnv, dest, qc);
	tguard_rule_after(statement, context, &before);
}

/* Statements of transaction control have no transaction to look around in. */
static void
guard_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *queryEnv, DestReceiver *dest,
			  QueryCompletion *qc)
{
	tguard_plan_just_admitted = NULL;
	if (IsA(pstmt->utilityStmt, TransactionStmt))
		next_utility(pstmt, queryString, readOnlyTree, context, params,
					 queryEnv, dest, qc);
	else
		rule_statement(pstmt, queryString, readOnlyTree, context, params,
					   queryEnv, dest, qc);
}

void
tguard_utility_door_open(void)
{
	next_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = guard_utility;
	tguard_copy_door_open(next_utility);
}
