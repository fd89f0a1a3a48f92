/*
 * plancache.c
 *	  Invalidation of the cached plans that carry our stamp.
 *
 * The plan cache drops a plan when a syscache callback fires for one of the
 * plan's PlanInvalItems.  We own one such item (plancache.h) and fire it by
 * ourselves, in this backend only: what a plan was built for (a tenant, a
 * bypass) is the backend's own state, so no other backend has to hear of it.
 */
#include "postgres.h"

#include "base/plancache.h"
#include "utils/inval.h"

void
tguard_plans_forget(void)
{
	CallSyscacheCallbacks(TGUARD_PLAN_CACHE, TGUARD_PLAN_HASH);
}

void
tguard_plans_forget_guesses(void)
{
	CallSyscacheCallbacks(TGUARD_PLAN_CACHE, TGUARD_GUESS_HASH);
}
