/*
 * tenantguard.c
 *	  The front door: opens the rooms in floor order.
 */
#include "postgres.h"

#include "base/extension.h"
#include "base/settings.h"
#include "doors/doors.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "guard/owner.h"
#include "relations/cache.h"
#include "tenant/context.h"
#include "tenant/grants.h"
#include "tenant/leader.h"
#include "tenant/registry.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * Loaded late, by the first policy that calls a function of ours, the library
 * only answers what the policies ask: plans that were made before it came
 * know nothing of its hooks, so none is installed and no bypass is opened.
 */
void
_PG_init(void)
{
	bool		left_over = tguard_context_is_left_over();

	tguard_preloaded = process_shared_preload_libraries_in_progress;
	tguard_settings_init(tguard_context_check, tguard_context_assign);
	if (left_over)
		tguard_context_expire();
	tguard_extension_init();
	tguard_context_init();
	tguard_registry_init();
	tguard_grants_init();
	tguard_relations_init();
	tguard_owner_init();
	tguard_transaction_door_open();
	if (!tguard_preloaded)
		return;
	tguard_leader_init();
	tguard_planner_door_open();
	tguard_executor_door_open();
	tguard_utility_door_open();
	tguard_object_access_door_open();
}
