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
 * Each partition has triggers of its own, which a restore disables one by one.
 * Those that an UPDATE or DELETE reaches are looked at while it is planned.
 * Where an INSERT through the parent goes is only known row by row; the check
 * of a new row asks check_partition() (write_check.c).
 *
 * The setting is judged where it takes effect, at a write, however it was
 * set.  The apply worker of logical replication, which writes in this mode,
 * does not pass the executor's door.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/extension.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "guard/integrity.h"
#include "guard/under_tenant.h"
#include "nodes/parsenodes.h"
#include "parser/parsetree.h"
#include "relations/cache.h"
#include "tenant/bypass.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

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

void
tguard_integrity_child(Oid relid)
{
	Relation	relation = table_open(relid, NoLock);

	tguard_integrity_target(relation);
	table_close(relation, NoLock);
}

void
tguard_integrity_admit_cascade(QueryDesc *queryDesc)
{
	PlannedStmt *plan = queryDesc->plannedstmt;
	ListCell   *lc;

	if (tguard_mode() != MODE_GUARD)
		return;
	foreach(lc, plan->resultRelations)
	{
		Oid			relid = rt_fetch(lfirst_int(lc), plan->rtable)->relid;

		if (tguard_mode_holds(tguard_relation(relid)->mode))
			tguard_integrity_child(relid);
	}
}

TGUARD_SQL_FUNCTION(tenantguard_check_partition);

/*
 * check_partition(oid) RETURNS boolean: true, or error integrity_off.  The
 * statement's lock keeps the triggers as they are, so a partition that many rows
 * go to is looked at once.
 */
Datum
tenantguard_check_partition(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	void	   *known = (void *) (uintptr_t) relid;
	Relation	relation;

	if (known == fcinfo->flinfo->fn_extra)
		PG_RETURN_BOOL(true);
	relation = RelationIdGetRelation(relid);
	if (RelationIsValid(relation))
	{
		tguard_integrity_target(relation);
		RelationClose(relation);
	}
	fcinfo->flinfo->fn_extra = known;
	PG_RETURN_BOOL(true);
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

static bool
may_have_triggers(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;			/* dropped meanwhile */
	result = ((Form_pg_class) GETSTRUCT(tuple))->relhastriggers;
	ReleaseSysCache(tuple);
	return result;
}

/* The relation, and partitions that its rows may go to. */
static void
copy_from(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	ListCell   *lc;

	if (!OidIsValid(relid) ||
		!tguard_mode_holds(tguard_relation(relid)->mode))
		return;
	if (is_replica())
		refuse_replica_write(relid);
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Relation	member = may_have_triggers(lfirst_oid(lc)) ?
		try_table_open(lfirst_oid(lc), AccessShareLock) : NULL;

		if (member)
		{
			tguard_integrity_target(member);
			table_close(member, NoLock);
		}
	}
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
