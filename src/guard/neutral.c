/*
 * neutral.c
 *	  Errors that would show another tenant's row.
 *
 * A unique key's error quotes what the statement itself wrote.  An exclusion
 * constraint's quotes the row that was there as well, to roles that row
 * security does not bind; for those that it binds the server has a DETAIL
 * without values.  While a tenant is set everybody gets that one.
 *
 * ALTER TABLE, CREATE INDEX and the like look at every row, whoever asks for
 * them: an expression or a cast that fails quotes a value, and a new key that
 * does not hold quotes it, too.  Without a bypass the error says that it is some
 * row's.  What fails while the statement itself is read has a position in it.
 *
 * An error context callback may change the error that it is called for, at the
 * price of two assignments where there is none, and before PL/pgSQL can catch
 * it.  What is checked at the very end of a transaction is out of its reach.
 */
#include "postgres.h"

#include "base/extension.h"
#include "base/settings.h"
#include "catalog/namespace.h"
#include "guard/neutral.h"
#include "guard/under_tenant.h"
#include "nodes/parsenodes.h"
#include "tenant/bypass.h"
#include "tenant/context.h"

static void
take_out_values(void *arg)
{
	if (geterrcode() == ERRCODE_EXCLUSION_VIOLATION &&
		tguard_enforce != ENFORCE_LOG && tguard_context_bound() != NULL)
		errdetail("Key conflicts with existing key.");
}

static void
take_out_values_of_all(void *arg)
{
	int			code = geterrcode();

	if (geterrposition() > 0)
		return;
	if (ERRCODE_TO_CATEGORY(code) == ERRCODE_DATA_EXCEPTION)
		errmsg("a value is not accepted");
	else if (code != ERRCODE_UNIQUE_VIOLATION &&
			 code != ERRCODE_EXCLUSION_VIOLATION &&
			 code != ERRCODE_FOREIGN_KEY_VIOLATION)
		return;
	errdetail("What was found is not shown, as it may be a row of any tenant.");
	errhint("Repeat it under a bypass to see: BEGIN; SELECT tenantguard.begin_bypass('reason');");
}

/* Does the statement look at every row of a guarded relation? */
static bool
looks_at_all(Node *statement)
{
	RangeVar   *target;

	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
		case T_IndexStmt:
			target = tguard_target_of(statement);
			return target != NULL &&
				tguard_touches_guarded(RangeVarGetRelid(target, NoLock, true));
		case T_AlterDomainStmt:
		case T_ClusterStmt:
		case T_ReindexStmt:
		case T_VacuumStmt:
			return true;
		default:
			return false;
	}
}

void
tguard_neutral_begin(ErrorContextCallback *callback)
{
	callback->callback = take_out_values;
	callback->arg = NULL;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

void
tguard_neutral_begin_utility(ErrorContextCallback *callback, Node *statement)
{
	tguard_neutral_begin(callback);
	if (tguard_extension() != NULL && tguard_mode() == MODE_GUARD &&
		looks_at_all(statement))
		callback->callback = take_out_values_of_all;
}

void
tguard_neutral_end(ErrorContextCallback *callback)
{
	error_context_stack = callback->previous;
}
