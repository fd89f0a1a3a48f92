/*
 * declare.c
 *	  Who may declare how a relation is guarded.
 *
 * protect() and its kin are SQL and run with the privileges of whoever calls
 * them, usually the table's owner in a migration.  What they record goes
 * through here.  To guard more is the owner's right; to guard less, or
 * otherwise, takes a bypass.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/settings.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "guard/carried.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "relations/cache.h"
#include "relations/catalog.h"
#include "relations/links.h"
#include "replication/logicalworker.h"
#include "storage/lmgr.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "tenant/registry.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

static void
demand_owner(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL && !OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no relation is named"),
				 errhint("Name one: 'schema.table'.")));
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!tguard_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)), name);
}

/*
 * unprotect() runs what is recorded as the original default, perhaps by a
 * superuser.  So an owner cannot record anything but the column's own.
 */
static void
demand_true_default(Oid relid, const char *column, const char *recorded)
{
	AttrNumber	number = get_attnum(relid, column);
	Relation	relation = table_open(relid, AccessShareLock);
	Node	   *current = number > 0 && number <= RelationGetNumberOfAttributes(relation) ?
	build_column_default(relation, number) : NULL;
	char	   *text = current ?
	deparse_expression(current, deparse_context_for(RelationGetRelationName(relation),
													relid), false, false) : NULL;

	table_close(relation, AccessShareLock);
	if (!superuser() && (text == NULL || strcmp(text, recorded) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot record a default that column \"%s\" does not have",
						column),
				 errdetail(REASON_DDL ": the default would be run by whoever calls unprotect()."),
				 tguard_reason(REASON_DDL),
				 errhint("Use SELECT tenantguard.protect(relation, tenant_column).")));
}

/*
 * Rows are stored without the table's constraints being asked, so this says
 * the same: a mode, a tenant column where the mode has one, and a table.
 */
static void
demand_declaration(FunctionCallInfo fcinfo)
{
	static const char *const modes[] = {
		"tenant", "root", "tenant_or_shared", "shared", "exempt", "derived"
	};
	char	   *mode = PG_ARGISNULL(1) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		valid = false;
	bool		whole;
	char		kind;

	for (int i = 0; mode && i < lengthof(modes); i++)
		valid |= strcmp(mode, modes[i]) == 0 && (i < 3) == !PG_ARGISNULL(2);
	if (valid && strcmp(mode, "root") == 0 && !PG_ARGISNULL(0))
		valid = tguard_registry_is(PG_GETARG_OID(0));
	if (valid && strcmp(mode, "derived") == 0 && !PG_ARGISNULL(0))
		valid = tguard_links_read(PG_GETARG_OID(0), &whole) != NIL;
	kind = PG_ARGISNULL(0) ? '\0' : get_rel_relkind(PG_GETARG_OID(0));
	valid &= kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_MATVIEW || kind == RELKIND_FOREIGN_TABLE;
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("not a declaration of how a table is guarded"),
				 errhint("Use tenantguard.protect(), share() or exempt().")));
}

/*
 * A relation without a row is guarded by its parent or by its policies: that,
 * or nothing else.
 */
static bool
weakens_undeclared(Oid relid, FunctionCallInfo fcinfo)
{
	const GuardedRelation *relation = tguard_relation(relid);
	RelationMode mode = tguard_mode_named(text_to_cstring(PG_GETARG_TEXT_PP(1)));

	if (relation->own || !tguard_mode_holds(relation->mode) ||
		(mode == RELATION_DERIVED && mode == relation->mode))
		return false;
	if (mode != relation->mode && mode != RELATION_TENANT &&
		mode != RELATION_ROOT)
		return true;
	return tguard_mode_filters(relation->mode) &&
		get_attnum(relid, NameStr(*PG_GETARG_NAME(2))) != relation->column;
}

TGUARD_SQL_FUNCTION(tenantguard_lock_relation);

/*
 * lock_relation(relation regclass) RETURNS void; the owner's to call.  First
 * it waits for GRANTs that are under way (privileges.c): what they add must be
 * seen by whoever is about to guard the relation.
 */
Datum
tenantguard_lock_relation(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	demand_owner(relid);
	if (tguard_extension())
		LockRelationOid(tguard_extension()->guarded_relation,
						ShareRowExclusiveLock);
	LockRelationOid(relid, AccessExclusiveLock);
	PG_RETURN_VOID();
}

TGUARD_SQL_FUNCTION(tenantguard_record_relation);

/*
 * record_relation(relation regclass, mode text, tenant_column name,
 * reason text, original_default text) RETURNS void
 *
 * The caller owns the relation.  Error ddl_refused where it is declared
 * differently already and no bypass is open, or a tenant is set.
 */
Datum
tenantguard_record_relation(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Datum		values[CATALOG_DECLARED];
	bool		nulls[CATALOG_DECLARED];
	bool		bypass = !tguard_preloaded || tguard_mode() != MODE_GUARD;

	demand_declaration(fcinfo);
	demand_owner(relid);
	if (!bypass && tguard_context_peek() != NULL)
		tguard_bypass_demand(REASON_DDL, "declare relations",
							 "a tenant is set in this transaction.");
	for (int i = 0; i < CATALOG_DECLARED; i++)
	{
		nulls[i] = PG_ARGISNULL(i);
		values[i] = nulls[i] ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	if (!bypass && tguard_catalog_parents(relid) != NIL &&
		!tguard_relation_in_force(relid))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("record relation \"%s\"",
									  get_rel_name(relid)),
							 "a child whose row security is off would stay open below its parent.");
	if (!bypass && weakens_undeclared(relid, fcinfo))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("change how relation \"%s\" is guarded",
									  get_rel_name(relid)),
							 tguard_relation(relid)->by_policy ?
							 "its policies say how it is guarded." :
							 "it is guarded like the parent it inherits from.");
	if (!tguard_catalog_write(relid, values, nulls, bypass))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("change how relation \"%s\" is guarded",
									  get_rel_name(relid)),
							 "it is declared differently already.");
	if (!nulls[4] && !nulls[2])
		demand_true_default(relid, NameStr(*PG_GETARG_NAME(2)),
							text_to_cstring(PG_GETARG_TEXT_PP(4)));
	PG_RETURN_VOID();
}

/*
 * The caller owns the relation.  Where it is guarded already, what its links
 * are decides who sees which row.
 */
static void
demand_links_change(Oid relid)
{
	demand_owner(relid);
	if (!tguard_preloaded || tguard_mode() != MODE_GUARD)
		return;
	if (tguard_context_peek() != NULL ||
		tguard_mode_filters(tguard_relation(relid)->mode))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("change the links of relation \"%s\"",
									  get_rel_name(relid)),
							 "they say whose its rows are.");
}

TGUARD_SQL_FUNCTION(tenantguard_record_link);

/*
 * record_link(relation regclass, columns name[], parent regclass,
 * parent_columns name[], type_column name, type_value text) RETURNS void
 *
 * Error ddl_refused where the relation is guarded and no bypass is open.
 */
Datum
tenantguard_record_link(PG_FUNCTION_ARGS)
{
	Datum		values[LINK_DECLARED];
	bool		nulls[LINK_DECLARED];

	for (int i = 0; i < LINK_DECLARED; i++)
	{
		nulls[i] = PG_ARGISNULL(i);
		values[i] = nulls[i] ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	if (nulls[0] || nulls[1] || nulls[2] || nulls[3] || nulls[4] != nulls[5])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("not a link"),
				 errhint("Use tenantguard.derive() or tenantguard.add_link().")));
	if (!tguard_link_exists(values, nulls))
	{
		demand_links_change(DatumGetObjectId(values[0]));
		tguard_link_insert(values, nulls);
	}
	PG_RETURN_VOID();
}

TGUARD_SQL_FUNCTION(tenantguard_inherit_links);

/* inherit_links(relation regclass) RETURNS void; nothing becomes weaker */
Datum
tenantguard_inherit_links(PG_FUNCTION_ARGS)
{
	demand_owner(PG_GETARG_OID(0));
	tguard_links_inherit(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

TGUARD_SQL_FUNCTION(tenantguard_forget_links);

/* forget_links(relation regclass) RETURNS void: all links of the relation */
Datum
tenantguard_forget_links(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);

	demand_links_change(relid);
	tguard_links_remove(relid, false);
	tguard_catalog_invalidate(relid);
	PG_RETURN_VOID();
}

TGUARD_SQL_FUNCTION(tenantguard_forget_relation);

/* forget_relation(relation regclass) RETURNS void; owner and bypass needed */
Datum
tenantguard_forget_relation(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);

	demand_owner(relid);
	if (tguard_preloaded)
		tguard_bypass_demand(REASON_DDL,
							 psprintf("stop guarding relation \"%s\"",
									  get_rel_name(relid)),
							 "its rows would be open to every tenant.");
	tguard_catalog_remove(relid);
	tguard_catalog_invalidate(relid);
	PG_RETURN_VOID();
}

/* Did this column of the registry change between the two rows? */
static bool
column_changed(TriggerData *trigger, AttrNumber column)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	Form_pg_attribute attribute = TupleDescAttr(desc, column - 1);
	bool		old_null;
	bool		new_null;
	Datum		old_value = heap_getattr(trigger->tg_trigtuple, column, desc,
										 &old_null);
	Datum		new_value = heap_getattr(trigger->tg_newtuple, column, desc,
										 &new_null);

	if (old_null || new_null)
		return old_null != new_null;
	return !datum_image_eq(old_value, new_value, attribute->attbyval,
						   attribute->attlen);
}

static bool
standing_changed(TriggerData *trigger)
{
	AttrNumber	key;
	AttrNumber	status;

	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		return true;
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return false;			/* nobody keeps an answer about it */
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
		!tguard_registry_columns(RelationGetRelid(trigger->tg_relation), &key,
								 &status))
		return true;
	return column_changed(trigger, key) ||
		(status > 0 && column_changed(trigger, status));
}

TGUARD_SQL_FUNCTION(tenantguard_registry_changed);

/*
 * Trigger on the registry: a change of a key or a status reaches every
 * backend at commit.  A tenant never changes its own, and never deletes its
 * row; replication may, and a bypass.
 */
Datum
tenantguard_registry_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("registry_changed() was not called as a trigger")));
	if (!standing_changed(trigger))
		return PointerGetDatum(NULL);
	if (tguard_preloaded && tguard_mode() == MODE_GUARD && !IsLogicalWorker() &&
		tguard_registry_is(RelationGetRelid(trigger->tg_relation)))
		tguard_bypass_demand(REASON_ROOT,
							 "change the key, the status or the existence of a tenant",
							 "a tenant edits its own row of the registry, but not what it is.");
	tguard_registry_invalidate();
	return PointerGetDatum(NULL);
}

/* Does the row say of a relation that is guarded already how it is tied? */
static bool
ties_guarded_relation(TriggerData *trigger, const TguardExtension *ext)
{
	Relation	table = trigger->tg_relation;
	bool		isnull;
	Datum		relid;

	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		(RelationGetRelid(table) != ext->link &&
		 strcmp(RelationGetRelationName(table), "carried_column") != 0))
		return false;
	relid = heap_getattr(trigger->tg_trigtuple, 1, RelationGetDescr(table),
						 &isnull);
	return !isnull && tguard_relation_in_force(DatumGetObjectId(relid));
}

/*
 * May rows of the extension's own tables be changed by hand?  A superuser
 * restores a dump, and makes grants by grant_bypass().  Whoever else may write
 * to every table could let himself out.
 */
static bool
may_change_by_hand(TriggerData *trigger, const TguardExtension *ext)
{
	if (tguard_context_peek() || !superuser())
		return false;
	return (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
			!ties_guarded_relation(trigger, ext)) ||
		RelationGetRelid(trigger->tg_relation) == ext->bypass_grant ||
		RelationGetRelid(trigger->tg_relation) == ext->lookup_definition;
}

TGUARD_SQL_FUNCTION(tenantguard_catalog_changed);

/*
 * Trigger on the extension's own tables: whoever changes a row by hand, or
 * restores a dump, is seen by every backend.  To change or remove by hand how
 * a relation is guarded takes a bypass.
 */
Datum
tenantguard_catalog_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const TguardExtension *ext = tguard_extension();

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("catalog_changed() was not called as a trigger")));
	if (tguard_carried_is_noted)
		return PointerGetDatum(NULL);	/* by note_carried() and its kin */
	if (tguard_preloaded && tguard_mode() == MODE_GUARD && ext &&
		!may_change_by_hand(trigger, ext))
		tguard_bypass_demand(REASON_DDL, "change how relations are guarded",
							 "rows of the extension's own tables are changed.");
	if (ext && RelationGetRelid(trigger->tg_relation) == ext->registry &&
		TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		tguard_registry_found();
	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigger->tg_relation));
	return PointerGetDatum(NULL);
}

TGUARD_SQL_FUNCTION(tenantguard_preloaded);

/* preloaded() RETURNS boolean: are the hooks in place in this server? */
Datum
tenantguard_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(tguard_preloaded);
}
