/*
 * links.h
 *	  The table tenantguard.link: how a row without a tenant column is tied to
 *	  its tenant.
 */
#ifndef TGUARD_RELATIONS_LINKS_H
#define TGUARD_RELATIONS_LINKS_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* As many links may lie between a row and its tenant. */
#define LINKS_DEPTH 16

/* A link, by the column numbers of the relation that was asked about. */
typedef struct RelationLink
{
	Oid			parent;
	List	   *columns;		/* attribute numbers, ... */
	List	   *parent_columns; /* ... and those of the parent, as many */
	List	   *operators;		/* parent column = column */
	Oid			constraint;		/* the foreign key that says the same */
	bool		never_null;		/* every row has a value in all columns */
	AttrNumber	type_column;	/* of a polymorphic link, else 0 */
	char	   *type_value;
} RelationLink;

/*
 * The links of a relation, or of the nearest parent that it inherits from
 * and that has some, as RelationLink in the current memory context.  NIL
 * where there are none, and where one of them has lost a column: *whole says
 * which.
 */
extern List *tguard_links_read(Oid relid, bool *whole);

/* Do two relations have the same links, by the names of their columns? */
extern bool tguard_links_same(Oid relid, const List *links, Oid other_relid,
							  const List *others);

/* Does one of the links use the column of the relation itself? */
extern bool tguard_links_use(const List *links, AttrNumber column);

/*
 * Is the key of the parent that a link leads to unique in the sense of the
 * link's operators, so that no row has two parents?
 */
extern bool tguard_link_is_unique(const RelationLink *link);

/*
 * Could an index hold so many columns to one row, and does a column of it take
 * for the same what the link's operator does?
 */
extern bool tguard_link_may_use(Relation index, int columns);
extern bool tguard_link_agrees(Relation relation, Relation index, int position,
							   Oid operator);

/*
 * Does the server check each written row against the link's foreign key, at
 * the latest when the transaction ends?  Rows of children count.
 */
extern bool tguard_link_is_checked(Oid relid, const RelationLink *link);

/*
 * A link as it is declared: relid, columns, parent, parent_columns,
 * type_column, type_value.  Is the same there already?  Keeps others from
 * writing one until the transaction ends.
 */
#define LINK_DECLARED 6
extern bool tguard_link_exists(const Datum *declared, const bool *absent);
extern void tguard_link_insert(Datum *declared, bool *absent);

/*
 * Give a child without links of its own those of the nearest parent that has
 * some.
 */
extern void tguard_links_inherit(Oid relid);

/* Remove the links of a relation; with as_parent, those that lead to it, too. */
extern void tguard_links_remove(Oid relid, bool as_parent);

/* A column of a relation was altered: follow its name. */
extern void tguard_links_follow_column(Oid relid, AttrNumber column);

/*
 * A relation whose polymorphic links are read by a column of the type, or of a
 * domain over it; InvalidOid where there is none.
 */
extern Oid	tguard_links_by_type(Oid type);

/* The relations that have a link to this one. */
extern List *tguard_links_dependents(Oid relid);

/* Is this the table itself, as far as this backend has seen?  No look-up. */
extern bool tguard_links_is(Oid relid);

#endif							/* TGUARD_RELATIONS_LINKS_H */
