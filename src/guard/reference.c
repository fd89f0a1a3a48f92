/*
 * reference.c
 *	  The queries of foreign keys, which see every tenant.
 *
 * A foreign key's checks and cascades are SQL that the server itself plans
 * through SPI.  They have to see all rows: a filtered check would call a
 * dangling row valid, a filtered cascade would leave orphans.
 *
 * The server runs them under the flag SECURITY_NOFORCE_RLS, and validates a
 * new key inside ALTER TABLE.  The flag alone proves nothing: triggers that
 * fire in a cascade run under it too, with whatever statements their authors
 * wrote.  But between the executor (or ALTER TABLE) and the planning of a
 * foreign key's query there is exactly one error context, SPI's own, while
 * every procedural language and SQL function pushes another one first.  So
 * the stack is compared with its top at the moment when the executor was
 * entered; besides, the query must have the plain shape that the server
 * writes.
 */
#include "postgres.h"

#include "guard/reference.h"
#include "miscadmin.h"

ErrorContextCallback *tguard_reference_callers = NULL;
bool		tguard_reference_validating = false;

static bool
is_called_by_server(void)
{
	return error_context_stack != NULL &&
		(error_context_stack->previous == NULL ||
		 error_context_stack->previous == tguard_reference_callers);
}

/* Plain relations and their join, no sub-selects, no functions in FROM. */
static bool
has_plain_shape(Query *query, int most_relations)
{
	ListCell   *lc;
	int			count = 0;

	if (query->commandType == CMD_INSERT || query->commandType == CMD_MERGE ||
		query->hasSubLinks || query->cteList != NIL ||
		query->hasModifyingCTE || query->returningList != NIL)
		return false;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION)
			count++;
		else if (rte->rtekind != RTE_JOIN)
			return false;
	}
	return count >= 1 && count <= most_relations;
}

bool
tguard_reference_is_planning(Query *query)
{
	if (InNoForceRLSOperation())
		return is_called_by_server() && has_plain_shape(query, 1);
	if (tguard_reference_validating)
		return is_called_by_server() && has_plain_shape(query, 2) &&
			query->commandType == CMD_SELECT;
	return false;
}

bool
tguard_reference_is_running(void)
{
	return InNoForceRLSOperation() || tguard_reference_validating;
}
