/*
 * under_tenant.c
 *	  What nobody does while a tenant is set.
 *
 * DDL on a guarded relation runs code (index expressions, checks, rewrites)
 * over every tenant's rows, and lasts for every tenant.  It is met twice.
 * Where a statement names a relation, in whatever form, it is refused before
 * it does anything.  And the server reports every object that is made,
 * altered or dropped; pg_depend says by then which relation it belongs to,
 * whatever the statement was: a trigger that goes with its function, the
 * foreign key of a new table, a publication.
 *
 * The rest here reaches other tenants' sessions: locks that stop them, a
 * channel that all of them write to, roles and settings that they start with.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "base/errors.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_statistic_ext.h"
#include "guard/inheritance.h"
#include "guard/own_objects.h"
#include "guard/under_tenant.h"
#include "relations/cache.h"
#include "storage/lockdefs.h"
#include "tenant/bypass.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define TENANT_IS_SET "a tenant is set in this transaction."

RangeVar *
tguard_target_of(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterObjectDependsStmt:
			return ((AlterObjectDependsStmt *) statement)->relation;
		case T_AlterObjectSchemaStmt:
			return ((AlterObjectSchemaStmt *) statement)->relation;
		case T_AlterPolicyStmt:
			return ((AlterPolicyStmt *) statement)->table;
		case T_AlterSeqStmt:
			return ((AlterSeqStmt *) statement)->sequence;
		case T_AlterTableStmt:
			return ((AlterTableStmt *) statement)->relation;
		case T_ClusterStmt:
			return ((ClusterStmt *) statement)->relation;
		case T_CreatePolicyStmt:
			return ((CreatePolicyStmt *) statement)->table;
		case T_CreateTrigStmt:
			return ((CreateTrigStmt *) statement)->relation;
		case T_IndexStmt:
			return ((IndexStmt *) statement)->relation;
		case T_ReindexStmt:
			return ((ReindexStmt *) statement)->relation;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->relation;
		case T_RuleStmt:
			return ((RuleStmt *) statement)->relation;
		default:
			return NULL;
	}
}

/* The relation that an index or a sequence belongs to; else itself. */
static Oid
owner_of(Oid relid)
{
	Oid			table;
	int32		column;

	switch (get_rel_relkind(relid))
	{
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return IndexGetRelation(relid, true);
		case RELKIND_SEQUENCE:
			if (sequenceIsOwned(relid, DEPENDENCY_AUTO, &table, &column) ||
				sequenceIsOwned(relid, DEPENDENCY_INTERNAL, &table, &column))
				return table;
			return relid;
		default:
			return relid;
	}
}

bool
tguard_touches_guarded(Oid relid)
{
	const GuardedRelation *relation;

	/* a relation that this very command makes is not visible yet */
	if (!OidIsValid(relid) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return false;
	relation = tguard_relation(owner_of(relid));
	return tguard_mode_holds(relation->mode) || relation->below;
}

static void
refuse_change(Oid relid)
{
	if (tguard_touches_guarded(relid))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("change guarded relation \"%s\"",
									  get_rel_name(relid)), TENANT_IS_SET);
}

static void
refuse_change_by_name(RangeVar *name)
{
	if (name)
		refuse_change(RangeVarGetRelid(name, NoLock, true));
}

/* ---------------------------------------------------------------------
 * Objects
 * ---------------------------------------------------------------------
 */

bool
tguard_is_part_of_guarded(Oid classId, Oid objectId)
{
	Relation	depends = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objectId));
	/* this very command has written what tells */
	scan = systable_beginscan(depends, DependDependerIndexId, true,
							  SnapshotSelf, 2, key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		found = form->refclassid == RelationRelationId &&
			(classId == ConstraintRelationId ||
			 form->deptype == DEPENDENCY_AUTO ||
			 form->deptype == DEPENDENCY_INTERNAL) &&
			tguard_touches_guarded(form->refobjid);
	}
	systable_endscan(scan);
	table_close(depends, AccessShareLock);
	return found;
}

/*
 * Roles, databases and their settings are of the whole server: what a tenant
 * changes there, such as the search_path of the application's role, the next
 * sessions of all tenants start with.
 *
 * What is only reported was reported for the statement.
 */
void
tguard_tenant_object(ObjectAccessType access, Oid classId, Oid objectId)
{
	if (tguard_mode() != MODE_GUARD)
		return;
	if (IsSharedRelation(classId))
	{
		if (access != OAT_POST_CREATE)
			tguard_bypass_demand(REASON_BEYOND,
								 "change roles, databases or their settings",
								 "they hold for sessions of other tenants, and a tenant is set in this transaction.");
		return;
	}
	if (classId == RelationRelationId && access == OAT_POST_ALTER)
		refuse_change(objectId);
	else if (tguard_is_part_of_guarded(classId, objectId))
		tguard_bypass_demand(REASON_DDL,
							 "change what belongs to a guarded relation",
							 TENANT_IS_SET);
}

/* ---------------------------------------------------------------------
 * Statements
 * ---------------------------------------------------------------------
 */

/* The relation of an extended statistics object. */
static Oid
relation_of_statistics(Oid statistics)
{
	Relation	catalog = table_open(StatisticExtRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_statistic_ext_oid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(statistics));
	scan = systable_beginscan(catalog, StatisticExtOidIndexId, true, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

/* An object named with its kind, as COMMENT and DROP do. */
static void
refuse_object(ObjectType type, Node *object)
{
	Relation	relation = NULL;
	ObjectAddress address = get_object_address(type, object, &relation,
											   AccessShareLock, true);

	if (relation)
	{
		refuse_change(RelationGetRelid(relation));
		table_close(relation, NoLock);
	}
	else if (!OidIsValid(address.objectId))
		return;					/* the server says so */
	else if (address.classId == RelationRelationId)
		refuse_change(address.objectId);
	else if (address.classId == StatisticExtRelationId)
		refuse_change(relation_of_statistics(address.objectId));
}

static void
refuse_drop(DropStmt *statement)
{
	ListCell   *lc;

	if (tguard_own_is_dropped(statement))
		tguard_bypass_demand(REASON_DDL, "drop extension tenantguard",
							 TENANT_IS_SET);
	foreach(lc, statement->objects)
		refuse_object(statement->removeType, lfirst(lc));
}

/* Those of the names that are names of relations. */
static void
refuse_names(List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (IsA(lfirst(lc), RangeVar))
			refuse_change_by_name(lfirst_node(RangeVar, lc));
	}
}

/* What a relation is put below, or a partition that is put below it. */
static void
refuse_relatives(AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddInherit ||
			command->subtype == AT_DropInherit)
			refuse_change_by_name((RangeVar *) command->def);
		else if (command->subtype == AT_AttachPartition ||
				 command->subtype == AT_DetachPartition)
			refuse_change_by_name(((PartitionCmd *) command->def)->name);
	}
}

/* These name no relation, or all of them. */
static bool
reaches_unnamed_relations(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterDomainStmt:
		case T_AlterPublicationStmt:
		case T_AlterTableMoveAllStmt:
		case T_AlterTypeStmt:
		case T_CreatePublicationStmt:
		case T_DropOwnedStmt:
		case T_ReassignOwnedStmt:
			return true;
		case T_ReindexStmt:
			return ((ReindexStmt *) statement)->relation == NULL;
		case T_ClusterStmt:
			return ((ClusterStmt *) statement)->relation == NULL;
		case T_GrantStmt:
			return ((GrantStmt *) statement)->targtype == ACL_TARGET_ALL_IN_SCHEMA;
		case T_VacuumStmt:
			return ((VacuumStmt *) statement)->rels == NIL;
		default:
			return false;
	}
}

/*
 * What a foreign table shows lies elsewhere, without a filter of ours: one
 * more of them, or another place for those that are guarded, shows all of it.
 */
static bool
leads_elsewhere(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterFdwStmt:
		case T_AlterForeignServerStmt:
		case T_AlterUserMappingStmt:
		case T_CreateForeignServerStmt:
		case T_CreateForeignTableStmt:
		case T_CreateUserMappingStmt:
		case T_DropUserMappingStmt:
		case T_ImportForeignSchemaStmt:
			return true;
		default:
			return false;
	}
}

/*
 * Every statement takes the weaker locks.  The stronger ones stop the others;
 * a view locks what it reads.
 */
static void
refuse_lock(LockStmt *statement)
{
	ListCell   *lc;

	if (statement->mode <= RowExclusiveLock)
		return;
	foreach(lc, statement->relations)
	{
		Oid			relid = RangeVarGetRelid(lfirst_node(RangeVar, lc),
											 NoLock, true);

		if (!OidIsValid(relid))
			continue;
		if (tguard_touches_guarded(relid) || tguard_own_relation(relid) ||
			relid < FirstNormalObjectId ||
			get_rel_relkind(relid) == RELKIND_VIEW)
			tguard_bypass_demand(REASON_BEYOND,
								 psprintf("lock relation \"%s\" against writes",
										  get_rel_name(relid)),
								 "the statements of other tenants would wait, and a tenant is set in this transaction.");
	}
}

static void
refuse_listening(void)
{
	tguard_bypass_demand(REASON_BEYOND, "listen to a channel",
						 "notifications have no tenant, and it would last beyond this transaction.");
}

void
tguard_tenant_statement(Node *statement)
{
	ListCell   *lc;

	if (reaches_unnamed_relations(statement))
		tguard_bypass_demand(REASON_DDL, "run this command",
							 "it may reach guarded relations, and " TENANT_IS_SET);
	if (leads_elsewhere(statement))
		tguard_bypass_demand(REASON_BEYOND,
							 "change where foreign rows come from",
							 "another server's rows pass no filter, and " TENANT_IS_SET);
	refuse_change_by_name(tguard_target_of(statement));
	refuse_names(tguard_inheritance_parents(statement));
	switch (nodeTag(statement))
	{
		case T_AlterOwnerStmt:
			refuse_object(((AlterOwnerStmt *) statement)->objectType,
						  ((AlterOwnerStmt *) statement)->object);
			break;
		case T_AlterSystemStmt:
			tguard_bypass_demand(REASON_BEYOND, "change the server's settings",
								 TENANT_IS_SET);
			break;
		case T_AlterTableStmt:
			refuse_relatives((AlterTableStmt *) statement);
			break;
		case T_CommentStmt:
			refuse_object(((CommentStmt *) statement)->objtype,
						  ((CommentStmt *) statement)->object);
			break;
		case T_CreateStatsStmt:
			refuse_names(((CreateStatsStmt *) statement)->relations);
			break;
		case T_DropStmt:
			refuse_drop((DropStmt *) statement);
			break;
		case T_GrantStmt:
			refuse_names(((GrantStmt *) statement)->objects);
			break;
		case T_ListenStmt:
			refuse_listening();
			break;
		case T_LockStmt:
			refuse_lock((LockStmt *) statement);
			break;
		case T_SecLabelStmt:
			refuse_object(((SecLabelStmt *) statement)->objtype,
						  ((SecLabelStmt *) statement)->object);
			break;
		case T_VacuumStmt:
			foreach(lc, ((VacuumStmt *) statement)->rels)
				refuse_change_by_name(lfirst_node(VacuumRelation, lc)->relation);
			break;
		default:
			break;
	}
}
