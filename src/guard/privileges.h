/*
 * privileges.h
 *	  Privileges on guarded relations that are the owner's alone.
 */
#ifndef TGUARD_PRIVILEGES_H
#define TGUARD_PRIVILEGES_H

#include "nodes/parsenodes.h"

/*
 * Before a GRANT: who holds TRIGGER, REFERENCES, TRUNCATE or MAINTAIN on the
 * guarded relations that it names, as a list for tguard_privileges_after().
 */
extern List *tguard_privileges_before(Node *statement);

/*
 * After it: without a bypass, what it added of these is revoked with a NOTICE,
 * or a WARNING where it was asked for by name.  Error ddl_refused where it
 * grants nothing else and an error would take nothing else back ("alone").
 */
extern void tguard_privileges_after(Node *statement, List *before, bool alone);

#endif							/* TGUARD_PRIVILEGES_H */
