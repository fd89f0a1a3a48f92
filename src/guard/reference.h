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
 * context stack at that moment.  The doors keep it.
 */
extern ErrorContextCallback *tguard_reference_callers;

/* Is an ALTER TABLE running, which may validate a foreign key? */
extern bool tguard_reference_validating;

/* Is the query that is about to be planned a foreign key's own? */
extern bool tguard_reference_is_planning(Query *query);

/* May a plan that was built for a foreign key run now? */
extern bool tguard_reference_is_running(void);

#endif							/* TGUARD_REFERENCE_H */
