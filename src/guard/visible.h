/*
 * visible.h
 *	  The SQL functions inside policies and checks.
 */
#ifndef TGUARD_VISIBLE_H
#define TGUARD_VISIBLE_H

/* What check_tenant() is asked about; its third argument. */
typedef enum RowCheck
{
	CHECK_NEW,					/* a row that is written */
	CHECK_ROOT,					/* a new row of the root: a sign-up has no
								 * tenant */
	CHECK_CONFLICT,				/* the row that ON CONFLICT met */
	CHECK_PARENT,				/* a row that a foreign key refers to, */
	CHECK_PARENT_OR_SHARED,		/* be it one of no tenant */
	CHECK_CASCADE,				/* a row that a foreign key would change, */
	CHECK_CASCADE_OR_LOST,		/* be it one whose parents have gone */
	CHECK_CASCADED,				/* the row that comes of it, */
	CHECK_ORPHANED				/* which has no parent any more */
} RowCheck;

/* Is this function visible() or visible_or_shared(), for whatever type? */
extern bool tguard_is_visible(Oid function);

#endif							/* TGUARD_VISIBLE_H */
