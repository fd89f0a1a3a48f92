/*
 * new_relation.h
 *	  Relations that are made while the guard is in force.
 */
#ifndef TGUARD_NEW_RELATION_H
#define TGUARD_NEW_RELATION_H

#include "nodes/parsenodes.h"

/* A relation was created, by whatever command: the object door says so. */
extern void tguard_new_relation_note(Oid relid);

/* A plan whose rows a new relation keeps reaches a guarded relation. */
extern void tguard_new_relation_note_source(Oid relid);

/*
 * A utility statement is about to run: what it copies columns from, and what
 * it gives a foreign key.  Running it changes its tree.
 */
extern void tguard_new_relation_announce(Node *statement);

/*
 * A utility statement has run.  What it created, and what it gave a foreign
 * key, is protected where it is certain what it is; otherwise there is a
 * WARNING, as tenantguard.new_table says.  The parts of a statement
 * ("subcommand") are noted, and met when it is whole.
 */
extern void tguard_new_relation_meet(bool subcommand);

/* Is anything noted in this transaction? */
extern bool tguard_new_relation_noted;

/* Before a commit: error unclassified where tenantguard.new_table refuses. */
extern void tguard_new_relation_demand_classified(void);

extern void tguard_new_relation_transaction_ended(void);
extern void tguard_new_relation_subtransaction_aborted(SubTransactionId subid);

#endif							/* TGUARD_NEW_RELATION_H */
