/*
 * integrity.h
 *	  Switches that leave foreign keys unchecked.
 */
#ifndef TGUARD_INTEGRITY_H
#define TGUARD_INTEGRITY_H

#include "executor/execdesc.h"
#include "nodes/nodes.h"

/*
 * Before a utility statement: DISABLE TRIGGER of a foreign key's trigger, and
 * COPY FROM in a replica session, need a bypass (error integrity_off).
 */
extern void tguard_integrity_statement(Node *statement);

/* Before a plan that reaches guarded relations starts for a tenant. */
extern void tguard_integrity_admit(QueryDesc *queryDesc);

#endif							/* TGUARD_INTEGRITY_H */
