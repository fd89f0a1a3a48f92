/*
 * retired.c
 *	  Memory that is out of use but may still be looked at in this transaction.
 *
 * What a cache says of a relation is handed out by pointer, and an
 * invalidation may have it described anew while somebody holds the old.
 */
#include "postgres.h"

#include "base/retired.h"
#include "utils/memutils.h"

List	   *tguard_retired = NIL;

void
tguard_retire(MemoryContext context)
{
	MemoryContext old;

	if (context == NULL)
		return;
	old = MemoryContextSwitchTo(CacheMemoryContext);
	tguard_retired = lappend(tguard_retired, context);
	MemoryContextSwitchTo(old);
}

void
tguard_retired_delete(void)
{
	ListCell   *lc;

	foreach(lc, tguard_retired)
		MemoryContextDelete(lfirst(lc));
	list_free(tguard_retired);
	tguard_retired = NIL;
}
