/*
 * retired.h
 *	  Memory that is out of use but may still be looked at in this transaction.
 */
#ifndef TGUARD_RETIRED_H
#define TGUARD_RETIRED_H

#include "nodes/pg_list.h"

/* Contexts that wait for the end of the transaction; mostly NIL. */
extern List *tguard_retired;

/* Delete a context when the transaction ends.  NULL is allowed. */
extern void tguard_retire(MemoryContext context);

extern void tguard_retired_delete(void);

#endif							/* TGUARD_RETIRED_H */
