/*
 * row_filter.c
 *	  The clause that keeps other tenants' rows out.
 *
 * It is put on every base relation at the moment when the planner asks the
 * catalogs about it, as the first of the range table entry's security quals.
 * By then views are expanded and SQL functions inlined, so there is one place
 * for all shapes of queries and all roles; and the planner itself keeps
 * security quals below everything that could leak.
 *
 * One case needs more.  The children of a UNION ALL, or of an inheritance
 * parent that is not guarded, get to this place after the clauses of their
 * parent were given security level 0, like our own clause, and among equals
 * the cheaper one runs first: a leaky function of cost 1e-7 would see every
 * row.  So the clauses of all their parents are raised above the child's
 * security quals before the planner copies them to the child.
 */
#include "postgres.h"

#include "base/errors.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "guard/derived.h"
#include "guard/integrity.h"
#include "guard/named_tenant.h"
#include "guard/new_relation.h"
#include "guard/plan.h"
#include "guard/row_filter.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "tenant/bypass.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* uuid_eq; the catalogs' headers give this operator no symbol */
#define UuidEqualOperator 2972

static const struct
{
	Oid			operator;
	Oid			function;
}			equality[KEY_KINDS] =

{
	{96, F_INT4EQ},
	{410, F_INT8EQ},
	{UuidEqualOperator, F_UUID_EQ},
	{TextEqualOperator, F_TEXTEQ},
};

Expr *
tguard_filter_clause(TenantKeyKind kind, Expr *column, Expr *tenant,
					 Oid collation)
{
	OpExpr	   *clause = (OpExpr *)
	make_opclause(equality[kind].operator, BOOLOID, false, column, tenant,
				  InvalidOid, collation);

	clause->opfuncid = equality[kind].function;
	return (Expr *) clause;
}

Expr *
tguard_filter_column(const GuardedRelation *relation, Index varno)
{
	Var		   *var = makeVar(varno, relation->column, relation->type,
							  relation->typmod, relation->collation, 0);

	if (relation->type == tguard_key_type(relation->kind))
		return (Expr *) var;
	return (Expr *) makeRelabelType((Expr *) var,
									tguard_key_type(relation->kind), -1,
									relation->collation,
									COERCE_IMPLICIT_CAST);
}

/* The filter of one relation; rows of no tenant pass where all may read. */
static Expr *
make_filter(const GuardedRelation *relation, Index varno, Expr *tenant,
			bool for_write)
{
	Expr	   *column = tguard_filter_column(relation, varno);
	Expr	   *filter = tguard_filter_clause(relation->kind, column, tenant,
											  relation->collation);
	NullTest   *shared;

	if (relation->mode != RELATION_TENANT_OR_SHARED || for_write)
		return filter;
	shared = makeNode(NullTest);
	shared->arg = copyObject(column);
	shared->nulltesttype = IS_NULL;
	shared->location = -1;
	return makeBoolExpr(OR_EXPR, list_make2(filter, shared), -1);
}

/* Is the relation a child whose parent's filter covers it? */
static bool
is_covered_by_parent(PlannerInfo *root, RelOptInfo *rel)
{
	RangeTblEntry *parent;

	if (rel->reloptkind != RELOPT_OTHER_MEMBER_REL)
		return false;
	parent = planner_rt_fetch(root->append_rel_array[rel->relid]->parent_relid,
							  root);
	return parent->rtekind == RTE_RELATION &&
		tguard_mode_filters(tguard_relation(parent->relid)->mode);
}

static void
raise_clauses(List *clauses, Index level)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);

		info->security_level = Max(info->security_level, level);
	}
}

/* Raise what the parents of an append child will hand down to it. */
static void
raise_parents(PlannerInfo *root, RelOptInfo *rel, Index level)
{
	Index		child = rel->relid;
	Relids		parents = NULL;
	ListCell   *lc;

	while (root->append_rel_array && root->append_rel_array[child])
	{
		RelOptInfo *parent;

		child = root->append_rel_array[child]->parent_relid;
		parent = root->simple_rel_array[child];
		parents = bms_add_member(parents, child);
		if (parent == NULL)
			continue;
		raise_clauses(parent->baserestrictinfo, level);
		raise_clauses(parent->joininfo, level);
	}
	foreach(lc, root->eq_classes)
	{
		EquivalenceClass *class = lfirst(lc);

		if (!bms_overlap(class->ec_relids, parents))
			continue;
		class->ec_min_security = Max(class->ec_min_security, level);
		class->ec_max_security = Max(class->ec_max_security, level);
		raise_clauses(class->ec_sources, level);
	}
}

/*
 * A policy of the catalog may have produced the filter already, perhaps behind
 * a user's own policy.
 */
static void
drop_security_qual(RangeTblEntry *rte, const Expr *filter)
{
	ListCell   *lc;

	foreach(lc, rte->securityQuals)
	{
		List	   *quals = lfirst(lc);

		if (list_length(quals) == 1 && equal(linitial(quals), filter))
		{
			rte->securityQuals = foreach_delete_current(rte->securityQuals,
														lc);
			break;
		}
	}
}

/* Is the relation, or the parent it was reached through, what is written? */
static bool
is_written(PlannerInfo *root, RelOptInfo *rel)
{
	int			target = root->parse->resultRelation;

	return target != 0 &&
		(rel->relid == target || bms_is_member(target, rel->top_parent_relids));
}

/* May a row be met again after somebody else has changed it? */
static bool
locks_rows(const Query *query)
{
	return query->rowMarks != NIL || (query->commandType != CMD_SELECT &&
									  query->commandType != CMD_INSERT);
}

static List *
make_derived(PlannerInfo *root, RelOptInfo *rel,
			 const GuardedRelation *relation)
{
	bool		one_by_one = rel->reloptkind != RELOPT_BASEREL ||
	locks_rows(root->parse);

	return tguard_derived_filter(root, rel->relid, relation,
								 is_written(root, rel), one_by_one);
}

/* Put the filter first. */
static void
add_security_qual(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
				  const GuardedRelation *relation)
{
	Expr	   *tenant = tguard_plan_tenant(relation->kind);
	bool		for_write = is_written(root, rel);
	Expr	   *filter = make_filter(relation, rel->relid, tenant, for_write);
	Expr	   *named = tenant;

	if (rte->securityQuals != NIL)
		drop_security_qual(rte, filter);
	if (rel->reloptkind == RELOPT_BASEREL &&
		relation->mode != RELATION_TENANT_OR_SHARED)
		named = tguard_named_tenant(root, rel->relid, relation, tenant);
	if (named != tenant)
		filter = make_filter(relation, rel->relid, named, for_write);
	rte->securityQuals = lcons(list_make1(filter), rte->securityQuals);
}

/* Pieces of every tenant's large values, with nothing that says whose. */
static void
meet_storage(Oid relid)
{
	tguard_plan->reached = true;
	if (tguard_plan_filters())
		tguard_bypass_demand(REASON_DDL,
							 psprintf("read relation \"%s\"",
									  get_rel_name(relid)),
							 "it stores the values of a guarded relation, every tenant's.");
}

/* A foreign key's query is not filtered, but what it asks about a parent is. */
static bool
is_filtered(PlannerInfo *root)
{
	return tguard_plan_filters() ||
		(tguard_plan->purpose == PLAN_REFERENCE && root->parent_root &&
		 tguard_plan->query->commandType == CMD_SELECT);
}

void
tguard_filter_relation(PlannerInfo *root, Oid relid, RelOptInfo *rel)
{
	GuardedRelation relation = *tguard_relation(relid);
	RangeTblEntry *rte;
	Index		level;

	tguard_plan_settle(root);
	if (relation.mode == RELATION_STORAGE)
		meet_storage(relid);
	if (!tguard_mode_filters(relation.mode))
		return;
	tguard_plan->reached = true;
	if (tguard_plan_keeps)
		tguard_new_relation_note_source(relid);
	if (tguard_plan_filters() && is_written(root, rel) &&
		rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
		tguard_integrity_child(relid);
	if (!is_filtered(root) || relid == tguard_plan->lookup ||
		is_covered_by_parent(root, rel))
		return;

	tguard_relation_demand_column(&relation);
	rte = planner_rt_fetch(rel->relid, root);
	if (relation.mode == RELATION_DERIVED)
		rte->securityQuals = lcons(make_derived(root, rel, &relation),
								   rte->securityQuals);
	else
		add_security_qual(root, rel, rte, &relation);
	level = list_length(rte->securityQuals);
	root->qual_security_level = Max(root->qual_security_level, level);
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
		raise_parents(root, rel, level);
}

/* Is it the filter: the tenant column compared with something not a column? */
static bool
is_filter(RestrictInfo *info, Index varno, AttrNumber column)
{
	OpExpr	   *clause = (OpExpr *) info->clause;
	Node	   *left;

	if (info->security_level != 0 || !IsA(clause, OpExpr) ||
		list_length(clause->args) != 2)
		return false;
	left = linitial(clause->args);
	if (IsA(left, RelabelType))
		left = (Node *) ((RelabelType *) left)->arg;
	return IsA(left, Var) && ((Var *) left)->varno == varno &&
		((Var *) left)->varattno == column &&
		!contain_vars_of_level(lsecond(clause->args), 0);
}

/*
 * Functions that are marked LEAKPROOF, rightly or not, are sorted among the
 * filter's level by their cost.  A filter that costs nothing stays in front.
 */
void
tguard_filter_goes_first(RelOptInfo *rel, Oid relid)
{
	const GuardedRelation *relation = tguard_relation(relid);
	ListCell   *lc;

	if (!tguard_mode_filters(relation->mode) || relation->lost)
		return;
	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);

		if (relation->mode == RELATION_DERIVED ? info->security_level == 0 :
			is_filter(info, rel->relid, relation->column))
		{
			info->eval_cost.startup = 0;
			info->eval_cost.per_tuple = 0;
		}
	}
}
