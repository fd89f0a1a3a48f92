/*
 * functions.h
 *	  Functions of the server that pass by the filter.
 */
#ifndef TGUARD_FUNCTIONS_H
#define TGUARD_FUNCTIONS_H

#include "access/transam.h"

/* One bit for each function of the server: is there a rule for it? */
extern uint32 tguard_ruled_functions[FirstNormalObjectId / 32];

/* Every statement makes functions ready, and hardly any has a rule. */
static inline bool
tguard_function_is_ruled(Oid function)
{
	return tguard_ruled_functions[function / 32] >> function % 32 & 1;
}

/* Before a function of the server runs, through SQL or the fast path. */
extern void tguard_rule_function(Oid function);

/* Before a large object is removed, whatever removes it. */
extern void tguard_rule_large_object(void);

/* pg_largeobject, met by the planner or named in COPY. */
extern void tguard_rule_large_object_planned(void);

extern void tguard_functions_init(void);

#endif							/* TGUARD_FUNCTIONS_H */
