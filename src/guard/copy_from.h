/*
 * copy_from.h
 *	  COPY FROM into guarded relations.
 */
#ifndef TGUARD_COPY_FROM_H
#define TGUARD_COPY_FROM_H

#include "nodes/parsenodes.h"
#include "parser/parse_node.h"

/*
 * The relation of a COPY FROM that the server itself would not hold to the
 * tenant, or would refuse: locked.  InvalidOid where the server may run the
 * statement by itself.
 *
 * Errors: copy_refused, shared_read_only.
 */
extern Oid	tguard_copy_from_relation(CopyStmt *statement);

/*
 * Run such a statement; returns the number of rows.
 *
 * Errors: those of the server's own COPY, the context's (context.h),
 * foreign_tenant with the line, copy_refused.
 */
extern uint64 tguard_copy_from(ParseState *pstate, Oid relid,
							   CopyStmt *statement);

#endif							/* TGUARD_COPY_FROM_H */
