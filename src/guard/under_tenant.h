/*
 * under_tenant.h
 *	  What nobody does while a tenant is set.
 */
#ifndef TGUARD_UNDER_TENANT_H
#define TGUARD_UNDER_TENANT_H

#include "catalog/objectaccess.h"
#include "nodes/parsenodes.h"

/* The relation that a statement names as what it works on, if it names one. */
extern RangeVar *tguard_target_of(Node *statement);

/*
 * Is the relation guarded, or does it belong to one that is (an index, a
 * sequence of a column), or is one of its children guarded?
 */
extern bool tguard_touches_guarded(Oid relid);

/*
 * Does the object belong to a guarded relation, as its part?  A foreign key
 * belongs to both of its relations: it locks the one and checks the other.
 * Sees what the running command has written.
 */
extern bool tguard_is_part_of_guarded(Oid classId, Oid objectId);

/*
 * To be called while a tenant binds the transaction: error ddl_refused or
 * beyond_tenant for what would reach other tenants' rows or sessions.
 */
extern void tguard_tenant_statement(Node *statement);

/* The same for an object that is being made, altered or dropped. */
extern void tguard_tenant_object(ObjectAccessType access, Oid classId,
								 Oid objectId);

#endif							/* TGUARD_UNDER_TENANT_H */
