/*
 * copy_to.h
 *	  COPY TO, which reaches rows without the planner.
 */
#ifndef TGUARD_COPY_TO_H
#define TGUARD_COPY_TO_H

#include "nodes/parsenodes.h"

/*
 * What a COPY TO of a guarded relation becomes: a copy of the statement that
 * copies a query, for the planner to filter.  Returns the statement itself
 * where nothing has to change.
 */
extern CopyStmt *tguard_copy_to(CopyStmt *statement);

#endif							/* TGUARD_COPY_TO_H */
