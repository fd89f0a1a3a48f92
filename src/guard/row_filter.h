/*
 * row_filter.h
 *	  The clause that keeps other tenants' rows out.
 */
#ifndef TGUARD_ROW_FILTER_H
#define TGUARD_ROW_FILTER_H

#include "nodes/pathnodes.h"
#include "relations/cache.h"

/* Put the filter on a base relation that the planner is about to scan. */
extern void tguard_filter_relation(PlannerInfo *root, Oid relid,
								   RelOptInfo *rel);

/* Make the filter run first among the clauses that are called leakproof. */
extern void tguard_filter_goes_first(RelOptInfo *rel, Oid relid);

/* The tenant column of a relation as an expression comparable by its kind. */
extern Expr *tguard_filter_column(const GuardedRelation *relation,
								  Index varno);

/* The clause "column = tenant" over any expression of the kind's type. */
extern Expr *tguard_filter_clause(TenantKeyKind kind, Expr *column,
								  Expr *tenant, Oid collation);

#endif							/* TGUARD_ROW_FILTER_H */
