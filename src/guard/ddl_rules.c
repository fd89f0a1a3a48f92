/*
 * ddl_rules.c
 *	  Commands that would open the guard.
 *
 * A table's owner may change the table, not take it out of its tenants'
 * protection: that needs a bypass, which is logged.  While a tenant is set
 * much more is refused: under_tenant.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_policy.h"
#include "commands/policy.h"
#include "commands/tablecmds.h"
#include "guard/ddl_rules.h"
#include "guard/functions.h"
#include "guard/inheritance.h"
#include "guard/integrity.h"
#include "guard/new_relation.h"
#include "guard/own_objects.h"
#include "guard/owner.h"
#include "guard/privileges.h"
#include "guard/roles.h"
#include "guard/stored_settings.h"
#include "guard/under_tenant.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "relations/cache.h"
#include "relations/catalog.h"
#include "relations/links.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "tenant/bypass.h"
#include "tenant/registry.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define OWN_PREFIX		"tenantguard_"
#define PARTNER_POLICY	"tenantguard_partner"

static bool
is_own_name(const char *name)
{
	return name && strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0;
}

static bool
is_guarded(Oid relid)
{
	return OidIsValid(relid) &&
		tguard_mode_holds(tguard_relation(relid)->mode);
}

static Oid
relation_of(RangeVar *name)
{
	return name ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
}

/* The server asks the same before it waits for a lock. */
static void
demand_owner(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid) && !tguard_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   name->relname);
}

/*
 * The relation, locked as the command itself is about to lock it: otherwise
 * another session could give the name to another relation while it waits.
 */
static Oid
lock_relation_of(RangeVar *name, LOCKMODE lockmode)
{
	return name ? RangeVarGetRelidExtended(name, lockmode, RVR_MISSING_OK,
										   demand_owner, NULL) : InvalidOid;
}

static char *
about(const char *command, Oid relid)
{
	return psprintf("%s guarded relation \"%s\"", command,
					get_rel_name(relid));
}

/* ---------------------------------------------------------------------
 * By OID
 * ---------------------------------------------------------------------
 */

void
tguard_rule_truncate(Oid relid)
{
	RelationMode mode = tguard_relation(relid)->mode;

	if (!tguard_mode_holds(mode))
		return;
	tguard_bypass_demand(REASON_TRUNCATE, about("truncate", relid),
						 "TRUNCATE would remove the rows of every tenant.");
}

/*
 * A tool with a grant that makes every table anew makes the registry anew, and
 * nothing else would tell.
 */
static void
warn_without_registry(Oid relid)
{
	ereport(WARNING,
			(errmsg("\"%s\" was the registry of tenants", get_rel_name(relid)),
			 errdetail("Until there is one again, no tenant is verified and new relations are not guarded."),
			 errhint("Use tenantguard.adopt_registry() and tenantguard.protect_all() once the table is there again.")));
}

void
tguard_rule_drop_relation(Oid relid)
{
	const TguardExtension *ext = tguard_extension();
	const GuardedRelation *relation;

	if (ext == NULL || get_rel_namespace(relid) == ext->schema)
		return;
	tguard_links_remove(relid, true);
	tguard_carried_remove(relid);
	relation = tguard_relation(relid);
	if (relation->mode == RELATION_UNGUARDED && !relation->own)
		return;
	if (tguard_tenant_binds())
		tguard_bypass_demand(REASON_DDL, about("drop", relid),
							 "a tenant is set in this transaction.");
	if (tguard_registry_is(relid))
	{
		tguard_bypass_demand(REASON_DDL, about("drop", relid),
							 "it is the registry of tenants.");
		tguard_registry_remove(relid);
		warn_without_registry(relid);
	}
	if (relation->own)
		tguard_catalog_remove(relid);
}

void
tguard_rule_drop_column(Oid relid, AttrNumber column)
{
	const GuardedRelation *relation = tguard_relation(relid);

	if (tguard_mode_filters(relation->mode) &&
		(relation->column == column ||
		 tguard_links_use(relation->links, column)))
		tguard_bypass_demand(REASON_DDL, about("alter", relid),
							 "the column says whose each row is.");
}

/* Also when it was renamed through a parent or a composite type. */
void
tguard_rule_alter_column(Oid relid, AttrNumber column)
{
	const GuardedRelation *relation = tguard_relation(relid);

	if (!tguard_mode_filters(relation->mode))
		return;
	if (relation->own && relation->column == column)
		tguard_catalog_follow_column(relid, column);
	tguard_links_follow_column(relid, column);
	tguard_carried_follow_column(relid, column);
}

/* ---------------------------------------------------------------------
 * ALTER TABLE
 * ---------------------------------------------------------------------
 */

/* Is it the tenant column, or one of a link? */
static bool
is_tenant_column(const GuardedRelation *relation, const char *name)
{
	AttrNumber	number = name ? get_attnum(relation->relid, name) : 0;

	return number > 0 && (number == relation->column ||
						  tguard_links_use(relation->links, number));
}

/* Why a subcommand would open the relation; NULL where it would not. */
static const char *
why_opens(const GuardedRelation *relation, AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_DisableRowSecurity:
		case AT_NoForceRowSecurity:
			return "row security holds its tenants apart.";
		case AT_DropColumn:
		case AT_AlterColumnType:
			return is_tenant_column(relation, command->name) ?
				"the column says whose each row is." : NULL;
		case AT_AddOf:
			return "what it would follow can rename and change its tenant column.";
		case AT_DisableTrig:
		case AT_EnableReplicaTrig:
		case AT_EnableTrig:
			return relation->mode == RELATION_ROOT &&
				is_own_name(command->name) ?
				"the trigger tells every session of suspended tenants." : NULL;
		case AT_DisableTrigAll:
		case AT_DisableTrigUser:
		case AT_EnableTrigAll:
		case AT_EnableTrigUser:
			return relation->mode == RELATION_ROOT ?
				"the registry's triggers tell every session of suspended tenants." : NULL;
		default:
			return NULL;
	}
}

static bool
has_guarded_parent(Oid relid)
{
	ListCell   *lc;

	foreach(lc, tguard_catalog_parents(relid))
	{
		if (is_guarded(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * Some tools disable what they did not enable, and with a grant they may.
 * unprotect(), which is meant to, lifts FORCE first.
 */
static void
warn_opened(Oid relid, AlterTableCmd *command)
{
	HeapTuple	tuple;
	bool		forced;

	if (command->subtype != AT_DisableRowSecurity || has_guarded_parent(relid))
		return;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return;
	forced = ((Form_pg_class) GETSTRUCT(tuple))->relforcerowsecurity;
	ReleaseSysCache(tuple);
	if (forced)
		ereport(WARNING,
				(errmsg("relation \"%s\" is not guarded any more",
						get_rel_name(relid)),
				 errdetail("Without row security every tenant sees all of its rows."),
				 errhint("Use tenantguard.protect_all() to guard it again.")));
}

static void
alter_table(AlterTableStmt *statement)
{
	Oid			relid = lock_relation_of(statement->relation,
										 AlterTableGetLockLevel(statement->cmds));
	GuardedRelation relation;
	ListCell   *lc;

	tguard_inheritance_before(statement, relid);
	if (!is_guarded(relid))
		return;
	relation = *tguard_relation(relid);
	foreach(lc, statement->cmds)
	{
		const char *why = why_opens(&relation, lfirst_node(AlterTableCmd, lc));

		if (why == NULL)
			continue;
		tguard_bypass_demand(REASON_DDL, about("alter", relid), why);
		warn_opened(relid, lfirst_node(AlterTableCmd, lc));
	}
}

/* ---------------------------------------------------------------------
 * Policies, triggers, names
 * ---------------------------------------------------------------------
 */

static void
protect_own_object(RangeVar *relation, LOCKMODE lockmode, const char *name)
{
	Oid			relid = is_own_name(name) ?
	lock_relation_of(relation, lockmode) : InvalidOid;

	if (is_guarded(relid))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("change \"%s\" of guarded relation \"%s\"",
									  name, get_rel_name(relid)),
							 "it holds the relation's tenants apart.");
}

static void
demand_own(Oid relid)
{
	if (tguard_own_relation(relid))
		tguard_bypass_demand(REASON_DDL, "change the objects of tenantguard",
							 "nothing would be guarded without them.");
}

/* DROP INDEX: those of our own tables are found by their names. */
static void
drop_index(DropStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->removeType == OBJECT_INDEX ?
			statement->objects : NIL)
		demand_own(relation_of(makeRangeVarFromNameList(lfirst(lc))));
}

/* DROP POLICY, TRIGGER or RULE: the relation's name, then the object's. */
static void
drop_object_of_relation(DropStmt *statement)
{
	ListCell   *lc;

	drop_index(statement);
	if (statement->removeType != OBJECT_POLICY &&
		statement->removeType != OBJECT_TRIGGER)
		return;
	foreach(lc, statement->objects)
	{
		List	   *names = list_copy(lfirst(lc));
		char	   *name = strVal(llast(names));

		names = list_truncate(names, list_length(names) - 1);
		if (names == NIL)
			continue;
		demand_own(relation_of(makeRangeVarFromNameList(names)));
		protect_own_object(makeRangeVarFromNameList(names),
						   AccessExclusiveLock, name);
	}
}

/*
 * CREATE OR REPLACE TRIGGER under one of our names.  adopt_registry() itself,
 * which a superuser calls, gives it our function.
 */
static void
create_trigger(CreateTrigStmt *statement)
{
	List	   *function = statement->funcname;

	if (superuser() && list_length(function) == 2 &&
		strcmp(strVal(linitial(function)), "tenantguard") == 0)
		return;
	protect_own_object(statement->relation, ShareRowExclusiveLock,
					   statement->trigname);
}

static void
depend_on_extension(AlterObjectDependsStmt *statement)
{
	List	   *names;

	if (statement->objectType != OBJECT_TRIGGER)
		return;
	names = castNode(List, statement->object);
	protect_own_object(statement->relation, AccessExclusiveLock,
					   strVal(llast(names)));
}

/*
 * Values of an enum that polymorphic links are read by: under another name
 * each row that has one would belong to another parent.
 */
static void
rename_value(AlterEnumStmt *statement)
{
	Oid			type;
	Oid			relid;

	if (statement->oldVal == NULL)
		return;
	type = LookupTypeNameOid(NULL,
							 makeTypeNameFromNameList(statement->typeName),
							 true);
	relid = OidIsValid(type) ? tguard_links_by_type(type) : InvalidOid;
	if (is_guarded(relid))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("rename value \"%s\" of type %s",
									  statement->oldVal, format_type_be(type)),
							 psprintf("it says what the rows of \"%s\" refer to.",
									  get_rel_name(relid)));
}

static void
rename_object(RenameStmt *statement)
{
	Oid			relid;

	if (statement->renameType == OBJECT_POLICY ||
		statement->renameType == OBJECT_TRIGGER)
		protect_own_object(statement->relation, AccessExclusiveLock,
						   statement->subname);
	if (statement->renameType != OBJECT_COLUMN)
		return;
	relid = lock_relation_of(statement->relation, AccessExclusiveLock);
	if (OidIsValid(relid) && tguard_registry_is(relid) &&
		tguard_registry_uses(statement->subname))
		tguard_bypass_demand(REASON_DDL, about("rename a column of", relid),
							 "the registry is searched by this column.");
}

/*
 * REFRESH of a guarded materialized view reads it like anybody, so without a
 * bypass it would lose the rows of every other tenant.
 */
static void
refresh(RangeVar *name)
{
	Oid			relid = lock_relation_of(name, AccessShareLock);

	if (is_guarded(relid))
		tguard_bypass_demand(REASON_MATERIALIZE, about("refresh", relid),
							 "it holds the rows of every tenant.");
}

/* ---------------------------------------------------------------------
 * Before a statement
 * ---------------------------------------------------------------------
 */

void
tguard_rule_before(Node *statement, TguardBefore *before)
{
	if (IsA(statement, DiscardStmt) &&
		((DiscardStmt *) statement)->target == DISCARD_ALL)
		tguard_bypass_discard();
	if (IsBinaryUpgrade)
		return;					/* it puts objects together one by one */
	tguard_stored_settings_before(statement);
	if (tguard_extension() == NULL)
	{
		if (IsA(statement, CopyStmt) || OidIsValid(relation_of(tguard_target_of(statement))))
			tguard_extension_demand_whole();
		return;
	}
	if (tguard_tenant_binds())
		tguard_tenant_statement(statement);
	tguard_own_protect(statement, relation_of(tguard_target_of(statement)));
	tguard_integrity_statement(statement);
	if (IsA(statement, CopyStmt) &&
		relation_of(((CopyStmt *) statement)->relation) == LargeObjectRelationId)
		tguard_rule_large_object();
	tguard_new_relation_announce(statement);
	tguard_roles_before(statement);
	before->last_words = tguard_own_last_words(statement);
	before->privileges = tguard_privileges_before(statement);
	before->published = tguard_publications_before(statement);
	switch (nodeTag(statement))
	{
		case T_AlterObjectDependsStmt:
			depend_on_extension((AlterObjectDependsStmt *) statement);
			break;
		case T_CreateTrigStmt:
			create_trigger((CreateTrigStmt *) statement);
			break;
		case T_AlterEnumStmt:
			rename_value((AlterEnumStmt *) statement);
			break;
		case T_AlterTableStmt:
			alter_table((AlterTableStmt *) statement);
			break;
		case T_AlterPolicyStmt:
			protect_own_object(((AlterPolicyStmt *) statement)->table,
							   AccessExclusiveLock,
							   ((AlterPolicyStmt *) statement)->policy_name);
			break;
		case T_DropStmt:
			drop_object_of_relation((DropStmt *) statement);
			break;
		case T_RefreshMatViewStmt:
			refresh(((RefreshMatViewStmt *) statement)->relation);
			break;
		case T_RenameStmt:
			rename_object((RenameStmt *) statement);
			break;
		default:
			break;
	}
}

/* ---------------------------------------------------------------------
 * Afterwards
 * ---------------------------------------------------------------------
 */

/*
 * The first permissive policy of the user's own decides from now on: the
 * partner, which let every row pass for want of one, goes in the same command.
 */
static void
retire_partner(CreatePolicyStmt *statement)
{
	Oid			relid = relation_of(statement->table);
	ObjectAddress partner;

	if (!statement->permissive || is_own_name(statement->policy_name) ||
		!is_guarded(relid))
		return;
	partner.classId = PolicyRelationId;
	partner.objectId = get_relation_policy_oid(relid, PARTNER_POLICY, true);
	partner.objectSubId = 0;
	if (!OidIsValid(partner.objectId))
		return;
	performDeletion(&partner, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	ereport(NOTICE,
			(errmsg("policy \"%s\" of relation \"%s\" retired", PARTNER_POLICY,
					get_rel_name(relid)),
			 errdetail("Permissive policy \"%s\" decides from now on which of a tenant's rows a role sees; commands without one are denied.",
					   statement->policy_name)));
}

void
tguard_rule_after(Node *statement, ProcessUtilityContext context,
				  const TguardBefore *before)
{
	if (before->last_words)
		tguard_own_farewell(before->last_words);
	if (tguard_extension() == NULL || IsBinaryUpgrade)
		return;
	if (IsA(statement, CreatePolicyStmt))
		retire_partner((CreatePolicyStmt *) statement);
	else
		tguard_inheritance_after(statement);
	tguard_privileges_after(statement, before->privileges,
							context == PROCESS_UTILITY_TOPLEVEL &&
							!IsTransactionBlock());
	tguard_publications_after(statement, &before->published);
	tguard_new_relation_meet(context == PROCESS_UTILITY_SUBCOMMAND);
}
