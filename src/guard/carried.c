/*
 * carried.c
 *	  A tenant column that is carried from the parent.
 *
 * add_tenant_column() gives a relation a column that the application does not
 * know.  Four triggers keep it right.
 *
 * carry_tenant(), before a row is written: the column is the tenant's, or
 * without a tenant (a bypass) that of the row's parents.
 *
 * check_carried(), a constraint trigger afterwards, when every other trigger
 * has had its say: the stored row agrees with all of its parents.  With a
 * tenant set the answer is the same whether a parent is another tenant's or
 * does not exist, and where a foreign key is checked at the end of the
 * transaction it is left to that: its check sees only the tenant's parents.
 *
 * hold_owner() and follow_owner(), before and after a row of a parent gets
 * another tenant: refused without a bypass; under one the parent is locked
 * against new children, and those there are go along (cascade.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/settings.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "guard/carried.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "relations/cache.h"
#include "tcop/tcopprot.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

/* The tenant that binds what is written right now; NULL where none does. */
static const TenantIdentity *
binding_tenant(void)
{
	return tguard_mode() == MODE_GUARD ? tguard_context_peek() : NULL;
}

/*
 * The same for a trigger that looks at parents.  Whose a parent is shows in the
 * column that is filled from it, and in whether a row is refused: anybody can
 * put these triggers on a table of his own that is not guarded.  So without a
 * tenant it takes a bypass, or a superuser where there are none to be had.
 */
static const TenantIdentity *
demand_tenant_or_bypass(void)
{
	const TenantIdentity *tenant = binding_tenant();

	if (tenant == NULL && tguard_mode() == MODE_GUARD &&
		(tguard_preloaded || !superuser()))
		tguard_context_complain();
	return tenant;
}

/* ---------------------------------------------------------------------
 * Refusals
 * ---------------------------------------------------------------------
 */

/* While refusals are only reported, the row passes. */
static bool
is_reported(const char *reason)
{
	if (tguard_mode() != MODE_REPORT)
		return false;
	tguard_bypass_report(psprintf("refuse (%s)", reason), debug_query_string);
	return true;
}

static void
refuse_foreign(Relation relation, TenantKeyKind kind, Datum value,
			   const TenantIdentity *tenant)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("new row of relation \"%s\" does not belong to the tenant",
					RelationGetRelationName(relation)),
			 errdetail(REASON_FOREIGN_TENANT ": the row says '%s', the tenant is '%s'.",
					   tguard_key_text(kind, value), tenant->text),
			 tguard_reason(REASON_FOREIGN_TENANT),
			 errhint("Leave the tenant column out: it is filled in.")));
}

static void
refuse_several(Relation relation, const RowOwner *owner)
{
	if (is_reported(REASON_PARENTS))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("row of relation \"%s\" has parents of different tenants",
					RelationGetRelationName(relation)),
			 errdetail(REASON_PARENTS ": one of them belongs to tenant '%s', another does not.",
					   tguard_key_text(owner->kind, owner->value)),
			 tguard_reason(REASON_PARENTS),
			 errhint("tenantguard.disagreements() lists such rows.")));
}

static char *
column_names(Oid relid, List *columns)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, columns)
		appendStringInfo(&names, "%s%s", names.len ? ", " : "",
						 get_attname(relid, lfirst_int(lc), false));
	return names.data;
}

/* The values of the link's columns, as the server prints a key. */
static char *
column_values(Relation relation, List *columns, TupleTableSlot *row)
{
	StringInfoData values;
	ListCell   *lc;

	initStringInfo(&values);
	foreach(lc, columns)
	{
		bool		isnull;
		Datum		value = slot_getattr(row, lfirst_int(lc), &isnull);
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(TupleDescAttr(RelationGetDescr(relation),
										lfirst_int(lc) - 1)->atttypid,
						  &output, &varlena);
		appendStringInfo(&values, "%s%s", values.len ? ", " : "",
						 OidOutputFunctionCall(output, value));
	}
	return values.data;
}

/* Would the server show the key?  As ri_ReportViolation() decides it. */
static bool
shows_key(Relation relation, List *columns)
{
	Oid			relid = RelationGetRelid(relation);
	ListCell   *lc;

	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	foreach(lc, columns)
	{
		if (pg_attribute_aclcheck(relid, lfirst_int(lc), GetUserId(),
								  ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * The same words whether the parent is another tenant's or not there at all:
 * where there is a foreign key, those of its own check.
 */
static void
refuse_parent(Relation relation, const RelationLink *link, TupleTableSlot *row)
{
	char	   *names = column_names(RelationGetRelid(relation), link->columns);
	char	   *constraint;

	if (is_reported(REASON_NO_PARENT))
		return;
	if (OidIsValid(link->constraint))
	{
		constraint = get_constraint_name(link->constraint);
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
						RelationGetRelationName(relation), constraint),
				 shows_key(relation, link->columns) ?
				 errdetail("Key (%s)=(%s) is not present in table \"%s\".",
						   names, column_values(relation, link->columns, row),
						   get_rel_name(link->parent)) :
				 errdetail("Key is not present in table \"%s\".",
						   get_rel_name(link->parent)),
				 errtableconstraint(relation, constraint)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("row of relation \"%s\" refers to a row that is not there",
					RelationGetRelationName(relation)),
			 errdetail(REASON_NO_PARENT ": no row of \"%s\" has the key that (%s) names.",
					   get_rel_name(link->parent), names),
			 tguard_reason(REASON_NO_PARENT),
			 errhint("Write the parent's row first.")));
}

static void
refuse_column(Relation relation, const CarriedRelation *carried, Datum value,
			  const RowOwner *owner)
{
	if (is_reported(REASON_PARENTS))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("row of relation \"%s\" and its parent belong to different tenants",
					RelationGetRelationName(relation)),
			 errdetail(REASON_PARENTS ": the row says '%s', the parent '%s'.",
					   tguard_key_text(carried->kind, value),
					   tguard_key_text(owner->kind, owner->value)),
			 tguard_reason(REASON_PARENTS),
			 errhint("Leave the tenant column as it is: it follows the parent.")));
}

/*
 * Once the table is guarded by the column, a tenant's rows are the tenant's,
 * whatever becomes of the links: only what looks at parents needs them all.
 */
static bool
has_what_it_needs(Relation relation, const CarriedRelation *carried)
{
	if (carried->column == 0)
		return false;
	if (tguard_relation(RelationGetRelid(relation))->mode != RELATION_TENANT)
		return carried->links != NIL;
	return carried->whole || binding_tenant() != NULL;
}

static const CarriedRelation *
demand_carried(Relation relation)
{
	const CarriedRelation *carried = tguard_extension() ?
	tguard_carried(RelationGetRelid(relation)) : NULL;

	if (carried == NULL || !has_what_it_needs(relation, carried))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("relation \"%s\" has lost the tenant column that its triggers fill",
						RelationGetRelationName(relation)),
				 errdetail(REASON_COLUMN_LOST ": the column, or a column of a link to a parent, is missing."),
				 tguard_reason(REASON_COLUMN_LOST),
				 errhint("Restore it, or take away what is no longer meant: tenantguard.drop_link(), drop_tenant_column() or unprotect().")));
	return carried;
}

/* ---------------------------------------------------------------------
 * Before a row is written
 * ---------------------------------------------------------------------
 */

static TriggerData *
demand_trigger(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() was not called as a row trigger", name)));
	return (TriggerData *) fcinfo->context;
}

static bool
column_changed(TriggerData *trigger, AttrNumber column)
{
	Form_pg_attribute attribute =
	TupleDescAttr(RelationGetDescr(trigger->tg_relation), column - 1);
	bool		old_null;
	bool		new_null;
	Datum		old_value = slot_getattr(trigger->tg_trigslot, column,
										 &old_null);
	Datum		new_value = slot_getattr(trigger->tg_newslot, column,
										 &new_null);

	if (old_null || new_null)
		return old_null != new_null;
	return !datum_image_eq(old_value, new_value, attribute->attbyval,
						   attribute->attlen);
}

static bool
links_changed(TriggerData *trigger, const CarriedRelation *carried)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, carried->links)
	{
		RelationLink *link = ((CarriedLink *) lfirst(lc))->link;

		if (link->type_column && column_changed(trigger, link->type_column))
			return true;
		foreach(lc2, link->columns)
		{
			if (column_changed(trigger, lfirst_int(lc2)))
				return true;
		}
	}
	return false;
}

static HeapTuple
with_column(TriggerData *trigger, HeapTuple tuple,
			const CarriedRelation *carried, Datum value)
{
	int			column = carried->column;
	bool		isnull = false;

	return heap_modify_tuple_by_cols(tuple,
									 RelationGetDescr(trigger->tg_relation),
									 1, &column, &value, &isnull);
}

/* Under a tenant: what is left open is the tenant's. */
static HeapTuple
fill_tenant(TriggerData *trigger, HeapTuple tuple, TupleTableSlot *row,
			const CarriedRelation *carried, const TenantIdentity *tenant)
{
	bool		isnull;
	Datum		value = slot_getattr(row, carried->column, &isnull);

	if (isnull)
		return with_column(trigger, tuple, carried,
						   tguard_identity_datum(tenant, carried->kind));
	if ((TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		 column_changed(trigger, carried->column)) &&
		!tguard_identity_matches(tenant, carried->kind, value))
		refuse_foreign(trigger->tg_relation, carried->kind, value, tenant);
	return tuple;
}

/* Without one: the row goes where its parents are, unless it says where. */
static HeapTuple
fill_from_parents(TriggerData *trigger, HeapTuple tuple, TupleTableSlot *row,
				  const CarriedRelation *carried)
{
	RowOwner	owner = {0};
	bool		isnull;

	(void) slot_getattr(row, carried->column, &isnull);
	if (!isnull && (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
					column_changed(trigger, carried->column)))
		return tuple;
	tguard_owner_ask_all(carried, row, OWNER_LOCKED, &owner);
	if (owner.several)
		refuse_several(trigger->tg_relation, &owner);
	if (owner.known)
		return with_column(trigger, tuple, carried,
						   tguard_owner_convert(owner.kind, owner.value,
												carried->kind));
	/* where the guard only reports, the row would have been the tenant's */
	if (isnull && tguard_mode() == MODE_REPORT && tguard_context_peek())
		return with_column(trigger, tuple, carried,
						   tguard_identity_datum(tguard_context_peek(),
												 carried->kind));
	return tuple;
}

TGUARD_SQL_FUNCTION(tenantguard_carry_tenant);

/*
 * carry_tenant() RETURNS trigger, BEFORE INSERT OR UPDATE: fills the column
 * that add_tenant_column() added.  Errors foreign_tenant, parents_disagree.
 */
Datum
tenantguard_carry_tenant(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = demand_trigger(fcinfo, "carry_tenant");
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	HeapTuple	tuple = update ? trigger->tg_newtuple : trigger->tg_trigtuple;
	TupleTableSlot *row = update ? trigger->tg_newslot : trigger->tg_trigslot;
	const CarriedRelation *carried = demand_carried(trigger->tg_relation);
	const TenantIdentity *tenant;

	if (update && !column_changed(trigger, carried->column) &&
		!links_changed(trigger, carried))
		return PointerGetDatum(tuple);
	tenant = demand_tenant_or_bypass();
	if (tenant)
		tuple = fill_tenant(trigger, tuple, row, carried, tenant);
	else
		tuple = fill_from_parents(trigger, tuple, row, carried);
	return PointerGetDatum(tuple);
}

/* ---------------------------------------------------------------------
 * When it is written
 * ---------------------------------------------------------------------
 */

static void
check_link(Relation relation, const CarriedRelation *carried,
		   const CarriedLink *link, TupleTableSlot *row, Datum value)
{
	RowOwner	owner = {0};
	bool		disagrees;
	bool		bound = binding_tenant() != NULL;

	if (!tguard_owner_ask(link, row, OWNER_LOCKED, &owner))
		return;
	disagrees = owner.several ||
		(owner.known && !tguard_owner_same(carried->kind, value, owner.kind,
										   owner.value));
	if (bound && link->checked && (link->deferrable || owner.missing))
		return;					/* the foreign key's check says it */
	if (bound && (disagrees || owner.missing))
		refuse_parent(relation, link->link, row);
	else if (owner.missing && !link->checked)
		refuse_parent(relation, link->link, row);
	else if (owner.several)
		refuse_several(relation, &owner);
	else if (disagrees)
		refuse_column(relation, carried, value, &owner);
}

/* A row without a tenant is nobody's: there is nothing to disagree with. */
void
tguard_carried_check(Relation relation, TupleTableSlot *row)
{
	const CarriedRelation *carried = demand_carried(relation);
	bool		isnull;
	Datum		value = slot_getattr(row, carried->column, &isnull);
	ListCell   *lc;

	if (isnull)
		return;
	(void) demand_tenant_or_bypass();
	foreach(lc, carried->links)
		check_link(relation, carried, lfirst(lc), row, value);
}

TGUARD_SQL_FUNCTION(tenantguard_check_carried);

/*
 * check_carried() RETURNS trigger, AFTER INSERT OR UPDATE: raises 23503
 * (no_parent, parents_disagree) where the stored row and a parent disagree.
 */
Datum
tenantguard_check_carried(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = demand_trigger(fcinfo, "check_carried");
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	TupleTableSlot *row = update ? trigger->tg_newslot : trigger->tg_trigslot;
	const CarriedRelation *carried = demand_carried(trigger->tg_relation);

	if (update && !column_changed(trigger, carried->column) &&
		!links_changed(trigger, carried))
		return PointerGetDatum(NULL);
	/* deferred, or changed again by a trigger: only what is there counts */
	if (!table_tuple_satisfies_snapshot(trigger->tg_relation, row,
										SnapshotSelf))
		return PointerGetDatum(NULL);
	if (!tguard_cascade_postpones(trigger->tg_relation, row))
		tguard_carried_check(trigger->tg_relation, row);
	return PointerGetDatum(NULL);
}

/* ---------------------------------------------------------------------
 * A parent's own tenant changes
 * ---------------------------------------------------------------------
 */

/* Has the row of a parent another tenant, or other parents, than before? */
static bool
owner_changed(TriggerData *trigger)
{
	GuardedRelation guarded =
	*tguard_relation(RelationGetRelid(trigger->tg_relation));

	if (guarded.lost || !tguard_mode_filters(guarded.mode))
		return false;
	if (guarded.mode != RELATION_DERIVED)
		return column_changed(trigger, guarded.column);
	return links_changed(trigger,
						 tguard_carried(RelationGetRelid(trigger->tg_relation)));
}

/*
 * A tenant gives its rows to nobody.  What has no column of its own may go
 * from parent to parent within the tenant: each check sees only its own.
 */
static void
demand_bypass(Relation relation)
{
	if (tguard_preloaded && tguard_mode() == MODE_GUARD &&
		tguard_relation(RelationGetRelid(relation))->mode != RELATION_DERIVED)
		tguard_bypass_demand(REASON_FOREIGN_TENANT,
							 psprintf("give a row of relation \"%s\" to another tenant",
									  RelationGetRelationName(relation)),
							 "rows of other relations carry its tenant.");
}

TGUARD_SQL_FUNCTION(tenantguard_hold_owner);

/*
 * hold_owner() RETURNS trigger, BEFORE UPDATE of a parent: waits for those who
 * are writing children of a row that moves, and keeps others from beginning.
 */
Datum
tenantguard_hold_owner(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = demand_trigger(fcinfo, "hold_owner");
	Relation	relation = trigger->tg_relation;
	TupleTableSlot *slot;
	ItemPointerData tid = trigger->tg_trigtuple->t_self;
	TM_FailureData failure;

	if (tguard_extension() == NULL || !owner_changed(trigger))
		return PointerGetDatum(trigger->tg_newtuple);
	demand_bypass(relation);
	if (binding_tenant())
		return PointerGetDatum(trigger->tg_newtuple);
	/* what became of a row that cannot be locked the UPDATE itself finds out */
	slot = table_slot_create(relation, NULL);
	(void) table_tuple_lock(relation, &tid, GetActiveSnapshot(), slot,
							GetCurrentCommandId(false), LockTupleExclusive,
							LockWaitBlock, 0, &failure);
	ExecDropSingleTupleTableSlot(slot);
	return PointerGetDatum(trigger->tg_newtuple);
}

TGUARD_SQL_FUNCTION(tenantguard_follow_owner);

/*
 * follow_owner() RETURNS trigger, AFTER UPDATE of a parent: what carries the
 * tenant of a row that moved goes along.  Errors foreign_tenant without a
 * bypass, parents_disagree where another parent of a row does not move.
 */
Datum
tenantguard_follow_owner(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = demand_trigger(fcinfo, "follow_owner");
	Relation	relation = trigger->tg_relation;
	RowOwner	owner = {0};

	if (tguard_extension() == NULL || !owner_changed(trigger))
		return PointerGetDatum(NULL);
	demand_bypass(relation);
	if (binding_tenant())
		return PointerGetDatum(NULL);
	tguard_owner_of_row(RelationGetRelid(relation), trigger->tg_newslot,
						OWNER_LOCKED, &owner);
	if (owner.several)
		refuse_several(relation, &owner);
	if (owner.known)
		tguard_cascade(relation, trigger->tg_newslot, &owner);
	return PointerGetDatum(NULL);
}
