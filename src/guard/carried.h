/*
 * carried.h
 *	  A tenant column that is carried from the parent.
 */
#ifndef TGUARD_CARRIED_H
#define TGUARD_CARRIED_H

#include "guard/owner.h"
#include "utils/rel.h"

/* Is the record of a carried column being written by the library itself? */
extern bool tguard_carried_is_noted;

/* Does the stored row agree with all of its parents?  Errors where not. */
extern void tguard_carried_check(Relation relation, TupleTableSlot *row);

/*
 * Take everything below a row to another tenant: "row" is the new version of
 * a row of the relation.  Each relation that carries the tenant of it, also
 * through relations that do not, is updated.
 */
extern void tguard_cascade(Relation relation, TupleTableSlot *row,
						   const RowOwner *owner);

/*
 * Does a cascade run?  Then the row is checked when the transaction ends:
 * until then one parent may have moved and another has not.
 */
extern bool tguard_cascade_postpones(Relation relation, TupleTableSlot *row);

/* How many rows wait for that, and what the end of the transaction does. */
extern int	tguard_cascade_postponed;
extern void tguard_cascade_check_postponed(void);
extern void tguard_cascade_transaction_ended(void);

#endif							/* TGUARD_CARRIED_H */
