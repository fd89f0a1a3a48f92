/*
 * link_form.c
 *	  In which form a relation's links are asked about, for a query.
 *
 * The planner cannot choose between the forms (derived.c): it takes every
 * array for ten elements, and is asked for its sub-selects before it has looked
 * at a clause.  So the query's own conditions decide, by what they say of the
 * relation's keys and indexes.  A wrong choice costs time, never a row.
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/table.h"
#include "guard/link_form.h"
#include "guard/link_size.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "relations/links.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Is the column the first of an index? */
static bool
leads_index(Oid relid, AttrNumber column)
{
	Relation	relation = table_open(relid, NoLock);
	bool		result = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		result |= index->rd_index->indkey.values[0] == column;
		index_close(index, AccessShareLock);
	}
	table_close(relation, NoLock);
	return result;
}

static Var *
as_column(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node && IsA(node, Var) && ((Var *) node)->varlevelsup == 0 ?
		(Var *) node : NULL;
}

/* The two sides of an equality, or of "= ANY"; false for all other clauses. */
static bool
is_equality(Node *clause, Node **left, Node **right)
{
	List	   *args = NIL;
	Oid			operator = InvalidOid;

	if (IsA(clause, OpExpr))
	{
		operator = ((OpExpr *) clause)->opno;
		args = ((OpExpr *) clause)->args;
	}
	else if (IsA(clause, ScalarArrayOpExpr) &&
			 ((ScalarArrayOpExpr *) clause)->useOr)
	{
		operator = ((ScalarArrayOpExpr *) clause)->opno;
		args = ((ScalarArrayOpExpr *) clause)->args;
	}
	if (list_length(args) != 2 || get_oprrest(operator) != F_EQSEL)
		return false;
	*left = linitial(args);
	*right = lsecond(args);
	return true;
}

/* Conditions that the planner has prepared are a list, joined by AND. */
static List *
as_list(Node *quals)
{
	return quals && IsA(quals, List) ? list_copy((List *) quals) :
		make_ands_implicit((Expr *) quals);
}

/*
 * The conditions that the rows of a relation have to pass, as one list: those
 * of an outer join only where it is on the side that is made NULL.  Returns
 * whether the relation is below the node.
 */
static bool
collect_clauses(Node *node, Index varno, List **clauses)
{
	bool		below = false;
	Node	   *quals = NULL;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblRef))
		return ((RangeTblRef *) node)->rtindex == (int) varno;
	if (IsA(node, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) node)->fromlist)
			below |= collect_clauses(lfirst(lc), varno, clauses);
		quals = ((FromExpr *) node)->quals;
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		nulled = collect_clauses(join->rarg, varno, clauses);

		below = collect_clauses(join->larg, varno, clauses) || nulled;
		if (join->jointype == JOIN_INNER || join->jointype == JOIN_SEMI ||
			(join->jointype != JOIN_FULL && nulled))
			quals = join->quals;
	}
	if (quals)
		*clauses = list_concat(*clauses, as_list(quals));
	return below;
}

static bool is_narrow(PlannerInfo *root, List *clauses, Index varno,
					  Bitmapset *seen);

/* Does "column = other" leave few rows of the column's relation? */
static bool
narrows(PlannerInfo *root, List *clauses, Index varno, Node *column,
		Node *other, Bitmapset *seen)
{
	Var		   *var = as_column(column);
	Var		   *source = as_column(other);
	RangeTblEntry *rte = planner_rt_fetch(varno, root);

	if (var == NULL || var->varno != varno || rte->rtekind != RTE_RELATION)
		return false;
	if (source ? !is_narrow(root, clauses, source->varno, seen) :
		contain_vars_of_level(other, 0))
		return false;
	return leads_index(rte->relid, var->varattno);
}

static bool
is_narrow(PlannerInfo *root, List *clauses, Index varno, Bitmapset *seen)
{
	ListCell   *lc;

	if (bms_is_member(varno, seen))
		return false;
	seen = bms_add_member(bms_copy(seen), varno);
	foreach(lc, clauses)
	{
		Node	   *left;
		Node	   *right;

		if (is_equality(lfirst(lc), &left, &right) &&
			(narrows(root, clauses, varno, left, right, seen) ||
			 narrows(root, clauses, varno, right, left, seen)))
			return true;
	}
	return false;
}

/*
 * Does the planner try an index for MIN or MAX?  It puts a LIMIT over the plan
 * of such a query and has no place there for an array gathered once.
 */
static bool
is_min_max(PlannerInfo *root)
{
	TargetEntry *target = root->parent_root && root->parse->targetList ?
	linitial(root->parse->targetList) : NULL;

	return target && target->resname &&
		strcmp(target->resname, "agg_target") == 0;
}

/* Is one of the relation's indexes unique over some of these columns? */
static bool
is_key(Oid relid, const Bitmapset *columns)
{
	Relation	relation = table_open(relid, NoLock);
	bool		result = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool		whole = form->indisunique &&
		RelationGetIndexPredicate(index) == NIL;

		for (int i = 0; i < form->indnkeyatts; i++)
			whole &= bms_is_member(Max(form->indkey.values[i], 0), columns);
		result |= whole;
		index_close(index, NoLock);
	}
	table_close(relation, NoLock);
	return result;
}

/* Does the query give a key of the relation, perhaps by way of another row? */
static bool
is_single(PlannerInfo *root, List *clauses, Index varno, Bitmapset *seen)
{
	RangeTblEntry *rte = planner_rt_fetch(varno, root);
	Bitmapset  *known = NULL;
	ListCell   *lc;

	if (rte->rtekind != RTE_RELATION || bms_is_member(varno, seen))
		return false;
	seen = bms_add_member(bms_copy(seen), varno);
	foreach(lc, clauses)
	{
		Node	   *sides[2];

		if (!IsA(lfirst(lc), OpExpr) ||
			!is_equality(lfirst(lc), &sides[0], &sides[1]))
			continue;
		for (int i = 0; i < 2; i++)
		{
			Var		   *var = as_column(sides[i]);
			Var		   *source = as_column(sides[1 - i]);

			if (var && var->varno == varno && var->varattno > 0 &&
				(source ? is_single(root, clauses, source->varno, seen) :
				 !contain_vars_of_level(sides[1 - i], 0)))
				known = bms_add_member(known, var->varattno);
		}
	}
	return known && is_key(rte->relid, known);
}

/* Does a clause join the column with that of the parent's key? */
static bool
joins_column(PlannerInfo *root, const List *clauses, Index varno,
			 AttrNumber column, Oid parent, AttrNumber parent_column)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		Node	   *sides[2];

		if (!is_equality(lfirst(lc), &sides[0], &sides[1]))
			continue;
		for (int i = 0; i < 2; i++)
		{
			Var		   *var = as_column(sides[i]);
			Var		   *other = as_column(sides[1 - i]);

			if (var && other && var->varno == varno &&
				var->varattno == column && other->varattno == parent_column &&
				planner_rt_fetch(other->varno, root)->relid == parent)
				return true;
		}
	}
	return false;
}

/*
 * Does the query join the relation with a parent that is derived itself?  The
 * planner takes its rows for few and has each look for its children in the
 * index on the link; an array there would be gone through for each as well:
 * the square of the parents.  So the array is put where no index matches,
 * inside a CASE.
 */
static bool
joins_parent(PlannerInfo *root, const List *clauses, Index varno,
			 const GuardedRelation *relation)
{
	ListCell   *lc;

	foreach(lc, relation->links)
	{
		RelationLink *link = lfirst(lc);
		AttrNumber	column = linitial_int(link->columns);

		if (tguard_relation(link->parent)->mode == RELATION_DERIVED &&
			list_length(link->columns) == 1 &&
			joins_column(root, clauses, varno, column, link->parent,
						 linitial_int(link->parent_columns)) &&
			leads_index(relation->relid, column))
			return true;
	}
	return false;
}

/* Does an index give the rows in the order of the column? */
static bool
gives_order(Oid relid, AttrNumber column)
{
	Relation	relation = table_open(relid, NoLock);
	bool		result = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		result |= index->rd_index->indkey.values[0] == column &&
			index->rd_indam->amcanorder && index->rd_index->indisvalid &&
			RelationGetIndexPredicate(index) == NIL;
		index_close(index, AccessShareLock);
	}
	table_close(relation, NoLock);
	return result;
}

/*
 * Are a few rows wanted, in no order or in that of an index, of nothing but the
 * relation, without a condition?  How many rows a condition leaves cannot be
 * asked yet.
 */
static bool
wants_first_rows(PlannerInfo *root, const List *clauses, Index varno, Oid relid)
{
	Query	   *query = root->parse;
	FromExpr   *from = query->jointree;
	Var		   *column;

	if (root->limit_tuples <= 0 || clauses != NIL ||
		list_length(from->fromlist) != 1 ||
		!IsA(linitial(from->fromlist), RangeTblRef))
		return false;
	if (query->sortClause == NIL)
		return true;
	column = as_column(get_sortgroupclause_expr(linitial(query->sortClause),
												root->processed_tlist));
	return column && column->varno == varno && column->varattno > 0 &&
		gives_order(relid, column->varattno);
}

bool
tguard_link_names_parent(Node *clause, Index varno, AttrNumber column,
						 Oid operator, Oid collation, Expr **value)
{
	Node	   *sides[2];

	if (!IsA(clause, OpExpr) || !is_equality(clause, &sides[0], &sides[1]) ||
		((OpExpr *) clause)->inputcollid != collation ||
		!equality_ops_are_compatible(((OpExpr *) clause)->opno, operator) ||
		!get_func_leakproof(get_opcode(((OpExpr *) clause)->opno)))
		return false;
	for (int i = 0; i < 2; i++)
	{
		Var		   *var = as_column(sides[i]);
		Node	   *other = sides[1 - i];

		*value = (Expr *) other;
		if (var && var->varno == varno && var->varattno == column &&
			(IsA(other, Const) ||
			 (IsA(other, Param) &&
			  ((Param *) other)->paramkind == PARAM_EXTERN)))
			return true;
	}
	return false;
}

/* Does a query for the children of one parent name it? */
static bool
can_be_named(const GuardedRelation *relation)
{
	const RelationLink *link = linitial(relation->links);

	return list_length(relation->links) == 1 &&
		list_length(link->columns) == 1 && link->type_column == 0;
}

LinkForm
tguard_link_form(PlannerInfo *root, Index varno,
				 const GuardedRelation *relation, bool one_by_one,
				 List **clauses)
{
	one_by_one = one_by_one || is_min_max(root);
	collect_clauses((Node *) root->parse->jointree, varno, clauses);
	if (is_single(root, *clauses, varno, NULL))
		return LINK_ASK_ONCE;
	if (one_by_one)
		return LINK_ASK;
	if (is_narrow(root, *clauses, varno, NULL))
		return can_be_named(relation) ? LINK_ASK_NAMED : LINK_ASK;
	if (wants_first_rows(root, *clauses, varno, relation->relid) &&
		tguard_link_first_rows(relation, root->limit_tuples))
		return LINK_ASK_ONCE;
	if (tguard_link_parents_too_many(relation))
		return LINK_ASK;
	return joins_parent(root, *clauses, varno, relation) ||
		tguard_link_scan_is_cheaper(relation) ? LINK_SIFT : LINK_GATHER;
}
