/*
 * plan.h
 *	  What a plan was built for, and whether it may run.
 */
#ifndef TGUARD_PLAN_H
#define TGUARD_PLAN_H

#include "executor/execdesc.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "tenant/identity.h"

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

/* The state of the planner call that is running, innermost first. */
typedef struct Planning
{
	struct Planning *up;
	PlanPurpose purpose;
	bool		one_shot;		/* the plan will run once, ... */
	bool		certain;		/* ... as it has its parameters */
	uint32		tenant_serial;	/* the tenant, and ... */
	uint32		bypass_serial;	/* ... the bypass when planning began */
	bool		reached;		/* a guarded relation is read */
	bool		signed_up;		/* a row is inserted into the root */
	Oid			lookup;			/* the relation that PLAN_LOOKUP exempts */
} Planning;

extern Planning *tguard_plan;

/*
 * Enter and leave the planning of a query.  "custom" tells that the plan is
 * for one execution with known parameters.  begin returns false, and nothing
 * has to be ended, where the extension is not in this database.
 */
extern bool tguard_plan_begin(Planning *state, Query *query, bool custom);
extern void tguard_plan_end(Planning *state);

/*
 * A copy of a query over partitions, to be planned for the present tenant as
 * a sample; NULL where none is needed.  The planner sums up all partitions
 * when it costs a plan for any tenant, although the executor will open one, so
 * the plan cache would rather plan anew for each execution.
 */
extern Query *tguard_plan_sample(Planning *state, Query *query);

/* Mark the finished plan with what it was built for. */
extern void tguard_plan_stamp(Planning *state, PlannedStmt *plan);

/* The query that the simple protocol is about to plan and run once. */
extern void tguard_plan_note_analyzed(Query *query);

/* Does the guard filter what the planner call that is running reads? */
extern bool tguard_plan_filters(void);

/*
 * The tenant inside the plan that is being built, as an expression of the
 * kind's type: a constant, or the parameter that the executor supplies.
 */
extern Expr *tguard_plan_tenant(TenantKeyKind kind);

/*
 * The tenant if the query's own parameter is the tenant, else NULL, for a plan
 * in which "tenant" is a parameter too.  NULL pointer where there is no such
 * expression.
 */
extern Expr *tguard_plan_tenant_if(const Param *named, const Expr *tenant);

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
 * A utility statement begins: settings may change, so a plan that was admitted
 * before is asked again when it goes on.
 */
extern void tguard_plan_utility_begins(void);

/*
 * Does a cursor run that outlives its transaction?  The executor door sets it,
 * so that the statements of functions below the cursor know.
 */
extern bool tguard_plan_held;

/* Will the portal that runs right now outlive its transaction? */
extern bool tguard_plan_portal_is_held(void);

#endif							/* TGUARD_PLAN_H */
