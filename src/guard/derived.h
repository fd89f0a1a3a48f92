/*
 * derived.h
 *	  The filter of relations whose rows are tied to a tenant by links.
 */
#ifndef TGUARD_DERIVED_H
#define TGUARD_DERIVED_H

#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "relations/cache.h"

/*
 * The clauses that keep other tenants' rows out of a base relation that the
 * planner is about to scan, ready to be security quals.  "for_write" leaves
 * out rows of no tenant, "one_by_one" has each row ask its parent: where rows
 * are locked or written, and for children of an append.
 */
extern List *tguard_derived_filter(PlannerInfo *root, Index varno,
								   const GuardedRelation *relation,
								   bool for_write, bool one_by_one);

/*
 * The same as an expression for a query that is not planned yet: does the
 * tenant see the row?
 */
extern Expr *tguard_derived_visible(Query *query, Index varno,
									const GuardedRelation *relation);

/*
 * Does a link of the row speak at all?  NULL where one does in every row.
 */
extern Expr *tguard_derived_speaks(const GuardedRelation *relation,
								   Index varno);

/*
 * For a row that is written: is it the tenant's?  "all" asks each link; else
 * only what the server's own foreign keys do not: whether a link speaks at
 * all, and links without a key.  NULL where nothing is left to ask.
 */
extern Expr *tguard_derived_check(Query *query, Index varno,
								  const GuardedRelation *relation, bool all);

/* Is what ties the rows to tenants gone? */
extern bool tguard_derived_is_lost(const GuardedRelation *relation);

/* Is there anything of the kind to ask? */
extern bool tguard_derived_needs_check(const GuardedRelation *relation);

/*
 * Whose a row of a guarded relation is, as an expression for a query that is
 * not planned yet, with the kind and the collation of the key: its tenant
 * column, or what the first of its links leads to that leads anywhere.  NULL
 * where that is lost.
 */
extern Expr *tguard_derived_tenant(Query *query, Index varno,
								   const GuardedRelation *relation,
								   TenantKeyKind *kind, Oid *collation);

#endif							/* TGUARD_DERIVED_H */
