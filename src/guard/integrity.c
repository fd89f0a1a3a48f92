/*
 * integrity.c
 *	  Switches that leave foreign keys unchecked.
 *
 * Behind session_replication_role = replica, or with its triggers disabled, a
 * foreign key neither checks nor cascades: a row could point anywhere, and the
 * triggers of the application do not fire.  A restore needs that, an
 * application never does, so it takes a bypass.  Triggers that a restore left
 * disabled keep the tenants from writing.
 *
 * The setting is judged where it takes effect, at a write, however it was
 * set.  The apply worker of logical replication, which writes in this mode,
 * does not pass the executor's door.
 */
#include "postgres.h"

#include "access/table.h"
#include "base/errors.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "guard/integrity.h"
#include "guard/under_tenant.h"
#include "nodes/parsenodes.h"
#include "parser/parsetree.h"
#include "relations/cache.h"
#include "tenant/bypass.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static bool
is_replica(void)
{
	return SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
}

static void
refuse_replica_write(Oid relid)
{
	if (tguard_mode_holds(tguard_relation(relid)->mode))
		tguard_bypass_demand(REASON_INTEGRITY,
							 psprintf("write to guarded relation \"%s\"",
									  get_rel_name(relid)),
							 "session_replication_role is \"replica\", so foreign keys and triggers are off.");
}

void
tguard_integrity_admit(QueryDesc *queryDesc)
{
	PlannedStmt *plan = queryDesc->plannedstmt;
	ListCell   *lc;

	if (!is_replica())
		return;
	foreach(lc, plan->resultRelations)
		refuse_replica_write(rt_fetch(lfirst_int(lc), plan->rtable)->relid);
}

static bool
is_switched_off(const Trigger *trigger)
{
	return trigger->tgisinternal &&
		(trigger->tgenabled == TRIGGER_DISABLED ||
		 trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA);
}

void
tguard_integrity_target(Relation relation)
{
	TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		if (is_switched_off(&triggers->triggers[i]))
			tguard_bypass_demand(REASON_INTEGRITY,
								 psprintf("write to guarded relation \"%s\"",
										  RelationGetRelationName(relation)),
								 "triggers of its foreign keys are disabled.");
	}
}

/* Is it a trigger of the server's own, by name or (NULL) is there any? */
static bool
has_internal_trigger(Oid relid, const char *name)
{
	Relation	relation = table_open(relid, AccessShareLock);
	TriggerDesc *triggers = relation->trigdesc;
	bool		found = false;

	for (int i = 0; triggers && i < triggers->numtriggers && !found; i++)
		found = triggers->triggers[i].tgisinternal &&
			(name == NULL ||
			 strcmp(triggers->triggers[i].tgname, name) == 0);
	table_close(relation, NoLock);
	return found;
}

static bool
switches_off(Oid relid, AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_DisableTrigAll:
			return tguard_relation(relid)->below ||
				has_internal_trigger(relid, NULL);
		case AT_DisableTrig:
		case AT_EnableReplicaTrig:
			return has_internal_trigger(relid, command->name);
		default:
			return false;
	}
}

static void
alter_table(AlterTableStmt *statement)
{
	Oid			relid = RangeVarGetRelid(statement->relation, NoLock, true);
	ListCell   *lc;

	if (!tguard_touches_guarded(relid))
		return;
	foreach(lc, statement->cmds)
	{
		if (switches_off(relid, lfirst_node(AlterTableCmd, lc)))
			tguard_bypass_demand(REASON_INTEGRITY,
								 psprintf("disable triggers of guarded relation \"%s\"",
										  get_rel_name(relid)),
								 "its foreign keys would no longer be checked.");
	}
}

static void
copy_from(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	Relation	relation;

	if (!OidIsValid(relid) ||
		!tguard_mode_holds(tguard_relation(relid)->mode))
		return;
	if (is_replica())
		refuse_replica_write(relid);
	relation = table_open(relid, AccessShareLock);
	tguard_integrity_target(relation);
	table_close(relation, NoLock);
}

void
tguard_integrity_statement(Node *statement)
{
	CopyStmt   *copy = (CopyStmt *) statement;

	if (IsA(statement, AlterTableStmt))
		alter_table((AlterTableStmt *) statement);
	else if (IsA(statement, CopyStmt) && copy->is_from && copy->relation)
		copy_from(copy->relation);
}
