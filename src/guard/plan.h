/*
 * plan.h
 *	  What a plan was built for, and whether it may run.
 */
#ifndef TGUARD_PLAN_H
#define TGUARD_PLAN_H

#include "executor/execdesc.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "tcop/pquery.h"
#include "tenant/identity.h"
#include "utils/portal.h"

/* What a plan that reaches guarded relations was built for. */
typedef enum PlanPurpose
{
	PLAN_UNDECIDED,				/* nothing guarded was met yet */
	PLAN_ANY_TENANT,			/* the tenant is a parameter */
	PLAN_ONE_TENANT,			/* the tenant is folded in as a constant */
	PLAN_SIGN_UP,				/* inserts into the root and reads nothing */
	PLAN_BYPASS,				/* no filter: a declared bypass */
	PLAN_REPORT,				/* no filter: tenantguard.enforce = log */
	PLAN_REFERENCE,				/* no filter: a foreign key's own query */
	PLAN_LOOKUP					/* one relation unfiltered: a look-up */
} PlanPurpose;

/* The state of a planner call. */
typedef struct Planning
{
	struct Planning *up;		/* of the call around it, */
	struct Planning *down;		/* and of a call below, now or in the past */
	Query	   *query;			/* what is planned */
	SubTransactionId subid;
	PlanPurpose purpose;
	bool		one_shot;		/* the plan will run once, ... */
	bool		certain;		/* ... as it has its parameters */
	uint32		tenant_serial;	/* the tenant, and ... */
	uint32		bypass_serial;	/* ... the bypass when planning began */
	bool		reached;		/* a guarded relation is read */
	bool		signed_up;		/* a row is inserted into the root */
	Oid			lookup;			/* the relation that PLAN_LOOKUP exempts */
} Planning;

/* The innermost call that runs, NULL where none does. */
extern Planning *tguard_plan;

/*
 * Enter and leave the planning of a query.  "custom" tells that the plan is
 * for one execution with known parameters.  begin returns NULL, and nothing
 * has to be ended, where the extension is not in this database.  An error
 * ends what was begun.
 */
extern Planning *tguard_plan_begin(Query *query, bool custom);
extern void tguard_plan_end(Planning *state);

/* Errors end the planner calls that were begun in what is rolled back. */
extern void tguard_plan_transaction_ended(void);
extern void tguard_plan_subtransaction_aborted(SubTransactionId subid);

/*
 * Make the state of a call, or of the call that "root" belongs to, the
 * innermost one again.  Nothing happens where root is NULL or not found.
 */
extern void tguard_plan_resume(Planning *state, Query *query);
extern void tguard_plan_settle(PlannerInfo *root);

/*
 * For a plan that may run more than once: a copy of a query over partitions,
 * to be planned for the present tenant as a sample; NULL where none is needed.
 * The planner sums up all partitions
 * when it costs a plan for any tenant, although the executor will open one, so
 * the plan cache would rather plan anew for each execution.
 */
extern Query *tguard_plan_sample(Planning *state, Query *query);

/* Mark a finished plan that reaches guarded relations with its purpose. */
extern void tguard_plan_stamp(Planning *state, PlannedStmt *plan);

/*
 * The query that was analyzed last, until a planner call begins: the simple
 * protocol is about to plan it and to run it once.
 */
extern Query *tguard_plan_analyzed;

/* Does the guard filter what the planner call that is running reads? */
extern bool tguard_plan_filters(void);

/*
 * The tenant inside the plan that is being built, as an expression of the
 * kind's type: a constant, or the parameter that the executor supplies.
 */
extern Expr *tguard_plan_tenant(TenantKeyKind kind);

/*
 * Refuse a plan of guarded relations that was begun when there was no
 * extension: the planner waited for a lock of whoever created it.
 */
extern void tguard_plan_demand_unguarded(const PlannedStmt *plan);

/* May this plan start?  Binds it to the tenant; errors as plan.c says. */
extern void tguard_plan_admit(QueryDesc *queryDesc, int eflags);

/* May this plan, started before, go on?  A cursor's next FETCH asks. */
extern void tguard_plan_readmit(QueryDesc *queryDesc);

/* The counts of a plan that runs to be reported, or NULL (report.h). */
extern struct ReportCounts *tguard_plan_report(QueryDesc *queryDesc);

/* Plan and run what follows as a look-up in one relation; InvalidOid ends. */
extern void tguard_plan_lookup(Oid relid);

/*
 * Does a statement run that fills a new relation (CREATE TABLE AS, REFRESH
 * MATERIALIZED VIEW), at whatever depth?  The utility door keeps it.
 */
extern bool tguard_plan_keeps;

/*
 * The plan that was admitted last, which may run without being asked again.  A
 * utility statement clears it: settings may change.
 */
extern QueryDesc *tguard_plan_just_admitted;

/*
 * Does a cursor run that outlives its transaction?  The executor door sets it,
 * so that the statements of functions below the cursor know.
 */
extern bool tguard_plan_held;

/* Will the portal that runs right now outlive its transaction? */
static inline bool
tguard_plan_portal_is_held(void)
{
	return ActivePortal && (ActivePortal->cursorOptions & CURSOR_OPT_HOLD);
}

#endif							/* TGUARD_PLAN_H */
