/*
 * copy_from.h
 *	  COPY FROM into guarded relations.
 */
#ifndef TGUARD_COPY_FROM_H
#define TGUARD_COPY_FROM_H

#include "nodes/parsenodes.h"
#include "parser/parse_node.h"

/*
 * Run a COPY FROM that reaches a guarded relation, if the server itself would
 * not hold it to the tenant, or refuse it.  Returns false where the server
 * may run it by itself; otherwise sets the number of rows.
 *
 * Errors: those of the server's own COPY, the context's (context.h),
 * foreign_tenant with the line, copy_refused, shared_read_only.
 */
extern bool tguard_copy_from(ParseState *pstate, CopyStmt *statement,
							 uint64 *processed);

#endif							/* TGUARD_COPY_FROM_H */
