/*
 * named_tenant.h
 *	  Queries that name the tenant themselves.
 */
#ifndef TGUARD_NAMED_TENANT_H
#define TGUARD_NAMED_TENANT_H

#include "nodes/pathnodes.h"
#include "relations/cache.h"

/*
 * "tenant" is what the filter of a base relation compares the tenant column
 * with.  Where the query's own WHERE or ON compares it too, that clause is
 * taken out of the query and the result stands for both; otherwise the result
 * is "tenant".
 */
extern Expr *tguard_named_tenant(PlannerInfo *root, Index varno,
								 const GuardedRelation *relation,
								 Expr *tenant);

#endif							/* TGUARD_NAMED_TENANT_H */
