/*
 * neutral.h
 *	  Errors that would show another tenant's row.
 */
#ifndef TGUARD_NEUTRAL_H
#define TGUARD_NEUTRAL_H

#include "nodes/nodes.h"
#include "utils/elog.h"

/*
 * Around whatever writes guarded rows: takes the values of another row out of
 * the errors that pass by.  "callback" is on the caller's stack; an error
 * leaves nothing to be done.
 */
extern void tguard_neutral_begin(ErrorContextCallback *callback);

/*
 * The same around a utility statement, which may look at every row of a guarded
 * relation without a bypass.
 */
extern void tguard_neutral_begin_utility(ErrorContextCallback *callback,
										 Node *statement);
extern void tguard_neutral_end(ErrorContextCallback *callback);

#endif							/* TGUARD_NEUTRAL_H */
