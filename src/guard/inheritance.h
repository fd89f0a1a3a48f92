/*
 * inheritance.h
 *	  Partitions and children: what joins a guarded parent, and what leaves it.
 */
#ifndef TGUARD_INHERITANCE_H
#define TGUARD_INHERITANCE_H

#include "nodes/parsenodes.h"

/*
 * Before ALTER TABLE of a relation: error ddl_refused where rows would get
 * out of a guarded relation's protection, or past it, and no bypass is open.
 */
extern void tguard_inheritance_before(AlterTableStmt *statement, Oid relid);

/* The names of the parents that CREATE TABLE gives a new relation, or NIL. */
extern List *tguard_inheritance_parents(Node *statement);

/*
 * After CREATE TABLE or ALTER TABLE: whatever joined a guarded parent is
 * brought to its mode, and all sessions judge anew what joined or left.
 */
extern void tguard_inheritance_after(Node *statement);

#endif							/* TGUARD_INHERITANCE_H */
