/*
 * policy.c
 *	  What a relation's own policies say of how it is guarded.
 *
 * A dump of the schema alone brings the policies and not the record.  They
 * hold ordinary roles; read here, they hold everybody.
 */
#include "postgres.h"

#include "nodes/primnodes.h"
#include "relations/policy.h"
#include "utils/rel.h"
#include "utils/relcache.h"

/* Does the condition call visible() or visible_or_shared() for a column? */
static bool
read_condition(Expr *condition, RelationMode *mode, AttrNumber *column)
{
	const TguardExtension *ext = tguard_extension();
	FuncExpr   *call = (FuncExpr *) condition;
	Node	   *argument;

	if (condition == NULL || !IsA(call, FuncExpr) || call->args == NIL)
		return false;
	argument = linitial(call->args);
	if (call->funcid == ext->visible_by_links)
	{
		*mode = RELATION_DERIVED;
		return true;
	}
	if (IsA(argument, RelabelType))
		argument = (Node *) ((RelabelType *) argument)->arg;
	if (!IsA(argument, Var))
		return false;
	*column = ((Var *) argument)->varattno;
	for (TenantKeyKind kind = 0; kind < KEY_KINDS; kind++)
	{
		*mode = call->funcid == ext->visible[kind] ? RELATION_TENANT :
			RELATION_TENANT_OR_SHARED;
		if (call->funcid == ext->visible[kind] ||
			call->funcid == ext->visible_or_shared[kind])
			return true;
	}
	return false;
}

/* Is it nothing, or a call of one of the functions that our policies call? */
static bool
calls_own(const Expr *condition)
{
	const TguardExtension *ext = tguard_extension();
	Oid			function;

	if (condition == NULL)
		return true;
	if (ext == NULL || !IsA(condition, FuncExpr))
		return false;
	function = ((const FuncExpr *) condition)->funcid;
	for (TenantKeyKind kind = 0; kind < KEY_KINDS; kind++)
	{
		if (function == ext->visible[kind] ||
			function == ext->visible_or_shared[kind])
			return true;
	}
	return function == ext->any_row || function == ext->visible_by_links;
}

bool
tguard_policy_is_own(const RowSecurityPolicy *policy)
{
	return calls_own(policy->qual) && calls_own(policy->with_check_qual);
}

bool
tguard_policy_read(Oid relid, RelationMode *mode, AttrNumber *column)
{
	Relation	relation = RelationIdGetRelation(relid);
	bool		found = false;
	ListCell   *lc;

	if (!RelationIsValid(relation))
		return false;
	if (relation->rd_rsdesc)
	{
		foreach(lc, relation->rd_rsdesc->policies)
		{
			RowSecurityPolicy *policy = lfirst(lc);

			if (policy->permissive || policy->policy_name == NULL)
				continue;
			if (strcmp(policy->policy_name, "tenantguard_tenant") == 0 &&
				read_condition(policy->qual, mode, column))
			{
				found = true;
				break;
			}
			if (strcmp(policy->policy_name, "tenantguard_insert") == 0)
			{
				*mode = RELATION_SHARED;
				found = true;
			}
		}
	}
	RelationClose(relation);
	return found;
}
