/*
 * copy_rows.h
 *	  COPY FROM where a BEFORE ROW trigger may change the tenant.
 */
#ifndef TGUARD_COPY_ROWS_H
#define TGUARD_COPY_ROWS_H

#include "commands/copy.h"
#include "parser/parse_node.h"

/*
 * Load what a COPY reads through the plan of an INSERT, which checks each row
 * after its triggers.  The only entry in the range table of pstate is the
 * relation.  Returns the number of rows.
 */
extern uint64 tguard_copy_rows(ParseState *pstate, CopyFromState copy);

#endif							/* TGUARD_COPY_ROWS_H */
