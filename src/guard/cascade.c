/*
 * cascade.c
 *	  A row moves to another tenant, and what is below it goes along.
 *
 * The links are followed downwards.  A relation that carries the tenant in a
 * column is updated, which fires its own triggers, and so what is below it.
 * A relation without a column is looked through: its rows are named by a
 * sub-select in the UPDATE of what is below.
 *
 * Half way, one parent of a row has moved and another has not.  So the rows
 * that a cascade changes are checked when the transaction ends, by which time
 * a second statement may have moved the other parent.
 *
 * The statements run as those of foreign keys do: as the owner of the table,
 * without row security, with a new snapshot, and in REPEATABLE READ with an
 * error for rows that the transaction cannot see.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "base/compat.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "guard/carried.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "relations/cache.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A row that a cascade changed, to be checked when the transaction ends. */
typedef struct PostponedRow
{
	Oid			relid;
	ItemPointerData tid;
} PostponedRow;

static int	depth = 0;

/* In the transaction's memory, and NULL again when it ends. */
static PostponedRow *postponed = NULL;
int			tguard_cascade_postponed = 0;
static int	postponed_space = 0;

/* A row, and the statements that take along what is below it. */
typedef struct Cascade
{
	TupleTableSlot *row;		/* of the relation at the top */
	Oid			top;
	const RowOwner *owner;
	int			level;			/* how many relations were looked through */
	int			count;			/* parameters of the statement: the key */
	Oid			types[INDEX_MAX_KEYS + 1];
	Datum		values[INDEX_MAX_KEYS + 1];
	bool		missing;		/* part of the key is NULL: nothing below */
} Cascade;

static void cascade_below(Cascade *cascade, Oid relid, const char *condition);

/* ---------------------------------------------------------------------
 * Statements
 * ---------------------------------------------------------------------
 */

static char *
relation_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static void
append_operator(StringInfo sql, Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(sql, " OPERATOR(%s.%s) ",
					 quote_identifier(get_namespace_name(form->oprnamespace)),
					 NameStr(form->oprname));
	ReleaseSysCache(tuple);
}

/* A column of the parent: a parameter at the top, else of the sub-select. */
static void
append_parent_column(StringInfo sql, Cascade *cascade,
					 const RelationLink *link, AttrNumber column)
{
	char	   *name = get_attname(link->parent, column, false);
	AttrNumber	number;
	bool		isnull;

	if (cascade->level > 0)
	{
		appendStringInfo(sql, "t%d.%s", cascade->level - 1,
						 quote_identifier(name));
		return;
	}
	/* the row may be a partition's, whose columns have other numbers */
	number = get_attnum(cascade->top, name);
	cascade->count++;
	cascade->types[cascade->count] = get_atttype(cascade->top, number);
	cascade->values[cascade->count] = slot_getattr(cascade->row, number,
												   &isnull);
	cascade->missing |= isnull;
	appendStringInfo(sql, "$%d", cascade->count + 1);
}

/* The rows of "t<level>" whose parent by this link is meant. */
static char *
link_condition(Cascade *cascade, Oid relid, const RelationLink *link)
{
	StringInfoData sql;
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	initStringInfo(&sql);
	forthree(lc, link->columns, lc2, link->parent_columns, lc3, link->operators)
	{
		if (sql.len)
			appendStringInfoString(&sql, " AND ");
		append_parent_column(&sql, cascade, link, lfirst_int(lc2));
		append_operator(&sql, lfirst_oid(lc3));
		appendStringInfo(&sql, "t%d.%s", cascade->level,
						 quote_identifier(get_attname(relid, lfirst_int(lc),
													  false)));
	}
	if (link->type_column)
		appendStringInfo(&sql, " AND t%d.%s OPERATOR(pg_catalog.=) %s",
						 cascade->level,
						 quote_identifier(get_attname(relid, link->type_column,
													  false)),
						 quote_literal_cstr(link->type_value));
	return sql.data;
}

/* ---------------------------------------------------------------------
 * Running them
 * ---------------------------------------------------------------------
 */

static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	result = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return result;
}

/* As the server runs the cascade of a foreign key (ri_triggers.c). */
static void
run(Cascade *cascade, const char *sql)
{
	SPIPlanPtr	plan;
	Snapshot	snapshot = InvalidSnapshot;
	Snapshot	crosscheck = InvalidSnapshot;

	SPI_connect();
	plan = SPI_prepare(sql, cascade->count + 1, cascade->types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s for %s",
			 SPI_result_code_string(SPI_result), sql);
	if (IsolationUsesXactSnapshot())
	{
		CommandCounterIncrement();
		snapshot = GetLatestSnapshot();
		crosscheck = GetTransactionSnapshot();
	}
	if (SPI_execute_snapshot(plan, cascade->values, NULL, snapshot, crosscheck,
							 false, true, 0) != SPI_OK_UPDATE)
		elog(ERROR, "cascade failed: %s", sql);
	SPI_finish();
}

static void
run_as_owner(Cascade *cascade, Oid relid, const char *sql)
{
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner_of(relid), security |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	run(cascade, sql);
	SetUserIdAndSecContext(user, security); /* an error restores it, too */
}

static void
update_column(Cascade *cascade, Oid relid, const CarriedRelation *carried,
			  const char *condition)
{
	char	   *column = pstrdup(quote_identifier(get_attname(relid,
															  carried->column,
															  false)));

	cascade->types[0] = get_atttype(relid, carried->column);
	cascade->values[0] = tguard_owner_convert(cascade->owner->kind,
											  cascade->owner->value,
											  carried->kind);
	run_as_owner(cascade, relid,
				 psprintf("UPDATE %s AS t%d SET %s = $1 WHERE %s AND "
						  "(t%d.%s OPERATOR(pg_catalog.<>) $1 OR t%d.%s IS NULL)",
						  relation_name(relid), cascade->level, column,
						  condition, cascade->level, column, cascade->level,
						  column));
}

/* ---------------------------------------------------------------------
 * Downwards
 * ---------------------------------------------------------------------
 */

static void
follow_link(Cascade *cascade, Oid relid, const RelationLink *link,
			const char *parent_condition)
{
	const CarriedRelation *carried = tguard_carried(relid);
	char	   *condition = link_condition(cascade, relid, link);

	if (cascade->missing)
		return;
	if (cascade->level > 0)
		condition = psprintf("EXISTS (SELECT FROM %s AS t%d WHERE %s AND %s)",
							 relation_name(link->parent), cascade->level - 1,
							 condition, parent_condition);
	if (carried->column > 0)
		update_column(cascade, relid, carried, condition);
	/* what is judged by its links has nobody told by the column */
	if (tguard_relation(relid)->mode == RELATION_DERIVED &&
		cascade->level < LINKS_DEPTH)
	{
		cascade->level++;
		cascade_below(cascade, relid, condition);
		cascade->level--;
	}
}

static void
cascade_below(Cascade *cascade, Oid relid, const char *condition)
{
	ListCell   *lc;
	ListCell   *lc2;
	int			count = cascade->count;

	foreach(lc, tguard_links_dependents(relid))
	{
		foreach(lc2, tguard_carried(lfirst_oid(lc))->links)
		{
			RelationLink *link = ((CarriedLink *) lfirst(lc2))->link;

			cascade->count = count;
			cascade->missing = false;
			if (link->parent == relid)
				follow_link(cascade, lfirst_oid(lc), link, condition);
		}
	}
}

/* ---------------------------------------------------------------------
 * What is checked at the end
 * ---------------------------------------------------------------------
 */

bool
tguard_cascade_postpones(Relation relation, TupleTableSlot *row)
{
	if (depth == 0)
		return false;
	if (tguard_cascade_postponed == postponed_space)
	{
		postponed_space = Max(64, postponed_space * 2);
		postponed = postponed ?
			repalloc_huge(postponed, postponed_space * sizeof(PostponedRow)) :
			MemoryContextAlloc(TopTransactionContext,
							   postponed_space * sizeof(PostponedRow));
	}
	postponed[tguard_cascade_postponed].relid = RelationGetRelid(relation);
	postponed[tguard_cascade_postponed].tid = row->tts_tid;
	tguard_cascade_postponed++;
	return true;
}

/* A version that was replaced meanwhile, or rolled back, does not count. */
static void
check_postponed(const PostponedRow *entry)
{
	Relation	relation = try_table_open(entry->relid, AccessShareLock);
	TupleTableSlot *slot;
	ItemPointerData tid = entry->tid;

	if (relation == NULL)
		return;
	slot = table_slot_create(relation, NULL);
	if (tguard_carried(entry->relid)->column > 0 &&
		table_tuple_fetch_row_version(relation, &tid, SnapshotSelf, slot))
		tguard_carried_check(relation, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
}

void
tguard_cascade_check_postponed(void)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "tenantguard postponed rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = 0; i < tguard_cascade_postponed; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_postponed(&postponed[i]);
		MemoryContextReset(scratch);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

void
tguard_cascade_transaction_ended(void)
{
	postponed = NULL;
	tguard_cascade_postponed = postponed_space = 0;
}

static void
start(Relation relation, TupleTableSlot *row, const RowOwner *owner)
{
	ListCell   *lc;

	foreach(lc, tguard_owner_ancestors(RelationGetRelid(relation)))
	{
		Cascade		cascade = {0};

		cascade.row = row;
		cascade.top = RelationGetRelid(relation);
		cascade.owner = owner;
		cascade_below(&cascade, lfirst_oid(lc), NULL);
	}
}

void
tguard_cascade(Relation relation, TupleTableSlot *row, const RowOwner *owner)
{
	PG_TRY();
	{
		depth++;
		start(relation, row, owner);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}
