/*
 * plan.c
 *	  What a plan was built for, and whether it may run.
 *
 * A plan is built for a purpose: for whatever tenant will run it, for one
 * tenant, under a bypass.  Plans are cached by prepared statements, functions
 * and SPI, and outlive the tenant and the bypass they were built under.  So
 * each plan that reaches a guarded relation carries a stamp, two
 * PlanInvalItems at the head of its list that no real cache matches, and the
 * executor compares it before the plan starts.  A third item makes the plan
 * cache drop it when tguard_plans_forget() says that the mode changed.  A
 * wrong guess costs a replan or an error, never a row.
 *
 * A constant goes only into a plan that will run once.  In all others the
 * tenant is a parameter (tenant_param.c).
 *
 * Parallel workers get a plan without PlanInvalItems, from a leader that has
 * checked it; nested statements of functions that run in a worker are planned
 * there, stamped and checked as everywhere.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plancache.h"
#include "base/settings.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "guard/integrity.h"
#include "guard/lookup.h"
#include "guard/plan.h"
#include "guard/reference.h"
#include "guard/report.h"
#include "guard/tenant_param.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "relations/cache.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* PlanInvalItem.cacheId of the stamp; no syscache has a negative number. */
#define STAMP_CACHE (-7741)

Planning   *tguard_plan = NULL;
bool		tguard_plan_keeps = false;
bool		tguard_plan_held = false;

QueryDesc  *tguard_plan_just_admitted = NULL;
Query	   *tguard_plan_analyzed = NULL;

/* The first of the states, which are linked downwards and used again. */
static Planning outermost;

static Oid	lookup_relation = InvalidOid;

/* ---------------------------------------------------------------------
 * Planning
 * ---------------------------------------------------------------------
 */

void
tguard_plan_lookup(Oid relid)
{
	lookup_relation = relid;
}

/*
 * Is the plan for one execution?  Certainly when parameters are given.
 * Otherwise the simple protocol plans the very query that was analyzed last,
 * outside any portal, and the plan cache a copy of it; but the plan cache does
 * the same after an invalidation, so the guess is noted.
 */
static bool
is_one_shot(Query *query, bool custom)
{
	bool		last_analyzed = (query == tguard_plan_analyzed);

	tguard_plan_analyzed = NULL;
	return custom ||
		(last_analyzed && ActivePortal == NULL && tguard_plan == NULL);
}

/*
 * What a planner call is for is decided when it first meets a guarded
 * relation: most never do.
 */
static PlanPurpose
decide(Planning *state)
{
	if (state->purpose != PLAN_UNDECIDED)
		return state->purpose;
	switch (tguard_mode())
	{
		case MODE_BYPASS:
			state->purpose = PLAN_BYPASS;
			break;
		case MODE_REPORT:
			state->purpose = PLAN_REPORT;
			break;
		case MODE_GUARD:
			state->purpose = state->one_shot && tguard_context_peek() ?
				PLAN_ONE_TENANT : PLAN_ANY_TENANT;
			break;
	}
	return state->purpose;
}

static pg_noinline Planning *
add_state(void)
{
	Planning   *state = MemoryContextAllocZero(TopMemoryContext,
											   sizeof(Planning));

	state->up = tguard_plan;
	tguard_plan->down = state;
	return state;
}

/*
 * A planner call begins.  It has no PG_TRY, which would cost an unguarded
 * statement more than all the rest: the states are in memory of our own, and
 * the callbacks at the end of (sub)transactions take away those of calls that
 * failed.
 *
 * The serial numbers are taken when planning begins: functions that are folded
 * may change the tenant meanwhile.  A foreign key's query is recognised by its
 * shape, which planning changes, and a report adds to the query, so these are
 * decided at once.
 */
Planning *
tguard_plan_begin(Query *query, bool custom)
{
	Planning   *state = tguard_plan ? tguard_plan->down : &outermost;

	if (tguard_extension() == NULL)
		return NULL;
	if (state == NULL)
		state = add_state();
	state->query = query;
	state->subid = GetCurrentSubTransactionId();
	state->purpose = PLAN_UNDECIDED;
	state->one_shot = is_one_shot(query, custom);
	state->certain = custom;
	state->tenant_serial = tguard_context_serial();
	state->bypass_serial = tguard_bypass_serial();
	state->reached = false;
	state->signed_up = false;
	state->lookup = InvalidOid;
	if (OidIsValid(lookup_relation))
	{
		/* consumed at once: statements nested in the look-up are guarded */
		state->purpose = PLAN_LOOKUP;
		state->lookup = lookup_relation;
		lookup_relation = InvalidOid;
	}
	else if (error_context_stack != NULL && tguard_reference_is_likely() &&
			 tguard_reference_prepare(query))
		state->purpose = PLAN_REFERENCE;
	else if (tguard_enforce == ENFORCE_LOG)
		(void) decide(state);
	tguard_plan = state;
	return state;
}

/*
 * Go on with a call's own state: a call below that failed may have left its
 * own on top, where the error was caught without ending a subtransaction.
 */
void
tguard_plan_resume(Planning *state, Query *query)
{
	state->query = query;
	tguard_plan = state;
}

/*
 * The same for whoever knows the planner's own state alone.  A planner hook
 * that plans a copy of its query is not found, and then the innermost is it.
 */
void
tguard_plan_settle(PlannerInfo *root)
{
	Planning   *state = tguard_plan;

	while (root && root->parent_root)
		root = root->parent_root;
	while (state && root && state->query != root->parse)
		state = state->up;
	if (state)
		tguard_plan = state;
}

void
tguard_plan_transaction_ended(void)
{
	tguard_plan = NULL;
}

void
tguard_plan_subtransaction_aborted(SubTransactionId subid)
{
	while (tguard_plan && tguard_plan->subid >= subid)
		tguard_plan = tguard_plan->up;
}

void
tguard_plan_end(Planning *state)
{
	/* relations met without a state would be neither filtered nor stamped */
	if (tguard_plan == NULL)
		elog(ERROR, "the transaction ended while a query was planned");
	tguard_plan = state->up;
}

bool
tguard_plan_filters(void)
{
	PlanPurpose purpose = decide(tguard_plan);

	return purpose == PLAN_ANY_TENANT || purpose == PLAN_ONE_TENANT ||
		purpose == PLAN_LOOKUP;
}

static Expr *
tenant_constant(TenantKeyKind kind, const TenantIdentity *identity)
{
	Oid			type = tguard_key_type(kind);
	int16		length;
	bool		byval;

	get_typlenbyval(type, &length, &byval);
	return (Expr *) makeConst(type, -1, get_typcollation(type), length,
							  datumCopy(tguard_identity_datum(identity, kind),
										byval, length), false, byval);
}

Expr *
tguard_plan_tenant(TenantKeyKind kind)
{
	if (decide(tguard_plan) == PLAN_ONE_TENANT)
	{
		const TenantIdentity *identity = tguard_context_peek();

		if (identity)
			return tenant_constant(kind, identity);
	}
	return tguard_tenant_param(kind);
}

static PlanInvalItem *
stamp_item(int cache, uint32 value)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = cache;
	item->hashValue = value;
	return item;
}

/* What the executor compares the plan with, besides its purpose. */
static uint32
stamp_serial(const Planning *state, PlanPurpose purpose)
{
	if (purpose == PLAN_ONE_TENANT)
		return state->tenant_serial;
	return purpose == PLAN_BYPASS ? state->bypass_serial : 0;
}

void
tguard_plan_stamp(Planning *state, PlannedStmt *plan)
{
	PlanPurpose purpose = decide(state);

	if (!state->reached)
	{
		if (purpose == PLAN_ANY_TENANT || purpose == PLAN_ONE_TENANT)
			purpose = PLAN_SIGN_UP;
	}
	if (tguard_bypass_stands())
		tguard_context_note_guess(true);
	if (purpose == PLAN_ONE_TENANT && !state->certain)
	{
		tguard_context_note_guess(false);
		plan->invalItems = lcons(stamp_item(TGUARD_PLAN_CACHE,
											TGUARD_GUESS_HASH),
								 plan->invalItems);
	}
	plan->invalItems =
		list_concat(list_make3(stamp_item(STAMP_CACHE, purpose),
							   stamp_item(STAMP_CACHE,
										  stamp_serial(state, purpose)),
							   stamp_item(TGUARD_PLAN_CACHE,
										  TGUARD_PLAN_HASH)),
					plan->invalItems);
}

static bool
reads_partitions(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_SUBQUERY ? reads_partitions(rte->subquery) :
			rte->relkind == RELKIND_PARTITIONED_TABLE)
			return true;
	}
	return false;
}

Query *
tguard_plan_sample(Planning *state, Query *query)
{
	if (tguard_context_peek() == NULL ||
		!reads_partitions(query) ||
		decide(state) != PLAN_ANY_TENANT)
		return NULL;
	return copyObject(query);
}

/* Read a stamp; false where the plan carries none. */
static bool
read_stamp(const PlannedStmt *plan, PlanPurpose *purpose, uint32 *serial)
{
	for (int i = 0; i + 1 < list_length(plan->invalItems); i++)
	{
		PlanInvalItem *item = list_nth(plan->invalItems, i);

		if (item->cacheId != STAMP_CACHE)
			continue;
		*purpose = item->hashValue;
		*serial = ((PlanInvalItem *) list_nth(plan->invalItems, i + 1))->hashValue;
		return true;
	}
	return false;
}

ReportCounts *
tguard_plan_report(QueryDesc *queryDesc)
{
	TenantParams *tenant = tguard_tenant_bound(queryDesc);

	return tenant ? tenant->report : NULL;
}

/* ---------------------------------------------------------------------
 * Execution: admission
 * ---------------------------------------------------------------------
 */

/* A plan of another purpose: have it planned again, and fail this time. */
static void
refuse_plan(const char *found)
{
	tguard_plans_forget();
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the plan of this statement does not belong to the current context"),
			 errdetail(REASON_PLAN_MISMATCH ": %s", found),
			 tguard_reason(REASON_PLAN_MISMATCH),
			 errhint("Run the statement again: it will be planned anew.")));
}

void
tguard_plan_demand_unguarded(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->relationOids)
	{
		if (tguard_mode_holds(tguard_relation(lfirst_oid(lc))->mode))
			refuse_plan("it was planned before the extension was created.");
	}
}

/*
 * Rows that a statement keeps beyond the transaction would belong to whoever
 * comes next on the connection.
 */
static void
refuse_keeping_rows(bool bypass)
{
	if ((tguard_plan_held || tguard_plan_portal_is_held()) &&
		tguard_context_scope == SCOPE_TRANSACTION)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot hold a cursor over guarded relations beyond its transaction"),
				 errdetail(REASON_HELD_CURSOR ": it was declared WITH HOLD; the next tenant on this connection could read it."),
				 tguard_reason(REASON_HELD_CURSOR),
				 errhint("Declare it without WITH HOLD, and read it inside the transaction.")));
	if (!bypass && tguard_plan_keeps)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot copy rows of guarded relations into a new relation"),
				 errdetail(REASON_MATERIALIZE ": nothing would say whose rows the copy holds."),
				 tguard_reason(REASON_MATERIALIZE),
				 errhint("Use CREATE TEMP TABLE ... ON COMMIT DROP AS, or declare a bypass with tenantguard.begin_bypass().")));
}

static void
admit_for_tenant(QueryDesc *queryDesc, int eflags, PlanPurpose purpose,
				 uint32 serial)
{
	const TenantIdentity *identity;

	if (tguard_mode() != MODE_GUARD)
		refuse_plan("it was built for a tenant, and a bypass is open.");
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
	{
		tguard_tenant_bind_unpinned(queryDesc);
		return;
	}
	identity = tguard_context_require();
	if (purpose == PLAN_ONE_TENANT && serial != tguard_context_serial())
		refuse_plan("it was built for another tenant.");
	/* nobody's rows may be read where that is the setting, not written */
	if (identity == NULL && (queryDesc->operation != CMD_SELECT ||
							 queryDesc->plannedstmt->hasModifyingCTE))
		tguard_context_complain();
	refuse_keeping_rows(false);
	tguard_integrity_admit(queryDesc);
	tguard_tenant_bind(queryDesc, identity);
}

/*
 * A plan that only inserts into the root: with no tenant it signs one up, and
 * with a tenant its own check sees to it (write_check.c).
 */
static void
admit_sign_up(QueryDesc *queryDesc, int eflags)
{
	if (tguard_mode() == MODE_BYPASS)
		refuse_plan("it was built without a bypass.");
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	tguard_integrity_admit(queryDesc);
	tguard_reference_note_sign_up();
}

static void
admit_bypass(QueryDesc *queryDesc, int eflags, uint32 serial)
{
	if (tguard_mode() != MODE_BYPASS || serial != tguard_bypass_serial())
		refuse_plan("it was built under a bypass that has ended.");
	refuse_keeping_rows(true);
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		tguard_bypass_log(queryDesc->sourceText);
}

void
tguard_plan_admit(QueryDesc *queryDesc, int eflags)
{
	PlanPurpose purpose;
	uint32		serial;

	AcceptInvalidationMessages();	/* a tenant suspended, a grant revoked */
	tguard_plan_just_admitted = queryDesc;
	if (!read_stamp(queryDesc->plannedstmt, &purpose, &serial))
	{
		if (IsParallelWorker() && tguard_extension())
			tguard_tenant_bind_unpinned(queryDesc);
		return;
	}
	switch (purpose)
	{
		case PLAN_UNDECIDED:
		case PLAN_ANY_TENANT:
		case PLAN_ONE_TENANT:
			admit_for_tenant(queryDesc, eflags, purpose, serial);
			break;
		case PLAN_SIGN_UP:
			admit_sign_up(queryDesc, eflags);
			break;
		case PLAN_BYPASS:
			admit_bypass(queryDesc, eflags, serial);
			break;
		case PLAN_REPORT:
			if (tguard_mode() != MODE_REPORT)
				refuse_plan("it was built while tenantguard.enforce was \"log\".");
			tguard_integrity_admit(queryDesc);
			tguard_tenant_bind_unpinned(queryDesc);
			tguard_tenant_bound(queryDesc)->report = tguard_report_start(queryDesc);
			break;
		case PLAN_REFERENCE:
			if (!tguard_reference_is_running())
				refuse_plan("it is the query of a foreign key.");
			tguard_integrity_admit_cascade(queryDesc);
			tguard_reference_note_start(queryDesc->plannedstmt);
			if (queryDesc->plannedstmt->subplans != NIL)
				tguard_tenant_bind_unpinned(queryDesc);
			break;
		case PLAN_LOOKUP:
			if (!tguard_lookup_is_running())
				refuse_plan("it belongs to a look-up.");
			tguard_tenant_bind_unpinned(queryDesc);
			break;
	}
}

void
tguard_plan_readmit(QueryDesc *queryDesc)
{
	TenantParams *tenant = tguard_tenant_bound(queryDesc);
	PlanPurpose purpose;
	uint32		serial;

	if (queryDesc == tguard_plan_just_admitted)
	{
		tguard_plan_just_admitted = NULL;
		return;
	}
	if (!read_stamp(queryDesc->plannedstmt, &purpose, &serial))
		return;
	AcceptInvalidationMessages();
	if (purpose == PLAN_BYPASS && (serial != tguard_bypass_serial() ||
								   !tguard_bypass_is_held()))
		refuse_plan("it was opened under a bypass that has ended.");
	if (purpose == PLAN_REPORT && tguard_mode() != MODE_REPORT)
		refuse_plan("it was opened while tenantguard.enforce was \"log\".");
	if (purpose != PLAN_ANY_TENANT && purpose != PLAN_ONE_TENANT)
		return;
	if (tenant == NULL || tenant->identity == NULL)
		return;
	if (tguard_mode() != MODE_GUARD || tguard_context_require() == NULL ||
		tenant->serial != tguard_context_serial())
		refuse_plan("it was opened for another tenant.");
}
