/*
 * catalog.h
 *	  The table tenantguard.guarded_relation.
 */
#ifndef TGUARD_RELATIONS_CATALOG_H
#define TGUARD_RELATIONS_CATALOG_H

#include "access/attnum.h"
#include "nodes/pg_list.h"

typedef struct CatalogRow
{
	const char *mode;
	const char *column;			/* "" where the mode has none */
} CatalogRow;

/* Read a relation's row; false where it has none. */
extern bool tguard_catalog_read(Oid relid, CatalogRow *row);

/* How many leading columns of the table a declaration states. */
#define CATALOG_DECLARED 5

/*
 * Write a declaration: relid, mode, tenant_column, reason, original_default.
 * Returns false, and writes nothing, where the relation is declared
 * differently already and may_change is false.
 */
extern bool tguard_catalog_write(Oid relid, const Datum *declared,
								 const bool *absent, bool may_change);

/* Remove a dropped relation's row, if it has one. */
extern void tguard_catalog_remove(Oid relid);

/* The tenant column was altered: follow its name. */
extern void tguard_catalog_follow_column(Oid relid, AttrNumber column);

/* A column's name as this very command has left it. */
extern char *tguard_catalog_name_right_now(Oid relid, AttrNumber column);

/* The qualified names of all relations, but no children, whose mode filters. */
extern List *tguard_catalog_list(void);

/* Is this the table itself, as far as this backend has seen?  No look-up. */
extern bool tguard_catalog_is(Oid relid);

/* The direct parents of a partition or an inheritance child. */
extern List *tguard_catalog_parents(Oid relid);

/*
 * Send an invalidation for a relation, its children, its ancestors and what is
 * guarded through links to it, at commit, to every backend: their cached
 * entries and the plans that read the relation go.
 */
extern void tguard_catalog_invalidate(Oid relid);

#endif							/* TGUARD_RELATIONS_CATALOG_H */
