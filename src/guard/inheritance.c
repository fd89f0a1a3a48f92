/*
 * inheritance.c
 *	  Partitions and children: what joins a guarded parent, and what leaves it.
 *
 * The cache judges a partition by its parent, so it is guarded from its first
 * moment.  It gets a record, row security and policies of its own as well, in
 * the command that makes it one: these hold ordinary roles where the library is
 * absent, tell a restore which partitions are still being filled, and go on
 * guarding it when it is detached.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/errors.h"
#include "base/extension.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "guard/inheritance.h"
#include "relations/cache.h"
#include "relations/catalog.h"
#include "relations/links.h"
#include "tenant/bypass.h"
#include "utils/lsyscache.h"

static bool
is_guarded(Oid relid)
{
	return OidIsValid(relid) &&
		tguard_mode_holds(tguard_relation(relid)->mode);
}

/* ---------------------------------------------------------------------
 * Leaving
 * ---------------------------------------------------------------------
 */

/* Would the relation be guarded without its parent? */
static bool
is_guarded_by_itself(Oid relid)
{
	CatalogRow	row;

	return tguard_catalog_read(relid, &row) &&
		tguard_mode_holds(tguard_mode_named(row.mode)) &&
		tguard_relation_in_force(relid);
}

static void
demand_stays_guarded(Oid relid)
{
	if (!is_guarded(relid) || is_guarded_by_itself(relid))
		return;
	tguard_bypass_demand(REASON_DDL,
						 psprintf("detach \"%s\" from its guarded parent",
								  get_rel_name(relid)),
						 "it has no protection of its own; tenantguard.protect() of the parent gives it one.");
}

/* Would the parent, whose mode a child takes over, guard it as it is now? */
static bool
is_guarded_alike(const GuardedRelation *child, const GuardedRelation *parent)
{
	if (parent->mode != child->mode &&
		!(parent->mode == RELATION_ROOT && child->mode == RELATION_TENANT))
		return false;
	if (child->mode == RELATION_DERIVED)
		return !child->lost && !parent->lost &&
			tguard_links_same(child->relid, child->links,
							  parent->relid, parent->links);
	return !tguard_mode_filters(child->mode) ||
		(!child->lost && !parent->lost &&
		 strcmp(get_attname(child->relid, child->column, false),
				get_attname(parent->relid, parent->column, false)) == 0);
}

static void
demand_guarded_parent(Oid relid, Oid parent_relid)
{
	GuardedRelation child;
	GuardedRelation parent;

	if (!is_guarded(relid) || !OidIsValid(parent_relid))
		return;
	child = *tguard_relation(relid);
	parent = *tguard_relation(parent_relid);
	if (!is_guarded_alike(&child, &parent))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("attach guarded relation \"%s\"",
									  get_rel_name(relid)),
							 "rows would reach it through its parent, which is not guarded in the same way.");
}

void
tguard_inheritance_before(AlterTableStmt *statement, Oid relid)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		switch (command->subtype)
		{
			case AT_AttachPartition:
				demand_guarded_parent(RangeVarGetRelid(((PartitionCmd *) command->def)->name,
													   AccessExclusiveLock,
													   true), relid);
				break;
			case AT_DetachPartition:
			case AT_DetachPartitionFinalize:
				demand_stays_guarded(RangeVarGetRelid(((PartitionCmd *) command->def)->name,
													  NoLock, true));
				break;
			case AT_AddInherit:
				demand_guarded_parent(relid,
									  RangeVarGetRelid((RangeVar *) command->def,
													   NoLock, true));
				break;
			case AT_DropInherit:
				demand_stays_guarded(relid);
				break;
			default:
				break;
		}
	}
}

/* ---------------------------------------------------------------------
 * Joining
 * ---------------------------------------------------------------------
 */

List *
tguard_inheritance_parents(Node *statement)
{
	if (IsA(statement, CreateStmt))
		return ((CreateStmt *) statement)->inhRelations;
	if (IsA(statement, CreateForeignTableStmt))
		return ((CreateForeignTableStmt *) statement)->base.inhRelations;
	return NIL;
}

/*
 * Its own record does not tell: one without row security counts as being
 * restored, and an owner may write it before the relation joins.
 */
static bool
has_guarded_parent(Oid relid)
{
	ListCell   *lc;

	foreach(lc, tguard_catalog_parents(relid))
	{
		GuardedRelation parent = *tguard_relation(lfirst_oid(lc));

		if (tguard_mode_holds(parent.mode) && !parent.by_policy)
			return true;
	}
	return false;
}

/* Run follow_parent(), which is SQL, with the rights of the owner. */
static void
follow_parent(Oid relid)
{
	Oid			type = REGCLASSOID;
	Datum		value = ObjectIdGetDatum(relid);

	CommandCounterIncrement();
	tguard_catalog_invalidate(relid);
	CommandCounterIncrement();
	if (!has_guarded_parent(relid))
		return;
	SPI_connect();
	if (SPI_execute_with_args("SELECT count(*) FROM tenantguard.follow_parent($1)",
							  1, &type, &value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not protect relation \"%s\"", get_rel_name(relid));
	SPI_finish();
}

/* CREATE TABLE IF NOT EXISTS may name a table that was there. */
static void
follow_created(Node *statement)
{
	RangeVar   *name = ((CreateStmt *) statement)->relation;
	Oid			relid = get_relname_relid(name->relname,
										  RangeVarGetCreationNamespace(name));

	if (OidIsValid(relid))
		follow_parent(relid);
}

static void
follow_altered(AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		RangeVar   *name = statement->relation;
		Oid			relid;

		if (command->subtype == AT_AttachPartition ||
			command->subtype == AT_DetachPartition ||
			command->subtype == AT_DetachPartitionFinalize)
			name = ((PartitionCmd *) command->def)->name;
		else if (command->subtype != AT_AddInherit &&
				 command->subtype != AT_DropInherit)
			continue;
		relid = RangeVarGetRelid(name, NoLock, true);
		if (!OidIsValid(relid))
			continue;
		if (command->subtype == AT_AttachPartition ||
			command->subtype == AT_AddInherit)
			follow_parent(relid);
		else
			tguard_catalog_invalidate(relid);
	}
}

void
tguard_inheritance_after(Node *statement)
{
	if (tguard_inheritance_parents(statement) != NIL)
		follow_created(statement);
	else if (IsA(statement, AlterTableStmt))
		follow_altered((AlterTableStmt *) statement);
}
