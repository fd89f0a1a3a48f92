/*
 * reference.h
 *	  The queries of foreign keys, which see every tenant.
 */
#ifndef TGUARD_REFERENCE_H
#define TGUARD_REFERENCE_H

#include "nodes/parsenodes.h"
#include "utils/elog.h"

/*
 * Where the innermost executor or utility call began, as the top of the error
 * context stack at that moment, and which of the two it was.  The doors keep
 * it.
 */
typedef struct ReferenceCaller
{
	ErrorContextCallback *stack;
	bool		utility;
	bool		validates;		/* ... a statement that validates keys */
} ReferenceCaller;

extern ReferenceCaller tguard_reference_caller;

/* Is this a statement that validates foreign keys and runs no user's code? */
extern bool tguard_reference_validates(Node *statement);

/* Can a foreign key's query be planned at all now?  Cheap. */
extern bool tguard_reference_is_likely(void);

extern void tguard_reference_init(void);

/* Is the query that is about to be planned a foreign key's own? */
extern bool tguard_reference_is_planning(Query *query);

/* May a plan that was built for a foreign key run now? */
extern bool tguard_reference_is_running(void);

#endif							/* TGUARD_REFERENCE_H */
