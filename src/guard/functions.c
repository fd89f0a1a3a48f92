/*
 * functions.c
 *	  Functions of the server that pass by the filter.
 *
 * A large object has no tenant and is no row of a relation of ours: whoever
 * knows or guesses its number reads it.  Decoding a slot shows every tenant's
 * changes.  Where the guard is in force both need a bypass.  Other functions
 * reach other tenants' sessions or the server's files: they are refused while
 * a tenant is set, and left to privileges otherwise.
 *
 * The server asks by OID when an expression is made ready to run, and before
 * a call through the fast path, so it does not matter who calls or how a
 * function is named.  PL/pgSQL keeps a simple expression ready until its
 * transaction ends: one that ran under a bypass runs on there.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/settings.h"
#include "guard/functions.h"
#include "guard/plan.h"
#include "relations/cache.h"
#include "tenant/bypass.h"
#include "tenant/registry.h"
#include "utils/lsyscache.h"

typedef enum FunctionRule
{
	RULE_NONE,
	RULE_LARGE_OBJECT,
	RULE_DESCRIPTOR,			/* of an open large object */
	RULE_DECODING,
	RULE_SIGNAL,
	RULE_ACTIVITY,
	RULE_FILE,
	RULE_SETVAL,
	RULE_SUMMARIZE
} FunctionRule;

uint32		tguard_ruled_functions[FirstNormalObjectId / 32];

#define NO_TENANT "it has no tenant; keep its bytes in a bytea column of a guarded table."

/* A registry is adopted, and row security enabled on it: not so in a restore. */
static bool
is_in_force(void)
{
	Oid			registry;

	if (tguard_extension() == NULL)
	{
		tguard_extension_demand_whole();
		return false;
	}
	registry = tguard_registry_relation();
	return OidIsValid(registry) &&
		tguard_mode_holds(tguard_relation(registry)->mode);
}

void
tguard_rule_large_object(void)
{
	if (is_in_force())
		tguard_bypass_demand(REASON_LARGE_OBJECT, "use a large object",
							 NO_TENANT);
}

/* On a descriptor, which took a call that was logged under the bypass. */
static void
rule_descriptor(void)
{
	if (is_in_force() && tguard_mode() != MODE_BYPASS)
		tguard_rule_large_object();
}

/* A plan that was made under the bypass must not serve when it has ended. */
void
tguard_rule_large_object_planned(void)
{
	if (!is_in_force())
		return;
	tguard_plan->reached = true;
	if (tguard_plan_filters() || tguard_plan->purpose == PLAN_REPORT)
		tguard_rule_large_object();
}

static void
rule_decoding(Oid function)
{
	if (is_in_force())
		tguard_bypass_demand(REASON_BEYOND,
							 psprintf("call %s()", get_func_name(function)),
							 "it shows the changes of every tenant.");
}

static void
refuse_under_tenant(Oid function, const char *why)
{
	if (tguard_extension() && tguard_tenant_binds())
		tguard_bypass_demand(REASON_BEYOND,
							 psprintf("call %s()", get_func_name(function)),
							 why);
}

/*
 * An application that sets a sequence to what it sees sets it back for all
 * others.  The dump of one tenant, restored in a session that is the tenant's
 * own, says setval() too; who may is a matter of privileges there.
 */
static void
rule_setval(Oid function)
{
	if (tguard_context_scope == SCOPE_TRANSACTION)
		refuse_under_tenant(function, "sequences are shared by all tenants, and a tenant is set in this transaction.");
}

static FunctionRule
rule_of(Oid function)
{
	switch (function)
	{
		case F_LO_CREAT:
		case F_LO_CREATE:
		case F_LO_EXPORT:
		case F_LO_FROM_BYTEA:
		case F_LO_GET_OID:
		case F_LO_GET_OID_INT8_INT4:
		case F_LO_IMPORT_TEXT:
		case F_LO_IMPORT_TEXT_OID:
		case F_LO_OPEN:
		case F_LO_PUT:
			return RULE_LARGE_OBJECT;
		case F_LOREAD:
		case F_LOWRITE:
		case F_LO_CLOSE:
		case F_LO_LSEEK:
		case F_LO_LSEEK64:
		case F_LO_TELL:
		case F_LO_TELL64:
		case F_LO_TRUNCATE:
		case F_LO_TRUNCATE64:
		case F_LO_UNLINK:		/* logged as a drop */
			return RULE_DESCRIPTOR;
		case F_PG_LOGICAL_SLOT_GET_BINARY_CHANGES:
		case F_PG_LOGICAL_SLOT_GET_CHANGES:
		case F_PG_LOGICAL_SLOT_PEEK_BINARY_CHANGES:
		case F_PG_LOGICAL_SLOT_PEEK_CHANGES:
			return RULE_DECODING;
		case F_PG_CANCEL_BACKEND:
		case F_PG_TERMINATE_BACKEND:
			return RULE_SIGNAL;
		case F_PG_STAT_GET_ACTIVITY:
		case F_PG_STAT_GET_BACKEND_ACTIVITY:
			return RULE_ACTIVITY;
		case F_PG_READ_BINARY_FILE_TEXT:
		case F_PG_READ_BINARY_FILE_TEXT_INT8_INT8:
		case F_PG_READ_BINARY_FILE_TEXT_INT8_INT8_BOOL:
		case F_PG_READ_FILE_OLD:
		case F_PG_READ_FILE_TEXT:
		case F_PG_READ_FILE_TEXT_INT8_INT8:
		case F_PG_READ_FILE_TEXT_INT8_INT8_BOOL:
			return RULE_FILE;
		case F_SETVAL_REGCLASS_INT8:
		case F_SETVAL_REGCLASS_INT8_BOOL:
			return RULE_SETVAL;
		case F_BRIN_SUMMARIZE_NEW_VALUES:
		case F_BRIN_SUMMARIZE_RANGE:
			return RULE_SUMMARIZE;
		default:
			return RULE_NONE;
	}
}

void
tguard_rule_function(Oid function)
{
	switch (rule_of(function))
	{
		case RULE_NONE:
			break;
		case RULE_LARGE_OBJECT:
			tguard_rule_large_object();
			break;
		case RULE_DESCRIPTOR:
			rule_descriptor();
			break;
		case RULE_DECODING:
			rule_decoding(function);
			break;
		case RULE_SIGNAL:
			refuse_under_tenant(function, "it would stop another tenant's session, and a tenant is set in this transaction.");
			break;
		case RULE_ACTIVITY:
			refuse_under_tenant(function, "it shows other tenants' statements, and a tenant is set in this transaction.");
			break;
		case RULE_FILE:
			refuse_under_tenant(function, "the server's files hold every tenant's rows, and a tenant is set in this transaction.");
			break;
		case RULE_SETVAL:
			rule_setval(function);
			break;
		case RULE_SUMMARIZE:
			refuse_under_tenant(function, "it runs over the rows of every tenant, and a tenant is set in this transaction.");
			break;
	}
}

void
tguard_functions_init(void)
{
	for (Oid function = 0; function < FirstNormalObjectId; function++)
	{
		if (rule_of(function) != RULE_NONE)
			tguard_ruled_functions[function / 32] |= (uint32) 1 << function % 32;
	}
}
