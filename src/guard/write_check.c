/*
 * write_check.c
 *	  What a statement may write.
 *
 * Which rows of a target may be changed is the filter's business
 * (row_filter.c).  Here are the new rows: an INSERT that leaves the tenant
 * out, or says NULL as several ORMs do, gets the tenant; whatever a row says
 * otherwise is checked after BEFORE triggers have run, by the server's own
 * mechanism of WITH CHECK OPTIONs, which also knows partitions, MERGE and ON
 * CONFLICT.  The check that the catalog policy brought for roles that are
 * subject to row security asks the same question and is taken out, so nothing
 * is checked twice.  Where no row can differ there is no check at all.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "base/errors.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "guard/derived.h"
#include "guard/integrity.h"
#include "guard/plan.h"
#include "guard/row_filter.h"
#include "guard/visible.h"
#include "guard/write_check.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "relations/links.h"
#include "tcop/tcopprot.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* The target of a write, and what may change its rows behind the query. */
typedef struct WriteTarget
{
	Query	   *query;
	Oid			relid;
	GuardedRelation relation;
	bool		partitioned;
	bool		insert_may_change;	/* BEFORE triggers, partitions, children */
	bool		update_may_change;	/* the same, and generated columns */
} WriteTarget;

/* Is what says whose a row is computed from other columns? */
static bool
tenant_is_generated(const GuardedRelation *relation, TupleDesc columns)
{
	if (!columns->constr || !columns->constr->has_generated_stored)
		return false;
	for (int i = 0; i < columns->natts; i++)
	{
		if (TupleDescAttr(columns, i)->attgenerated != '\0' &&
			(relation->mode == RELATION_DERIVED ?
			 tguard_links_use(relation->links, i + 1) :
			 relation->column == i + 1))
			return true;
	}
	return false;
}

static void
describe_target(WriteTarget *target, Query *query, Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	TriggerDesc *triggers = rel->trigdesc;
	bool		children = rel->rd_rel->relkind != RELKIND_RELATION ||
	rel->rd_rel->relhassubclass;

	tguard_integrity_target(rel);
	target->query = query;
	target->relid = relid;
	target->relation = *tguard_relation(relid);
	target->partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	target->insert_may_change = children ||
		(triggers && triggers->trig_insert_before_row);
	target->update_may_change = children ||
		(triggers && triggers->trig_update_before_row) ||
		tenant_is_generated(&target->relation, RelationGetDescr(rel));
	table_close(rel, NoLock);
}

static TargetEntry *
find_assignment(List *targetlist, AttrNumber column)
{
	ListCell   *lc;

	foreach(lc, targetlist)
	{
		TargetEntry *entry = lfirst(lc);

		if (!entry->resjunk && entry->resno == column)
			return entry;
	}
	return NULL;
}

/* Does it assign to what says whose a row is? */
static bool
assigns_tenant(WriteTarget *target, List *targetlist)
{
	ListCell   *lc;

	if (target->relation.mode != RELATION_DERIVED)
		return find_assignment(targetlist, target->relation.column) != NULL;
	foreach(lc, targetlist)
	{
		TargetEntry *entry = lfirst(lc);

		if (!entry->resjunk &&
			tguard_links_use(target->relation.links, entry->resno))
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------------
 * Filling in
 * ---------------------------------------------------------------------
 */

/* The tenant as a value of the column's own type. */
static Expr *
tenant_for_column(const GuardedRelation *relation)
{
	Node	   *tenant = (Node *) tguard_plan_tenant(relation->kind);

	return (Expr *) coerce_to_target_type(NULL, tenant, exprType(tenant),
										  relation->type, relation->typmod,
										  COERCION_ASSIGNMENT,
										  COERCE_IMPLICIT_CAST, -1);
}

static bool
is_null_constant(Expr *expr)
{
	while (IsA(expr, RelabelType) || IsA(expr, CoerceToDomain))
		expr = IsA(expr, RelabelType) ? ((RelabelType *) expr)->arg :
			((CoerceToDomain *) expr)->arg;
	return IsA(expr, Const) && ((Const *) expr)->constisnull;
}

/* Can this expression be NULL?  A constant tells, all else may be. */
static bool
may_be_null(Expr *expr)
{
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	return !IsA(expr, Const) || ((Const *) expr)->constisnull;
}

static Expr *
value_or_tenant(const GuardedRelation *relation, Expr *value)
{
	CoalesceExpr *coalesce = makeNode(CoalesceExpr);

	coalesce->coalescetype = exprType((Node *) value);
	coalesce->coalescecollid = exprCollation((Node *) value);
	coalesce->args = list_make2(value, tenant_for_column(relation));
	coalesce->location = -1;
	return (Expr *) coalesce;
}

static int
compare_resno(const ListCell *a, const ListCell *b)
{
	return ((TargetEntry *) lfirst(a))->resno -
		((TargetEntry *) lfirst(b))->resno;
}

/*
 * Fill the tenant into the target list of an INSERT (or of MERGE's INSERT).
 * Returns whether every row is sure to get the tenant.  The root's key is
 * never filled: it is the registry that hands it out.  Derived relations have
 * no column to fill.
 */
static bool
fill_tenant(const GuardedRelation *relation, List **targetlist)
{
	TargetEntry *entry = find_assignment(*targetlist, relation->column);

	if (relation->mode == RELATION_ROOT || relation->mode == RELATION_DERIVED)
		return false;
	if (entry && !is_null_constant(entry->expr))
	{
		if (may_be_null(entry->expr) &&
			exprType((Node *) entry->expr) == relation->type)
			entry->expr = value_or_tenant(relation, entry->expr);
		return false;
	}
	if (entry)
	{
		entry->expr = tenant_for_column(relation);
		return true;
	}
	entry = makeTargetEntry(tenant_for_column(relation), relation->column,
							get_attname(relation->relid, relation->column,
										false), false);
	*targetlist = lappend(*targetlist, entry);
	list_sort(*targetlist, compare_resno);
	return true;
}

/* ---------------------------------------------------------------------
 * Checking
 * ---------------------------------------------------------------------
 */

/*
 * Is it visible(tenant column) or visible_by_links(row), and not a user's
 * policy on another column?
 */
static bool
is_policy_check(WriteTarget *target, WithCheckOption *check)
{
	FuncExpr   *call = (FuncExpr *) check->qual;
	Node	   *argument;

	if (check->kind == WCO_VIEW_CHECK || call == NULL ||
		!IsA(call, FuncExpr))
		return false;
	if (target->relation.mode == RELATION_DERIVED)
		return call->funcid == tguard_extension()->visible_by_links;
	if (!tguard_is_visible(call->funcid))
		return false;
	argument = linitial(call->args);
	if (IsA(argument, RelabelType))
		argument = (Node *) ((RelabelType *) argument)->arg;
	return IsA(argument, Var) &&
		((Var *) argument)->varno == target->query->resultRelation &&
		((Var *) argument)->varattno == target->relation.column;
}

/* Take out the checks that our catalog policies brought. */
static void
drop_policy_checks(WriteTarget *target)
{
	Query	   *query = target->query;
	ListCell   *lc;

	foreach(lc, query->withCheckOptions)
	{
		if (is_policy_check(target, lfirst(lc)))
			query->withCheckOptions =
				foreach_delete_current(query->withCheckOptions, lc);
	}
}

/* function(subject, relation, what) */
static Expr *
make_call(WriteTarget *target, Oid function, Expr *subject, RowCheck what)
{
	Const	   *relid = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
								  ObjectIdGetDatum(target->relid), false,
								  true);
	Const	   *code = makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
								 Int32GetDatum(what), false, true);

	return (Expr *) makeFuncExpr(function, BOOLOID,
								 list_make3(subject, relid, code), InvalidOid,
								 exprCollation((Node *) subject),
								 COERCE_EXPLICIT_CALL);
}

/* NULL where nothing has to be checked. */
static Expr *
make_check(WriteTarget *target, RowCheck what)
{
	const TguardExtension *ext = tguard_extension();
	Index		varno = target->query->resultRelation;
	Expr	   *condition;

	if (target->relation.mode != RELATION_DERIVED)
		return make_call(target, ext->check_tenant[target->relation.kind],
						 tguard_filter_column(&target->relation, varno), what);
	condition = tguard_derived_check(target->query, varno, &target->relation,
									 what == CHECK_CONFLICT);
	return condition == NULL ? NULL :
		make_call(target, ext->check_links, condition, what);
}

/* check_partition(tableoid) */
static Expr *
make_partition_check(WriteTarget *target)
{
	Var		   *tableoid = makeVar(target->query->resultRelation,
								   TableOidAttributeNumber, OIDOID, -1,
								   InvalidOid, 0);

	return (Expr *) makeFuncExpr(tguard_extension()->check_partition, BOOLOID,
								 list_make1(tableoid), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

static void
add_check(WriteTarget *target, WCOKind kind, RowCheck what)
{
	WithCheckOption *check = makeNode(WithCheckOption);
	Expr	   *condition = make_check(target, what);

	if (condition != NULL && target->partitioned && kind != WCO_VIEW_CHECK)
		condition = make_ands_explicit(list_make2(condition,
												  make_partition_check(target)));
	if (condition == NULL)
		return;
	check->kind = kind;
	check->relname = get_rel_name(target->relid);
	check->polname = pstrdup("tenantguard_tenant");
	check->qual = (Node *) condition;
	target->query->withCheckOptions =
		lcons(check, target->query->withCheckOptions);
}

/*
 * The row that ON CONFLICT met is checked before anything else looks at it:
 * the server evaluates DO UPDATE's own WHERE before the checks of row security.
 */
static void
check_conflict(WriteTarget *target, OnConflictExpr *conflict)
{
	List	   *conditions = list_make1(make_check(target, CHECK_CONFLICT));

	if (conflict->onConflictWhere)
		conditions = lappend(conditions, conflict->onConflictWhere);
	conflict->onConflictWhere = (Node *) make_ands_explicit(conditions);
}

/*
 * The server asks the checks of row security before it stores a row, but not
 * of rows that go to a foreign table.  Those of views it asks afterwards, of
 * all rows; the error takes back what was sent.
 */
static void
add_checks(WriteTarget *target, WCOKind kind, RowCheck what)
{
	if (target->relation.foreign)
		add_check(target, WCO_VIEW_CHECK, what);
	add_check(target, kind, what);
}

static void
check_insert(WriteTarget *target, bool certain)
{
	bool		root = target->relation.mode == RELATION_ROOT;

	if (!certain || target->insert_may_change)
		add_checks(target, WCO_RLS_INSERT_CHECK, root ? CHECK_ROOT : CHECK_NEW);
}

static void
check_update(WriteTarget *target, bool assigned)
{
	if (assigned || target->update_may_change)
		add_checks(target, WCO_RLS_UPDATE_CHECK, CHECK_NEW);
}

static void
write_insert(WriteTarget *target)
{
	Query	   *query = target->query;
	OnConflictExpr *conflict = query->onConflict;

	if (target->relation.mode == RELATION_ROOT)
		tguard_plan->signed_up = true;
	else
		tguard_plan->reached = true;
	check_insert(target, fill_tenant(&target->relation, &query->targetList));
	if (conflict && conflict->action == ONCONFLICT_UPDATE)
	{
		tguard_plan->reached = true;
		check_conflict(target, conflict);
		check_update(target, assigns_tenant(target, conflict->onConflictSet));
	}
}

static void
write_update(WriteTarget *target)
{
	tguard_plan->reached = true;
	check_update(target, assigns_tenant(target, target->query->targetList));
}

static void
write_merge(WriteTarget *target)
{
	bool		certain = true;
	bool		inserts = false;
	bool		updates = false;
	bool		assigned = false;
	ListCell   *lc;

	tguard_plan->reached = true;
	foreach(lc, target->query->mergeActionList)
	{
		MergeAction *action = lfirst(lc);

		if (action->commandType == CMD_INSERT)
		{
			inserts = true;
			certain &= fill_tenant(&target->relation, &action->targetList);
		}
		else if (action->commandType == CMD_UPDATE)
		{
			updates = true;
			assigned |= assigns_tenant(target, action->targetList);
		}
	}
	if (inserts)
		check_insert(target, certain);
	if (updates)
		check_update(target, assigned);
}

static void
refuse_shared(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot write to shared relation \"%s\"",
					get_rel_name(relid)),
			 errdetail(REASON_SHARED ": every tenant reads its rows."),
			 tguard_reason(REASON_SHARED),
			 errhint("Declare a bypass first: BEGIN; SELECT tenantguard.begin_bypass('reason');")));
}

/* Rows that reach a guarded child through its parent would go unchecked. */
static void
refuse_parent(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot write to relation \"%s\", which has guarded children",
					get_rel_name(relid)),
			 errdetail(REASON_FOREIGN_TENANT ": the relation itself is not guarded, so nothing would say whose the rows are."),
			 tguard_reason(REASON_FOREIGN_TENANT),
			 errhint("Write to the child, or call tenantguard.protect() for the parent.")));
}

static pg_noinline void
check_relation(Query *query, Oid relid)
{
	const GuardedRelation *relation = tguard_relation(relid);
	RelationMode mode = relation->mode;
	WriteTarget target;

	if (mode != RELATION_SHARED && !tguard_mode_filters(mode) &&
		!(relation->below && query->commandType != CMD_DELETE))
		return;
	if (!tguard_plan_filters())
	{
		/* built without checks: the stamp keeps it from anyone else */
		tguard_plan->reached = true;
		if (tguard_plan->purpose == PLAN_REPORT && mode == RELATION_SHARED)
			tguard_bypass_report("refuse (" REASON_SHARED ")",
								 debug_query_string);
		return;
	}
	if (relation->below)
		refuse_parent(relid);
	if (mode == RELATION_SHARED)
		refuse_shared(relid);
	tguard_relation_demand_column(relation);
	describe_target(&target, query, relid);
	drop_policy_checks(&target);
	switch (query->commandType)
	{
		case CMD_INSERT:
			write_insert(&target);
			break;
		case CMD_UPDATE:
			write_update(&target);
			break;
		case CMD_MERGE:
			write_merge(&target);
			break;
		default:
			tguard_plan->reached = true;
			break;
	}
}

/*
 * A superuser's UPDATE pg_class undoes what no ALTER TABLE may.  Scripts of
 * extensions and pg_upgrade know what they do.
 */
static void
refuse_catalog(Oid relid)
{
	if (creating_extension || IsBinaryUpgrade || !IsCatalogRelationOid(relid) ||
		relid == LargeObjectRelationId)
		return;
	tguard_plan->reached = true;
	if (tguard_plan_filters())
		tguard_bypass_demand(REASON_DDL,
							 psprintf("write to system catalog \"%s\"",
									  get_rel_name(relid)),
							 "what it says of guarded relations would change without their rules being asked.");
}

static void
check_target(Query *query)
{
	Oid			relid;

	if (query->commandType == CMD_SELECT || query->resultRelation == 0)
		return;
	relid = rt_fetch(query->resultRelation, query->rtable)->relid;
	if (relid < FirstNormalObjectId)
		refuse_catalog(relid);
	else if (!tguard_relation_is_free(relid))
		check_relation(query, relid);
}

void
tguard_check_writes(Query *query)
{
	ListCell   *lc;

	check_target(query);
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst(lc);

		if (IsA(cte->ctequery, Query))
			check_target((Query *) cte->ctequery);
	}
}
