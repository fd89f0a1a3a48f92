/*
 * tenant_param.h
 *	  The parameter that stands for the tenant in a plan that may be kept.
 */
#ifndef TGUARD_TENANT_PARAM_H
#define TGUARD_TENANT_PARAM_H

#include "executor/execdesc.h"
#include "guard/report.h"
#include "nodes/params.h"
#include "nodes/primnodes.h"
#include "tenant/identity.h"

/*
 * The wrapper around a parameter list, found again through paramCompileArg.
 * The identity lives as long as the transaction (context.c).
 */
typedef struct TenantParams
{
	ParamListInfo original;
	const TenantIdentity *identity; /* NULL: the tenant is NULL */
	ReportCounts *report;		/* PLAN_REPORT only */
	uint32		serial;			/* the tenant bound, see context.h */
} TenantParams;

/* The parameter, as an expression of the kind's type. */
extern Expr *tguard_tenant_param(TenantKeyKind kind);

/*
 * The tenant if the query's own parameter is the tenant, else NULL, for a plan
 * in which "tenant" is a parameter too.  NULL pointer where there is no such
 * expression.
 */
extern Expr *tguard_tenant_param_if(const Param *named, const Expr *tenant);

/*
 * Give a plan that is about to start the tenant, which lasts as long as the
 * plan runs, or NULL; or the tenant that counts now, pinned or not.
 */
extern void tguard_tenant_bind(QueryDesc *queryDesc,
							   const TenantIdentity *identity);
extern void tguard_tenant_bind_unpinned(QueryDesc *queryDesc);

/* What it was given; NULL where nothing was. */
extern TenantParams *tguard_tenant_bound(QueryDesc *queryDesc);

#endif							/* TGUARD_TENANT_PARAM_H */
