/*
 * own_code.c
 *	  An owner's functions over every tenant's rows.
 *
 * An index, a CHECK, a generated column or statistics on an expression compute
 * something of every row, whoever's it is, and the function that they call is
 * handed the values: CREATE INDEX ON t (spy(body)) would copy the table out.
 * So a function of one's own there needs a bypass, and so does replacing one
 * that is used there already.  The server's functions and those of extensions
 * are free.
 *
 * pg_depend knows both.  It knows nothing of USING, not which columns a domain's
 * check will look at, nor whose rows a partition's bounds are compared with:
 * while such a statement runs, the functions that it is about to call are
 * looked at.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "base/errors.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "guard/own_code.h"
#include "guard/under_tenant.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "tenant/bypass.h"
#include "tenant/registry.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

bool		tguard_own_code_watched = false;

static bool
is_own_code(Oid classId, Oid objectId)
{
	return (classId == ProcedureRelationId || classId == OperatorRelationId) &&
		objectId >= FirstNormalObjectId &&
		!OidIsValid(getExtensionOfObject(classId, objectId));
}

static bool
is_own_function(Oid function, void *context)
{
	return is_own_code(ProcedureRelationId, function);
}

static bool
calls_own_function(Node *node, void *context)
{
	return node != NULL &&
		(check_functions_in_node(node, is_own_function, NULL) ||
		 expression_tree_walker(node, calls_own_function, NULL));
}

/*
 * Does the object call code of one's own?  A default counts where it is that of
 * a generated column, whose part it is; an ordinary one sees no row.  This very
 * command has written what tells.
 */
static bool
calls_own_code(Oid classId, Oid objectId)
{
	Relation	depends = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;
	bool		sees_rows = (classId != AttrDefaultRelationId);

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objectId));
	scan = systable_beginscan(depends, DependDependerIndexId, true,
							  SnapshotSelf, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		found |= is_own_code(form->refclassid, form->refobjid);
		sees_rows |= form->deptype == DEPENDENCY_INTERNAL;
	}
	systable_endscan(scan);
	table_close(depends, AccessShareLock);
	return found && sees_rows;
}

/* The default of a column, as this very command has left it. */
static Oid
default_of(Oid relid, int column)
{
	Relation	catalog = table_open(AttrDefaultRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(column));
	scan = systable_beginscan(catalog, AttrDefaultIndexId, true, SnapshotSelf,
							  2, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_attrdef) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

/* Extended statistics, whose dependencies are written later. */
static bool
measures_own_code(Oid statistics)
{
	Relation	catalog = table_open(StatisticExtRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull = true;
	Datum		expressions = 0;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_statistic_ext_oid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(statistics));
	scan = systable_beginscan(catalog, StatisticExtOidIndexId, true,
							  SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		expressions = heap_getattr(tuple, Anum_pg_statistic_ext_stxexprs,
								   RelationGetDescr(catalog), &isnull);
	if (!isnull)
		found = calls_own_function(stringToNode(TextDatumGetCString(expressions)),
								   NULL) &&
			tguard_touches_guarded(((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/* Does it let code of one's own compute rows of a guarded relation? */
static bool
lets_own_code_in(Oid classId, Oid objectId, int subId)
{
	switch (classId)
	{
		case AttrDefaultRelationId: /* the server names the column */
			return tguard_touches_guarded(objectId) &&
				calls_own_code(classId, default_of(objectId, subId));
		case ConstraintRelationId:
		case RelationRelationId:
			return calls_own_code(classId, objectId) &&
				tguard_is_part_of_guarded(classId, objectId);
		case StatisticExtRelationId:
			return measures_own_code(objectId);
		default:
			return false;
	}
}

/* Does something that computes rows of a guarded relation call the code? */
static bool
serves_guarded(Oid classId, Oid objectId)
{
	Relation	depends = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objectId));
	scan = systable_beginscan(depends, DependReferenceIndexId, true, NULL, 2,
							  key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid == RelationRelationId)
			found = tguard_touches_guarded(form->objid);
		else if (form->classid == OperatorRelationId)
			found = serves_guarded(OperatorRelationId, form->objid);
		else if (form->classid == AttrDefaultRelationId)
			found = calls_own_code(form->classid, form->objid) &&
				tguard_is_part_of_guarded(form->classid, form->objid);
		else if (form->classid == ConstraintRelationId ||
				 form->classid == StatisticExtRelationId)
			found = tguard_is_part_of_guarded(form->classid, form->objid);
	}
	systable_endscan(scan);
	table_close(depends, AccessShareLock);
	return found;
}

void
tguard_own_code_object(ObjectAccessType access, Oid classId, Oid objectId,
					   int subId)
{
	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER)
		return;
	if (classId == ProcedureRelationId)
	{
		if (serves_guarded(classId, objectId))
			tguard_bypass_demand(REASON_DDL,
								 psprintf("change function \"%s\", which a guarded relation calls",
										  get_func_name(objectId)),
								 "it runs over the rows of every tenant.");
	}
	else if (access == OAT_POST_CREATE && lets_own_code_in(classId, objectId, subId))
		tguard_bypass_demand(REASON_DDL,
							 "have a guarded relation call a function of your own",
							 "it would run over the rows of every tenant.");
}

bool
tguard_own_code_computes(Node *statement)
{
	AlterTableStmt *alter = (AlterTableStmt *) statement;
	ListCell   *lc;

	if (IsA(statement, AlterDomainStmt))
		return OidIsValid(tguard_registry_relation());
	if (!IsA(statement, AlterTableStmt) ||
		!tguard_touches_guarded(RangeVarGetRelid(alter->relation, NoLock,
												 true)))
		return false;
	foreach(lc, alter->cmds)
	{
		AlterTableType subtype = lfirst_node(AlterTableCmd, lc)->subtype;

		if (subtype == AT_AlterColumnType || subtype == AT_AttachPartition)
			return true;
	}
	return false;
}

void
tguard_own_code_function(Oid function)
{
	if (is_own_code(ProcedureRelationId, function))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("call function \"%s\" while columns change",
									  get_func_name(function)),
							 "it would run over the rows of every tenant.");
}
