/*
 * integrity.h
 *	  Switches that leave foreign keys unchecked.
 */
#ifndef TGUARD_INTEGRITY_H
#define TGUARD_INTEGRITY_H

#include "executor/execdesc.h"
#include "nodes/nodes.h"
#include "utils/rel.h"

/*
 * Before a utility statement: DISABLE TRIGGER of a foreign key's trigger, and
 * COPY FROM in a replica session, need a bypass (error integrity_off).
 */
extern void tguard_integrity_statement(Node *statement);

/*
 * While a write to an opened guarded relation is planned: error integrity_off
 * where triggers of its foreign keys are switched off and no bypass is open.
 */
extern void tguard_integrity_target(Relation relation);

/* The same for a partition or child, which is met as it is planned. */
extern void tguard_integrity_child(Oid relid);

/* Before a plan that reaches guarded relations starts for a tenant. */
extern void tguard_integrity_admit(QueryDesc *queryDesc);

/*
 * Before the cascade of a foreign key, whose plan outlives a bypass: the
 * relation that it changes may have keys of its own.
 */
extern void tguard_integrity_admit_cascade(QueryDesc *queryDesc);

#endif							/* TGUARD_INTEGRITY_H */
