/*
 * write_check.h
 *	  What a statement may write.
 */
#ifndef TGUARD_WRITE_CHECK_H
#define TGUARD_WRITE_CHECK_H

#include "nodes/parsenodes.h"

/*
 * Before planning: fill in the tenant of new rows and add the checks of
 * rows written, in the query and its data-modifying CTEs.
 * Error shared_read_only for a write to a shared relation.
 */
extern void tguard_check_writes(Query *query);

#endif							/* TGUARD_WRITE_CHECK_H */
