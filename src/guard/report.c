/*
 * report.c
 *	  tenantguard.enforce = log: say what would be refused or filtered.
 *
 * A team that adopts a live database has to learn first what the guard would
 * change.  In this mode statements run as if nothing were guarded.  Each read
 * of a guarded relation carries a last condition, observe(), and each written
 * row a check of that name; both are always true and count the rows that are
 * not the tenant's.  One line a statement goes to the server log, and only
 * where something would differ.
 *
 * observe() stands behind the query's own conditions, so a query that says
 * WHERE org_id = ... by itself reports nothing.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/extension.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "guard/derived.h"
#include "guard/report.h"
#include "guard/row_filter.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "tenant/registry.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* What observe() is asked about; its third argument. */
#define OBSERVE_READ	0
#define OBSERVE_WRITE	1

#define OBSERVED_MAX	8		/* relations named in one line */

struct ReportCounts
{
	uint64		rows[2];		/* by OBSERVE_READ, OBSERVE_WRITE */
	int			count;
	Oid			relations[OBSERVED_MAX];
};

/* Where observe() counts: the innermost execution that is reported. */
static ReportCounts *current = NULL;

/* ---------------------------------------------------------------------
 * Planning
 * ---------------------------------------------------------------------
 */

/* NULL where nothing says whose the rows are. */
static Node *
make_observer(Query *query, const GuardedRelation *relation, Index varno,
			  int what)
{
	TenantKeyKind kind;
	Oid			collation;
	Expr	   *tenant = tguard_derived_tenant(query, varno, relation, &kind,
											   &collation);

	if (tenant == NULL)
		return NULL;
	return (Node *)
		makeFuncExpr(tguard_extension()->observe[kind], BOOLOID,
					 list_make3(tenant,
								makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
										  ObjectIdGetDatum(relation->relid),
										  false, true),
								makeConst(INT4OID, -1, InvalidOid,
										  sizeof(int32), Int32GetDatum(what),
										  false, true)),
					 InvalidOid, collation, COERCE_EXPLICIT_CALL);
}

/* The relations that a jointree reads, by range table index. */
static void
collect_reads(Node *node, List **reads)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	if (IsA(node, RangeTblRef))
		*reads = lappend_int(*reads, ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, JoinExpr))
	{
		collect_reads(((JoinExpr *) node)->larg, reads);
		collect_reads(((JoinExpr *) node)->rarg, reads);
	}
	else if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			collect_reads(lfirst(lc), reads);
	}
}

static void
observe_reads(Query *query)
{
	List	   *reads = NIL;
	List	   *observers = NIL;
	ListCell   *lc;

	collect_reads((Node *) query->jointree, &reads);
	foreach(lc, reads)
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);
		GuardedRelation relation;
		Node	   *observer = NULL;

		if (rte->rtekind != RTE_RELATION)
			continue;
		relation = *tguard_relation(rte->relid);
		if (tguard_mode_filters(relation.mode))
			observer = make_observer(query, &relation, lfirst_int(lc),
									 OBSERVE_READ);
		if (observer)
			observers = lappend(observers, observer);
	}
	if (observers == NIL)
		return;
	if (query->jointree->quals)
		observers = lcons(query->jointree->quals, observers);
	query->jointree->quals = (Node *) make_ands_explicit(observers);
}

static void
observe_write(Query *query, WCOKind kind)
{
	Oid			relid = rt_fetch(query->resultRelation, query->rtable)->relid;
	GuardedRelation relation = *tguard_relation(relid);
	WithCheckOption *check;
	Node	   *observer;

	if (!tguard_mode_filters(relation.mode))
		return;
	observer = make_observer(query, &relation, query->resultRelation,
							 OBSERVE_WRITE);
	if (observer == NULL)
		return;
	check = makeNode(WithCheckOption);
	check->kind = kind;
	check->relname = get_rel_name(relid);
	check->qual = observer;
	query->withCheckOptions = lappend(query->withCheckOptions, check);
}

/* Subqueries first: what an observer asks of a parent is not observed. */
static bool
observe_walker(Node *node, void *context)
{
	Query	   *query = (Query *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, observe_walker, context);
	query_tree_walker(query, observe_walker, context, 0);
	if (query->commandType != CMD_MERGE && query->jointree)
		observe_reads(query);
	if (query->commandType == CMD_INSERT)
		observe_write(query, WCO_RLS_INSERT_CHECK);
	else if (query->commandType == CMD_UPDATE)
		observe_write(query, WCO_RLS_UPDATE_CHECK);
	return false;
}

void
tguard_report_observe(Query *query)
{
	observe_walker((Node *) query, NULL);
}

/* ---------------------------------------------------------------------
 * Execution
 * ---------------------------------------------------------------------
 */

/* observe(column, oid, integer) RETURNS boolean: always true */
static bool
observe(FunctionCallInfo fcinfo, TenantKeyKind kind)
{
	const TenantIdentity *identity = tguard_context_peek();
	Oid			relid = PG_GETARG_OID(1);
	int			what = PG_GETARG_INT32(2);

	if (current == NULL || identity == NULL || PG_ARGISNULL(0) ||
		tguard_identity_matches(identity, kind, PG_GETARG_DATUM(0)))
		return true;
	current->rows[what == OBSERVE_WRITE]++;
	for (int i = 0; i < current->count; i++)
	{
		if (current->relations[i] == relid)
			return true;
	}
	if (current->count < OBSERVED_MAX)
		current->relations[current->count++] = relid;
	return true;
}

ReportCounts *
tguard_report_start(QueryDesc *queryDesc)
{
	const TenantIdentity *identity = tguard_context_peek();
	bool		lasting;

	if (identity == NULL)
		tguard_bypass_report("refuse (" REASON_NO_CONTEXT ")",
							 queryDesc->sourceText);
	else if (tguard_registry_ask(identity, &lasting) != TENANT_ACTIVE)
		tguard_bypass_report("refuse (" REASON_UNKNOWN_TENANT " or " REASON_SUSPENDED ")",
							 queryDesc->sourceText);
	return palloc0(sizeof(ReportCounts));
}

ReportCounts *
tguard_report_count(ReportCounts *counts)
{
	ReportCounts *outer = current;

	current = counts;
	return outer;
}

void
tguard_report_end(ReportCounts *counts, QueryDesc *queryDesc)
{
	StringInfoData line;

	if (counts->rows[OBSERVE_READ] + counts->rows[OBSERVE_WRITE] == 0)
		return;
	initStringInfo(&line);
	appendStringInfo(&line, "filter " UINT64_FORMAT
					 " rows read and refuse " UINT64_FORMAT
					 " rows written of other tenants in",
					 counts->rows[OBSERVE_READ],
					 counts->rows[OBSERVE_WRITE]);
	for (int i = 0; i < counts->count; i++)
		appendStringInfo(&line, " %s", get_rel_name(counts->relations[i]));
	tguard_bypass_report(line.data, queryDesc->sourceText);
}

#define OBSERVER(suffix, kind) \
TGUARD_SQL_FUNCTION(tenantguard_observe_##suffix); \
Datum \
tenantguard_observe_##suffix(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(observe(fcinfo, kind)); \
} \
extern Datum tenantguard_observe_##suffix(PG_FUNCTION_ARGS)

OBSERVER(int4, KEY_INT4);
OBSERVER(int8, KEY_INT8);
OBSERVER(uuid, KEY_UUID);
OBSERVER(text, KEY_TEXT);
