/*
 * copy.h
 *	  COPY, which reaches rows without the planner.
 */
#ifndef TGUARD_COPY_H
#define TGUARD_COPY_H

#include "nodes/parsenodes.h"

/*
 * What a COPY of a guarded relation becomes: COPY TO a copy of the statement
 * that copies a query, for the planner to filter.  Returns the statement
 * itself where nothing has to change.  Error copy_refused for COPY FROM.
 */
extern CopyStmt *tguard_copy_guarded(CopyStmt *statement);

#endif							/* TGUARD_COPY_H */
