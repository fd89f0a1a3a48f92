/*
 * ddl_rules.h
 *	  Commands that would open the guard.
 */
#ifndef TGUARD_DDL_RULES_H
#define TGUARD_DDL_RULES_H

#include "access/attnum.h"
#include "guard/publications.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

/* By OID, from the object door: relations and columns, also our own. */
extern void tguard_rule_truncate(Oid relid);
extern void tguard_rule_drop_relation(Oid relid);
extern void tguard_rule_drop_column(Oid relid, AttrNumber column);
extern void tguard_rule_alter_column(Oid relid, AttrNumber column);

/* What a statement is compared with once it has run. */
typedef struct TguardBefore
{
	char	   *last_words;		/* own_objects.h */
	List	   *privileges;		/* privileges.h */
	TguardPublished published;
} TguardBefore;

/* Before a utility statement runs: error ddl_refused, or nothing. */
extern void tguard_rule_before(Node *statement, TguardBefore *before);

/*
 * After it ran: follow inheritance, retire the partner policy, take back
 * privileges, judge publications, say farewell.
 */
extern void tguard_rule_after(Node *statement, ProcessUtilityContext context,
							  const TguardBefore *before);

#endif							/* TGUARD_DDL_RULES_H */
