/*
 * roles.h
 *	  Roles that get what reaches past the guard.
 */
#ifndef TGUARD_ROLES_H
#define TGUARD_ROLES_H

#include "nodes/parsenodes.h"

/*
 * Before CREATE ROLE, ALTER ROLE, ALTER GROUP and GRANT of a role: where one
 * gets what reaches past the guard, a superuser gets a WARNING, and anybody
 * else error ddl_refused without a bypass.
 */
extern void tguard_roles_before(Node *statement);

#endif							/* TGUARD_ROLES_H */
