/*
 * new_relation.c
 *	  Relations that are made while the guard is in force.
 *
 * A table that a migration adds and nobody protects is open to every tenant,
 * and nothing says so.  The object door notes each new relation by OID,
 * whatever the command and however deep it runs; when the statement that made
 * it is done, meet_relation() (SQL) decides.  A foreign key to the registry
 * makes it certain what a table is; so does being a copy of a guarded one.
 *
 * With tenantguard.new_table = refuse a transaction that leaves a relation
 * unclassified does not commit.  It is asked at the end, since tools add
 * foreign keys after the table, and protect(), share() and exempt() follow.
 *
 * The notes live as long as the transaction.  New relations of a subtransaction
 * that was rolled back do not exist any more; what a failed statement there was
 * about to copy from must be forgotten, or the next new relation would pass for
 * the copy.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "access/xact.h"
#include "base/errors.h"
#include "base/extension.h"
#include "base/settings.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "guard/new_relation.h"
#include "miscadmin.h"
#include "relations/cache.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static List *born = NIL;		/* created, and not met yet */
static List *unclassified = NIL;	/* met, and to be asked again at commit */
static List *sources = NIL;		/* guarded relations whose rows are kept */
static SubTransactionId sources_since;	/* where the first was noted */

bool		tguard_new_relation_noted = false;

static List *
remember(List *list, Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	tguard_new_relation_noted = true;
	list = list_append_unique_oid(list, relid);
	MemoryContextSwitchTo(old);
	return list;
}

void
tguard_new_relation_note(Oid relid)
{
	if (relid >= FirstNormalObjectId && !creating_extension &&
		!IsBinaryUpgrade && tguard_new_table != NEW_TABLE_IGNORE &&
		tguard_extension() != NULL)
		born = remember(born, relid);
}

void
tguard_new_relation_note_source(Oid relid)
{
	if (sources == NIL)
		sources_since = GetCurrentSubTransactionId();
	sources = remember(sources, relid);
}

/* Is it a relation that lasts, holds rows, and about which nothing is said? */
static bool
is_open(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	result = form->relpersistence != RELPERSISTENCE_TEMP &&
		(form->relkind == RELKIND_RELATION ||
		 form->relkind == RELKIND_PARTITIONED_TABLE ||
		 form->relkind == RELKIND_FOREIGN_TABLE ||
		 form->relkind == RELKIND_MATVIEW);
	ReleaseSysCache(tuple);
	return result && tguard_relation(relid)->mode == RELATION_UNGUARDED &&
		!tguard_relation(relid)->own;
}

/* The guarded relations that CREATE TABLE copies columns from. */
static void
note_models(CreateStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->tableElts)
	{
		TableLikeClause *like = lfirst(lc);
		Oid			model;

		if (!IsA(like, TableLikeClause))
			continue;
		model = RangeVarGetRelid(like->relation, NoLock, true);
		if (OidIsValid(model) &&
			tguard_mode_filters(tguard_relation(model)->mode))
			tguard_new_relation_note_source(model);
	}
}

static bool
has_foreign_key(List *constraints)
{
	ListCell   *lc;

	foreach(lc, constraints)
	{
		if (lfirst_node(Constraint, lc)->contype == CONSTR_FOREIGN)
			return true;
	}
	return false;
}

/* A table that was there gets a foreign key: it may be a tenants' table. */
static void
note_foreign_key(AlterTableStmt *statement)
{
	Oid			relid = RangeVarGetRelid(statement->relation, NoLock, true);
	bool		keyed = false;
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn)
			keyed |= has_foreign_key(((ColumnDef *) command->def)->constraints);
		else if (command->subtype == AT_AddConstraint)
			keyed |= has_foreign_key(list_make1(command->def));
	}
	if (keyed && OidIsValid(relid) && is_open(relid) &&
		tguard_new_table != NEW_TABLE_IGNORE)
		born = remember(born, relid);
}

/* Rows of its own, from before this transaction? */
static bool
has_own_rows(Oid relid)
{
	Relation	relation;
	bool		result;

	if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
		return true;			/* who knows */
	relation = try_relation_open(relid, AccessShareLock);
	if (relation == NULL)
		return false;			/* dropped meanwhile */
	result = relation->rd_rel->relkind == RELKIND_RELATION &&
		relation->rd_createSubid == InvalidSubTransactionId &&
		RelationGetNumberOfBlocks(relation) > 0;
	relation_close(relation, NoLock);
	return result;
}

/*
 * A table with rows, in whatever partition or child, is in use, or being
 * restored: to protect it is for a person.
 */
static bool
has_rows(Oid relid)
{
	List	   *members;
	ListCell   *lc;

	if (get_rel_relkind(relid) != RELKIND_RELATION &&
		get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return false;
	members = find_all_inheritors(relid, NoLock, NULL);
	foreach(lc, members)
	{
		if (has_own_rows(lfirst_oid(lc)))
			return true;
	}
	return false;
}

static ArrayType *
array_of(List *relids)
{
	Datum	   *values = palloc(sizeof(Datum) * (list_length(relids) + 1));
	ListCell   *lc;

	foreach(lc, relids)
		values[foreach_current_index(lc)] = ObjectIdGetDatum(lfirst_oid(lc));
	return construct_array(values, list_length(relids), REGCLASSOID,
						   sizeof(Oid), true, TYPALIGN_INT);
}

/* Run meet_relation(), which is SQL, with the rights of the owner. */
static void
meet(Oid relid, List *models)
{
	Oid			types[] = {REGCLASSOID, REGCLASSARRAYOID, BOOLOID};
	Datum		values[] = {
		ObjectIdGetDatum(relid),
		PointerGetDatum(array_of(models)),
		BoolGetDatum(tguard_new_table != NEW_TABLE_WARN && !has_rows(relid))
	};

	bool		isnull;

	SPI_connect();
	if (SPI_execute_with_args("SELECT tenantguard.meet_relation($1, $2, $3)",
							  lengthof(types), types, values, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not classify relation \"%s\"", get_rel_name(relid));
	if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
								   SPI_tuptable->tupdesc, 1, &isnull)))
		unclassified = remember(unclassified, relid);
	SPI_finish();
}

void
tguard_new_relation_announce(Node *statement)
{
	if (IsA(statement, CreateStmt))
		note_models((CreateStmt *) statement);
	else if (IsA(statement, AlterTableStmt))
		note_foreign_key((AlterTableStmt *) statement);
}

void
tguard_new_relation_meet(bool subcommand)
{
	List	   *relids;
	List	   *models;
	ListCell   *lc;

	if (subcommand || (born == NIL && sources == NIL))
		return;
	CommandCounterIncrement();
	models = sources;
	relids = born;
	born = NIL;
	sources = NIL;
	foreach(lc, relids)
	{
		if (is_open(lfirst_oid(lc)))
			meet(lfirst_oid(lc), models);
	}
}

static void
refuse_unclassified(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("new relation \"%s\" is not classified",
					get_rel_name(relid)),
			 errdetail(REASON_UNCLASSIFIED ": every tenant would see its rows."),
			 tguard_reason(REASON_UNCLASSIFIED),
			 errhint("Use tenantguard.protect(), share() or exempt() in the same transaction.")));
}

void
tguard_new_relation_demand_classified(void)
{
	ListCell   *lc;

	if (unclassified == NIL || tguard_new_table != NEW_TABLE_REFUSE ||
		tguard_extension() == NULL)
		return;
	foreach(lc, unclassified)
	{
		if (is_open(lfirst_oid(lc)))
			refuse_unclassified(lfirst_oid(lc));
	}
}

/*
 * A statement that began before the subtransaction, and goes on, keeps what it
 * has noted.
 */
void
tguard_new_relation_subtransaction_aborted(SubTransactionId subid)
{
	if (sources_since >= subid)
		sources = NIL;
}

void
tguard_new_relation_transaction_ended(void)
{
	tguard_new_relation_noted = false;
	born = unclassified = sources = NIL;
}
