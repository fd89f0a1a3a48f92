/*
 * policy.h
 *	  What a relation's own policies say of how it is guarded.
 */
#ifndef TGUARD_RELATIONS_POLICY_H
#define TGUARD_RELATIONS_POLICY_H

#include "relations/cache.h"
#include "rewrite/rowsecurity.h"

/*
 * Read the generated policies of a relation with row security.  Sets the mode,
 * and the number of the tenant column where the mode has one; false where
 * there is no such policy.
 */
extern bool tguard_policy_read(Oid relid, RelationMode *mode,
							   AttrNumber *column);

/*
 * Is it one of ours?  Anybody may give a policy of his own a name like ours, so
 * what it calls decides.
 */
extern bool tguard_policy_is_own(const RowSecurityPolicy *policy);

#endif							/* TGUARD_RELATIONS_POLICY_H */
