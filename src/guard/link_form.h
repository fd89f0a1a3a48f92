/*
 * link_form.h
 *	  In which form a relation's links are asked about, for a query.
 */
#ifndef TGUARD_LINK_FORM_H
#define TGUARD_LINK_FORM_H

#include "nodes/pathnodes.h"
#include "relations/cache.h"

typedef enum LinkForm
{
	LINK_GATHER,				/* the tenant's parents, once */
	LINK_SIFT,					/* the same, but not to search an index */
	LINK_ASK,					/* EXISTS, as the planner likes */
	LINK_ASK_NAMED,				/* the same, unless a clause names the parent */
	LINK_ASK_ONCE				/* the parent of one row, or of a few */
} LinkForm;

/*
 * Choose the form for a derived relation that a query reads.  "one_by_one": no
 * array, nor anything that is asked once, will do.  Adds to "clauses" the
 * conditions that the relation's rows have to pass.
 */
extern LinkForm tguard_link_form(PlannerInfo *root, Index varno,
								 const GuardedRelation *relation,
								 bool one_by_one, List **clauses);

/*
 * Does the clause compare the column with a value, as the link's own equality
 * would?  Rows that it takes for equal must have the same parent, and it will
 * see rows of all tenants.
 */
extern bool tguard_link_names_parent(Node *clause, Index varno,
									 AttrNumber column, Oid operator,
									 Oid collation, Expr **value);

#endif							/* TGUARD_LINK_FORM_H */
