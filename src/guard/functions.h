/*
 * functions.h
 *	  Functions of the server that pass by the filter.
 */
#ifndef TGUARD_FUNCTIONS_H
#define TGUARD_FUNCTIONS_H

/* Before a function of the server runs, through SQL or the fast path. */
extern void tguard_rule_function(Oid function);

/* Before a large object is removed, whatever removes it. */
extern void tguard_rule_large_object(void);

/* pg_largeobject, met by the planner or named in COPY. */
extern void tguard_rule_large_object_planned(void);

#endif							/* TGUARD_FUNCTIONS_H */
