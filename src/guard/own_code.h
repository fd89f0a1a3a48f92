/*
 * own_code.h
 *	  An owner's functions over every tenant's rows.
 */
#ifndef TGUARD_OWN_CODE_H
#define TGUARD_OWN_CODE_H

#include "catalog/objectaccess.h"
#include "nodes/nodes.h"

/* An object was made or altered: error ddl_refused where it lets code in. */
extern void tguard_own_code_object(ObjectAccessType access, Oid classId,
								   Oid objectId, int subId);

/* Does the statement compute rows anew by an expression that it brings? */
extern bool tguard_own_code_computes(Node *statement);

/* Does such a statement run?  The utility door keeps it. */
extern bool tguard_own_code_watched;

/* A function that the server does not bring is about to run meanwhile. */
extern void tguard_own_code_function(Oid function);

#endif							/* TGUARD_OWN_CODE_H */
