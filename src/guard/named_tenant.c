/*
 * named_tenant.c
 *	  Queries that name the tenant themselves.
 *
 * Applications that filter by hand say WHERE org_id = $1 and go on doing so.
 * Beside the filter that is the same condition once more: another clause to
 * plan with, and where $1 is not known yet, a Result node that compares the
 * two.  So the query's clause is taken out, and the filter stands for both:
 *
 * - a constant that is the tenant in a plan for one tenant adds nothing;
 * - a parameter becomes the tenant's own parameter with a condition: its
 *   value is the tenant if $1 is the tenant, and NULL if it is not, which no
 *   row equals (tenant_param.c).
 *
 * A constant in a plan for any tenant stays, and so does all else.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "guard/named_tenant.h"
#include "guard/tenant_param.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

typedef struct Search
{
	Index		varno;
	const GuardedRelation *relation;
	Expr	   *tenant;			/* the filter's, ... */
	Expr	   *result;			/* ... and what stands for both */
} Search;

static Node *
strip(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

static bool
is_tenant_column(const Search *search, Node *node)
{
	Var		   *var = (Var *) strip(node);

	return IsA(var, Var) && var->varno == search->varno &&
		var->varattno == search->relation->column && var->varlevelsup == 0;
}

/* Is it the equality that the key's kind is compared by? */
static bool
is_key_equality(const Search *search, const OpExpr *clause)
{
	switch (search->relation->kind)
	{
		case KEY_INT4:
			return clause->opfuncid == F_INT4EQ;
		case KEY_INT8:
			return clause->opfuncid == F_INT8EQ ||
				clause->opfuncid == F_INT84EQ;
		case KEY_UUID:
			return clause->opfuncid == F_UUID_EQ;
		case KEY_TEXT:
			return clause->opfuncid == F_TEXTEQ &&
				clause->inputcollid == search->relation->collation;
		default:
			return false;
	}
}

/* The constant as one of the filter's type, if it is no wider. */
static Datum
as_key(const Const *value, Oid type)
{
	if (type == INT8OID && value->consttype == INT4OID)
		return Int64GetDatum(DatumGetInt32(value->constvalue));
	return value->constvalue;
}

static bool
is_the_tenant(const Search *search, const Const *value)
{
	Const	   *tenant = (Const *) search->tenant;

	return IsA(tenant, Const) && !value->constisnull && !tenant->constisnull &&
		datum_image_eq(as_key(value, tenant->consttype), tenant->constvalue,
					   tenant->constbyval, tenant->constlen);
}

/*
 * What stands for the filter and a clause that compares with "named"; NULL
 * where the clause has to stay.  A parameter whose type is no key's was only
 * relabelled, as oid is for int4, and nobody but the operator knows how to
 * compare it.
 */
static Expr *
both_as_one(const Search *search, Node *named)
{
	if (IsA(named, Const))
		return is_the_tenant(search, (Const *) named) ? search->tenant : NULL;
	if (!IsA(named, Param) ||
		tguard_key_kind(((Param *) named)->paramtype) == KEY_NONE)
		return NULL;
	return tguard_tenant_param_if((Param *) named, search->tenant);
}

/* What stands for the clause and the filter; NULL where it has to stay. */
static Expr *
names_tenant(const Search *search, Node *node)
{
	OpExpr	   *clause = (OpExpr *) node;

	if (!IsA(clause, OpExpr) || list_length(clause->args) != 2 ||
		!is_key_equality(search, clause))
		return NULL;
	if (is_tenant_column(search, linitial(clause->args)))
		return both_as_one(search, strip(lsecond(clause->args)));
	if (clause->opfuncid == F_INT84EQ ||
		!is_tenant_column(search, lsecond(clause->args)))
		return NULL;
	return both_as_one(search, strip(linitial(clause->args)));
}

/* Look through a list of conditions that are joined by AND. */
static bool
take_from(Search *search, Node **quals)
{
	List	   *list = (List *) *quals;
	ListCell   *lc;

	if (list == NIL || !IsA(list, List))
		return false;
	foreach(lc, list)
	{
		Expr	   *result = names_tenant(search, lfirst(lc));

		if (result == NULL)
			continue;
		search->result = result;
		*quals = (Node *) foreach_delete_current(list, lc);
		return true;
	}
	return false;
}

/*
 * Search the conditions that the relation's rows have to pass: those at and
 * above the place where it is joined, up to where it is the side of an outer
 * join that may be missing.  "taken" ends the search.  Returns whether
 * conditions further up hold for its rows, too.
 */
static bool
search_jointree(Search *search, Node *node, bool *taken)
{
	if (IsA(node, RangeTblRef))
		return ((RangeTblRef *) node)->rtindex == search->varno;
	if (IsA(node, FromExpr))
	{
		FromExpr   *from = (FromExpr *) node;
		ListCell   *lc;

		foreach(lc, from->fromlist)
		{
			if (!search_jointree(search, lfirst(lc), taken))
				continue;
			*taken = *taken || take_from(search, &from->quals);
			return true;
		}
		return false;
	}
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		left = search_jointree(search, join->larg, taken);
		bool		right = !left && search_jointree(search, join->rarg, taken);

		if (*taken || (!left && !right) || join->jointype == JOIN_FULL)
			return false;
		if (right || join->jointype == JOIN_INNER)
			*taken = take_from(search, &join->quals);
		return left || join->jointype == JOIN_INNER;
	}
	return false;
}

Expr *
tguard_named_tenant(PlannerInfo *root, Index varno,
					const GuardedRelation *relation, Expr *tenant)
{
	Search		search = {
		.varno = varno,
		.relation = relation,
		.tenant = tenant,
		.result = tenant
	};
	bool		taken = false;

	search_jointree(&search, (Node *) root->parse->jointree, &taken);
	return search.result;
}
