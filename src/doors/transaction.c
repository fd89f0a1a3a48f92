/*
 * transaction.c
 *	  The transaction door: what ends with a transaction or a savepoint.
 *
 * One callback for all rooms, since every transaction pays for each.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/retired.h"
#include "doors/doors.h"
#include "guard/carried.h"
#include "guard/new_relation.h"
#include "guard/plan.h"
#include "guard/reference.h"
#include "relations/cache.h"
#include "tenant/bypass.h"
#include "tenant/context.h"

static pg_noinline void
end_transaction(XactEvent event)
{
	tguard_plan_transaction_ended();
	if (event == XACT_EVENT_ABORT)
		tguard_reference_transaction_aborted();
	tguard_bypass_transaction_ended(event == XACT_EVENT_ABORT);
	tguard_context_transaction_ended();
	tguard_owner_forget();
	if (tguard_new_relation_noted)
		tguard_new_relation_transaction_ended();
	if (tguard_cascade_postponed > 0)
		tguard_cascade_transaction_ended();
	if (tguard_retired != NIL)
		tguard_retired_delete();
	tguard_relations_transaction_ended();
}

/* What has to be right before the transaction may commit. */
static pg_noinline void
check_transaction(void)
{
	if (tguard_cascade_postponed > 0)
		tguard_cascade_check_postponed();
	if (tguard_new_relation_noted)
		tguard_new_relation_demand_classified();
}

/* Parallel workers end with their transaction and keep nothing. */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		end_transaction(event);
	else if (event == XACT_EVENT_PRE_COMMIT ||
			 event == XACT_EVENT_PRE_PREPARE)
		check_transaction();
}

static void
subtransaction_ended(SubXactEvent event, SubTransactionId mySubid,
					 SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		tguard_plan_subtransaction_aborted(mySubid);
		tguard_reference_subtransaction_aborted(mySubid);
		tguard_bypass_subtransaction_aborted(mySubid);
		tguard_new_relation_subtransaction_aborted(mySubid);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		tguard_bypass_subtransaction_committed(mySubid, parentSubid);
}

void
tguard_transaction_door_open(void)
{
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
}
