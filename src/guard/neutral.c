/*
 * neutral.c
 *	  Errors that would show another tenant's row.
 *
 * A unique key's error quotes what the statement itself wrote.  An exclusion
 * constraint's quotes the row that was there as well, to roles that row
 * security does not bind; for those that it binds the server has a DETAIL
 * without values.  While a tenant is set everybody gets that one.
 *
 * An error context callback may change the error that it is called for, at the
 * price of two assignments where there is none, and before PL/pgSQL can catch
 * it.  What is checked at the very end of a transaction is out of its reach.
 */
#include "postgres.h"

#include "base/settings.h"
#include "guard/neutral.h"
#include "tenant/context.h"

static void
take_out_values(void *arg)
{
	if (geterrcode() == ERRCODE_EXCLUSION_VIOLATION &&
		tguard_enforce != ENFORCE_LOG && tguard_context_bound() != NULL)
		errdetail("Key conflicts with existing key.");
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
tguard_neutral_end(ErrorContextCallback *callback)
{
	error_context_stack = callback->previous;
}
