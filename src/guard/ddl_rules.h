/*
 * ddl_rules.h
 *	  Commands that would open the guard.
 */
#ifndef TGUARD_DDL_RULES_H
#define TGUARD_DDL_RULES_H

#include "nodes/parsenodes.h"

/* By OID, from the object door: TRUNCATE, DROP of relations, also our own. */
extern void tguard_rule_truncate(Oid relid);
extern void tguard_rule_drop_relation(Oid relid);

/* Before a utility statement runs: error ddl_refused, or nothing. */
extern void tguard_rule_before(Node *statement);

/* After it ran: follow renames, retire the partner policy. */
extern void tguard_rule_after(Node *statement);

#endif							/* TGUARD_DDL_RULES_H */
