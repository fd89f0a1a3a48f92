/*
 * own_objects.h
 *	  The extension's own objects, and its end.
 */
#ifndef TGUARD_OWN_OBJECTS_H
#define TGUARD_OWN_OBJECTS_H

#include "nodes/parsenodes.h"

/* Is it one of the extension's tables? */
extern bool tguard_own_relation(Oid relid);

/*
 * Demand a bypass of a statement that changes the extension's objects.
 * "relid" is the relation that the statement names, if it names one.
 */
extern void tguard_own_protect(Node *statement, Oid relid);

/* DROP EXTENSION tenantguard, or DROP SCHEMA tenantguard? */
extern bool tguard_own_is_dropped(DropStmt *drop);

/* What a DROP EXTENSION, about to run, will leave unguarded; or NULL. */
extern char *tguard_own_last_words(Node *statement);

/* Said once the extension is gone. */
extern void tguard_own_farewell(const char *names);

#endif							/* TGUARD_OWN_OBJECTS_H */
