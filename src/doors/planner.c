/*
 * planner.c
 *	  The planner door: every query that is planned passes here.
 */
#include "postgres.h"

#include "access/transam.h"
#include "base/extension.h"
#include "catalog/pg_largeobject.h"
#include "doors/doors.h"
#include "guard/functions.h"
#include "guard/plan.h"
#include "guard/report.h"
#include "guard/row_filter.h"
#include "guard/write_check.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"

static planner_hook_type next_planner = NULL;
static get_relation_info_hook_type next_relation_info = NULL;
static set_rel_pathlist_hook_type next_pathlist = NULL;
static post_parse_analyze_hook_type next_analyze = NULL;

static void
guard_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	tguard_plan_analyzed = query;
	if (next_analyze)
		next_analyze(pstate, query, jstate);
}

/*
 * What a kept plan costs for each of its relations, opened or not: the server
 * locks it before each execution.  The unit is what plancache.c takes to plan
 * one relation, 1000 * cpu_operator_cost; a lock needs a sixteenth of that.
 */
#define LOCK_COST (60 * cpu_operator_cost)

/*
 * Give a plan for any tenant the cost of a sample planned for one.  Where it
 * has hundreds of partitions to lock, planning anew is cheaper.
 */
static void
cost_by_sample(Planning *state, PlannedStmt *plan, Query *sample,
			   const char *query_string, int cursorOptions)
{
	PlanPurpose purpose = state->purpose;
	PlannedStmt *other;

	state->purpose = PLAN_ONE_TENANT;
	tguard_plan_resume(state, sample);
	other = next_planner(sample, query_string, cursorOptions, NULL);
	state->purpose = purpose;
	plan->planTree->total_cost =
		Min(plan->planTree->total_cost,
			other->planTree->total_cost +
			LOCK_COST * list_length(plan->rtable));
}

static PlannedStmt *
plan_query(Planning *state, Query *parse, const char *query_string,
		   int cursorOptions, ParamListInfo boundParams)
{
	PlannedStmt *result;
	Query	   *sample = NULL;

	if (state->purpose == PLAN_REPORT)
		tguard_report_observe(parse);
	if (parse->commandType != CMD_SELECT || parse->hasModifyingCTE)
		tguard_check_writes(parse);
	if (!state->one_shot)
		sample = tguard_plan_sample(state, parse);
	result = next_planner(parse, query_string, cursorOptions, boundParams);
	if (sample && state->reached)
		cost_by_sample(state, result, sample, query_string, cursorOptions);
	return result;
}

static PlannedStmt *
guard_planner(Query *parse, const char *query_string, int cursorOptions,
			  ParamListInfo boundParams)
{
	Planning   *state = tguard_plan_begin(parse, boundParams != NULL);
	PlannedStmt *result;

	if (state == NULL)
	{
		if (parse->commandType != CMD_SELECT)
			tguard_extension_demand_whole();
		result = next_planner(parse, query_string, cursorOptions, boundParams);
		if (tguard_extension() != NULL)
			tguard_plan_demand_unguarded(result);
		return result;
	}
	result = plan_query(state, parse, query_string, cursorOptions,
						boundParams);
	if (state->reached || state->signed_up)
		tguard_plan_stamp(state, result);
	tguard_plan_end(state);
	return result;
}

/*
 * Outside of a planner call this is CREATE INDEX or CLUSTER sizing its work,
 * which sees every row by design.
 */
static pg_noinline void
meet_relation(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	if (next_relation_info)
		next_relation_info(root, relid, inhparent, rel);
	if (relid == LargeObjectRelationId)
	{
		if (tguard_plan)
			tguard_rule_large_object_planned();
		return;
	}
	if (tguard_plan)
		tguard_filter_relation(root, relid, rel);
	else
		tguard_extension_demand_whole();
}

static void
guard_relation_info(PlannerInfo *root, Oid relid, bool inhparent,
					RelOptInfo *rel)
{
	if (relid >= FirstNormalObjectId ? !tguard_relation_is_free(relid) :
		relid == LargeObjectRelationId)
		meet_relation(root, relid, inhparent, rel);
	else if (next_relation_info)
		next_relation_info(root, relid, inhparent, rel);
}

static pg_noinline void
order_clauses(PlannerInfo *root, RelOptInfo *rel, Index rti,
			  RangeTblEntry *rte)
{
	tguard_filter_goes_first(rel, rte->relid);
	if (next_pathlist)
		next_pathlist(root, rel, rti, rte);
}

/* Where no relation of the query has a security qual, none has our filter. */
static void
guard_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti,
			   RangeTblEntry *rte)
{
	if (root->qual_security_level > 0 && rte->rtekind == RTE_RELATION)
		order_clauses(root, rel, rti, rte);
	else if (next_pathlist)
		next_pathlist(root, rel, rti, rte);
}

void
tguard_planner_door_open(void)
{
	next_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = guard_analyze;
	next_planner = planner_hook ? planner_hook : standard_planner;
	planner_hook = guard_planner;
	next_relation_info = get_relation_info_hook;
	get_relation_info_hook = guard_relation_info;
	next_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = guard_pathlist;
}
