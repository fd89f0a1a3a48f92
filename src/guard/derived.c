/*
 * derived.c
 *	  The filter of relations whose rows are tied to a tenant by links.
 *
 * A link leads from columns of the relation to the key of another guarded one,
 * its parent.  It speaks for a row in which none of the columns is NULL (and,
 * where it is polymorphic, the type column says so).  A row is visible where
 * at least one link speaks, and each that does leads to a row of the parent
 * that is visible: parents must agree, and an orphan is nobody's.
 *
 * "Leads to a visible row" is a sub-select of the parent alone.  The planner
 * plans it like any, so that the parent's own filter comes from the same place
 * as everywhere, be it a column or a link again: paths of any length need
 * nothing more.  Nobody's privileges are asked for the parent: its rows decide
 * and are not shown.
 *
 * The sub-select takes one of three forms.  EXISTS asks the parent's key for
 * each row, which is right where few rows are looked at.  The planner plans it
 * twice, the other way a hash table of the tenant's parents, and takes the
 * table for as little as two rows; so where a query looks for one row,
 *
 *		(SELECT true FROM tickets WHERE id = ticket_id)
 *
 * is asked instead.  Where it reads the relation at large, the tenant's parents
 * are gathered once,
 *
 *		ticket_id = ANY (ARRAY(SELECT id FROM tickets))
 *
 * and either an index on the link finds their children or a hash table sorts
 * out the others.  The planner, which takes every such array for ten elements,
 * cannot choose; so it is decided here by the query's own conditions.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "base/compat.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "guard/derived.h"
#include "guard/link_form.h"
#include "guard/row_filter.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/subselect.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "relations/links.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* The parent's place in the sub-selects: they have no other relation. */
#define PARENT_VARNO 1

/* ---------------------------------------------------------------------
 * One link
 * ---------------------------------------------------------------------
 */

static Expr *
make_column(Oid relid, AttrNumber column, Index varno, Index levelsup)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, column, &type, &typmod, &collation);
	return (Expr *) makeVar(varno, column, type, typmod, collation, levelsup);
}

/* A column as the input that an operator of the link takes. */
static Expr *
make_operand(Expr *column, Oid wanted)
{
	Oid			type = exprType((Node *) column);

	if (type == wanted || IsPolymorphicType(wanted))
		return column;
	return (Expr *) coerce_to_target_type(NULL, (Node *) column, type, wanted,
										  -1, COERCION_IMPLICIT,
										  COERCE_IMPLICIT_CAST, -1);
}

static RangeTblEntry *
make_parent_entry(Oid relid)
{
	RangeTblEntry *entry = makeNode(RangeTblEntry);
	List	   *columns = NIL;
	Relation	parent;

	LockRelationOid(relid, AccessShareLock);
	parent = table_open(relid, NoLock);
	for (int i = 0; i < RelationGetNumberOfAttributes(parent); i++)
		columns = lappend(columns,
						  makeString(pstrdup(NameStr(TupleDescAttr(RelationGetDescr(parent), i)->attname))));
	entry->rtekind = RTE_RELATION;
	entry->relid = relid;
	entry->relkind = parent->rd_rel->relkind;
	entry->rellockmode = AccessShareLock;
	entry->eref = makeAlias(RelationGetRelationName(parent), columns);
	/* a key holds within a partitioned table, not among inheritance children */
	entry->inh = entry->relkind == RELKIND_PARTITIONED_TABLE;
	entry->inFromCl = true;
	table_close(parent, NoLock);
	return entry;
}

static Query *
make_parent_query(Oid relid, Expr *target, List *quals)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *from = makeNode(RangeTblRef);
	Node	   *where = quals == NIL ? NULL : (Node *) make_ands_explicit(quals);

	from->rtindex = PARENT_VARNO;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	tguard_query_set_relation(query, make_parent_entry(relid));
	query->jointree = makeFromExpr(list_make1(from), where);
	query->targetList = list_make1(makeTargetEntry(target, 1,
												   pstrdup("tenantguard"),
												   false));
	query->hasSubLinks = checkExprHasSubLink((Node *) query->jointree) ||
		checkExprHasSubLink((Node *) target);
	return query;
}

static SubLink *
make_sub_link(SubLinkType type, Query *query)
{
	SubLink    *link = makeNode(SubLink);

	link->subLinkType = type;
	link->subselect = (Node *) query;
	link->location = -1;
	return link;
}

/* The clauses "parent's key = columns" inside a sub-select of the parent. */
static List *
match_parent(Oid relid, const RelationLink *link, Index varno)
{
	List	   *result = NIL;
	ListCell   *column;
	ListCell   *parent_column;
	ListCell   *operator;

	forthree(column, link->columns, parent_column, link->parent_columns,
			 operator, link->operators)
	{
		Expr	   *outer = make_column(relid, lfirst_int(column), varno, 1);
		Expr	   *inner = make_column(link->parent, lfirst_int(parent_column),
										PARENT_VARNO, 0);
		Oid			left;
		Oid			right;
		OpExpr	   *clause;

		op_input_types(lfirst_oid(operator), &left, &right);
		clause = (OpExpr *)
			make_opclause(lfirst_oid(operator), BOOLOID, false,
						  make_operand(inner, left),
						  make_operand(outer, right), InvalidOid,
						  exprCollation((Node *) inner));
		clause->opfuncid = get_opcode(clause->opno);
		result = lappend(result, clause);
	}
	return result;
}

static Expr *make_visible(Oid relid, const List *links, Index varno,
						  bool for_write, LinkForm form);

/*
 * Rows of no tenant are read by all.  Where a row is written they do not do,
 * and the parent's own filter, which lets them pass, is not enough.
 */
static List *
exclude_shared(Oid relid, LinkForm form)
{
	GuardedRelation parent = *tguard_relation(relid);
	NullTest   *test;

	if (!parent.shows_shared)
		return NIL;
	if (parent.mode == RELATION_DERIVED)
		return list_make1(make_visible(relid, parent.links, PARENT_VARNO, true,
									   form));
	test = makeNode(NullTest);
	test->arg = tguard_filter_column(&parent, PARENT_VARNO);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return list_make1(test);
}

/*
 * EXISTS (SELECT FROM parent WHERE its key = columns), or for a single row
 * (SELECT true FROM ...): the key is unique.
 */
static Expr *
make_ask(Oid relid, const RelationLink *link, Index varno, bool for_write,
		 LinkForm form)
{
	SubLinkType type = form == LINK_ASK_ONCE ? EXPR_SUBLINK : EXISTS_SUBLINK;
	List	   *quals = match_parent(relid, link, varno);
	Expr	   *found = (Expr *) makeBoolConst(true, false);

	if (for_write)
		quals = list_concat(quals, exclude_shared(link->parent, form));
	return (Expr *) make_sub_link(type, make_parent_query(link->parent, found,
														  quals));
}

/*
 * column = ANY (ARRAY(SELECT key FROM parent)), hashed; NULL where the types
 * cannot be hashed alike or there are several columns.
 */
static Expr *
make_any(Oid relid, const RelationLink *link, Index varno)
{
	ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);
	Oid			operator = get_commutator(linitial_oid(link->operators));
	Oid			left_hash;
	Oid			right_hash;
	Oid			left;
	Oid			right;
	Expr	   *key;
	Expr	   *column;

	if (list_length(link->columns) != 1 || !OidIsValid(operator) ||
		!get_op_hash_functions(operator, &left_hash, &right_hash) ||
		left_hash != right_hash)
		return NULL;
	op_input_types(operator, &left, &right);
	if (IsPolymorphicType(left) || IsPolymorphicType(right) ||
		!OidIsValid(get_array_type(right)))
		return NULL;
	key = make_operand(make_column(link->parent,
								   linitial_int(link->parent_columns),
								   PARENT_VARNO, 0), right);
	column = make_column(relid, linitial_int(link->columns), varno, 0);
	any->opno = operator;
	any->opfuncid = get_opcode(operator);
	any->hashfuncid = left_hash;
	any->useOr = true;
	any->inputcollid = exprCollation((Node *) key);
	any->args = list_make2(make_operand(column, left),
						   make_sub_link(ARRAY_SUBLINK,
										 make_parent_query(link->parent, key,
														   NIL)));
	any->location = -1;
	return (Expr *) any;
}

/* CASE WHEN test THEN result ELSE false END */
static Expr *
make_case(Expr *test, Expr *result)
{
	CaseExpr   *choice = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = test;
	when->result = result;
	when->location = -1;
	choice->casetype = BOOLOID;
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeBoolConst(false, false);
	choice->location = -1;
	return (Expr *) choice;
}

static Expr *
make_null_test(Oid relid, AttrNumber column, Index varno, NullTestType type)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = make_column(relid, column, varno, 0);
	test->nulltesttype = type;
	test->location = -1;
	return (Expr *) test;
}

/*
 * A column as text: by the server's own casts, else as its type prints it.  A
 * cast that the owner of a type makes could give the rows of every tenant
 * another meaning.
 */
static Node *
make_text(Expr *column)
{
	Oid			type = getBaseType(exprType((Node *) column));
	Oid			function = InvalidOid;
	CoerceViaIO *result;

	find_coercion_pathway(TEXTOID, type, COERCION_EXPLICIT, &function);
	if (type < FirstNormalObjectId && function < FirstNormalObjectId)
		return coerce_to_target_type(NULL, (Node *) column,
									 exprType((Node *) column), TEXTOID, -1,
									 COERCION_EXPLICIT, COERCE_EXPLICIT_CAST,
									 -1);
	result = makeNode(CoerceViaIO);
	result->arg = column;
	result->resulttype = TEXTOID;
	result->resultcollid = DEFAULT_COLLATION_OID;
	result->coerceformat = COERCE_EXPLICIT_CAST;
	result->location = -1;
	return (Node *) result;
}

/* type column = 'value', both as text */
static Expr *
make_type_test(Oid relid, const RelationLink *link, Index varno)
{
	Node	   *text = make_text(make_column(relid, link->type_column, varno,
											 0));
	Expr	   *value = (Expr *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID,
										   -1, CStringGetTextDatum(link->type_value),
										   false, false);
	OpExpr	   *test = (OpExpr *) make_opclause(TextEqualOperator, BOOLOID,
												false, (Expr *) text, value,
												InvalidOid,
												DEFAULT_COLLATION_OID);

	test->opfuncid = F_TEXTEQ;
	return (Expr *) test;
}

/* Does the link speak for the row, or (not_so) does it not?  Never NULL. */
static Expr *
make_speaks(Oid relid, const RelationLink *link, Index varno, bool not_so)
{
	List	   *tests = NIL;
	ListCell   *lc;

	if (link->type_column > 0)
	{
		BooleanTest *test = makeNode(BooleanTest);

		test->arg = make_type_test(relid, link, varno);
		test->booltesttype = not_so ? IS_NOT_TRUE : IS_TRUE;
		test->location = -1;
		tests = list_make1(test);
	}
	foreach(lc, link->columns)
		tests = lappend(tests, make_null_test(relid, lfirst_int(lc), varno,
											  not_so ? IS_NULL : IS_NOT_NULL));
	return list_length(tests) == 1 ? linitial(tests) :
		makeBoolExpr(not_so ? OR_EXPR : AND_EXPR, tests, -1);
}

/* The link speaks, and leads to a row of the parent that is visible. */
static Expr *
make_leads(Oid relid, const RelationLink *link, Index varno, bool for_write,
		   LinkForm form)
{
	bool		gather = form == LINK_GATHER || form == LINK_SIFT;
	Expr	   *result = gather && !for_write ?
	make_any(relid, link, varno) : NULL;

	if (result == NULL)
		result = make_ask(relid, link, varno, for_write, form);
	else if (form == LINK_SIFT)
		result = make_case(result, (Expr *) makeBoolConst(true, false));
	if (link->type_column > 0)
		result = makeBoolExpr(AND_EXPR,
							  list_make2(make_type_test(relid, link, varno),
										 result), -1);
	return result;
}

/* ---------------------------------------------------------------------
 * All links of a relation
 * ---------------------------------------------------------------------
 */

static bool
one_is_never_null(const List *links)
{
	ListCell   *lc;

	foreach(lc, links)
	{
		if (((RelationLink *) lfirst(lc))->never_null)
			return true;
	}
	return false;
}

/* Are they cases of one type column, of which a row can be but one? */
static bool
exclude_each_other(const List *links)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, links)
	{
		RelationLink *link = lfirst(lc);

		foreach(lc2, links)
		{
			RelationLink *other = lfirst(lc2);

			if (link != other &&
				(link->type_column == 0 ||
				 link->type_column != other->type_column ||
				 strcmp(link->type_value, other->type_value) == 0))
				return false;
		}
	}
	return true;
}

/*
 * The conditions under which a row is visible, to be joined by AND.  One link
 * that has a value in every row needs no other to speak; where none has, one
 * must lead to the tenant, and the others be silent or lead there as well.
 */
static List *
make_conditions(Oid relid, const List *links, Index varno, bool for_write,
				LinkForm form)
{
	List	   *result = NIL;
	List	   *leads = NIL;
	ListCell   *lc;

	if (!one_is_never_null(links))
	{
		foreach(lc, links)
			leads = lappend(leads, make_leads(relid, lfirst(lc), varno,
											  for_write, form));
		result = list_make1(list_length(leads) == 1 ? linitial(leads) :
							makeBoolExpr(OR_EXPR, leads, -1));
		if (exclude_each_other(links))
			return result;
	}
	foreach(lc, links)
	{
		RelationLink *link = lfirst(lc);
		Expr	   *lead = make_leads(relid, link, varno, for_write, form);

		if (!link->never_null)
			lead = makeBoolExpr(OR_EXPR,
								list_make2(make_speaks(relid, link, varno,
													   true), lead), -1);
		result = lappend(result, lead);
	}
	return result;
}

static Expr *
make_visible(Oid relid, const List *links, Index varno, bool for_write,
			 LinkForm form)
{
	return make_ands_explicit(make_conditions(relid, links, varno, for_write,
											  form));
}

/*
 * Links are described with the relation; what their parents are, and whether
 * their keys are unique, may have changed since.
 */
bool
tguard_derived_is_lost(const GuardedRelation *relation)
{
	ListCell   *lc;

	if (relation->lost)
		return true;
	foreach(lc, relation->links)
	{
		const RelationLink *link = lfirst(lc);
		const GuardedRelation *parent = tguard_relation(link->parent);

		if (!tguard_mode_filters(parent->mode) || parent->lost ||
			!tguard_link_is_unique(link))
			return true;
	}
	return false;
}

static void
demand_parents(const GuardedRelation *relation)
{
	GuardedRelation judged = *relation;

	judged.lost = tguard_derived_is_lost(relation);
	tguard_relation_demand_column(&judged);
}

/* ---------------------------------------------------------------------
 * A query for the children of one parent
 * ---------------------------------------------------------------------
 */

/*
 * CASE WHEN ticket_id = value
 * THEN (SELECT true FROM tickets WHERE id = value) ELSE false END
 *
 * asks for that parent but once.  NULL where no clause names the parent.
 */
static Expr *
make_named(const RelationLink *link, Index varno, const List *clauses)
{
	Oid			operator = linitial_oid(link->operators);
	Expr	   *key = make_column(link->parent,
								  linitial_int(link->parent_columns),
								  PARENT_VARNO, 0);
	Expr	   *found = (Expr *) makeBoolConst(true, false);
	Expr	   *value;
	Oid			left;
	Oid			right;
	ListCell   *lc;

	op_input_types(operator, &left, &right);
	foreach(lc, list_length(link->columns) == 1 ? clauses : NIL)
	{
		OpExpr	   *match;
		Query	   *parent;

		if (!tguard_link_names_parent(lfirst(lc), varno, linitial_int(link->columns),
									  operator, exprCollation((Node *) key), &value))
			continue;
		value = make_operand(copyObject(value), right);
		if (value == NULL)
			continue;
		match = (OpExpr *) make_opclause(operator, BOOLOID, false,
										 make_operand(key, left), value,
										 InvalidOid,
										 exprCollation((Node *) key));
		match->opfuncid = get_opcode(operator);
		parent = make_parent_query(link->parent, found, list_make1(match));
		return make_case(copyObject(lfirst(lc)),
						 (Expr *) make_sub_link(EXPR_SUBLINK, parent));
	}
	return NULL;
}

/* ---------------------------------------------------------------------
 * What others ask
 * ---------------------------------------------------------------------
 */

List *
tguard_derived_filter(PlannerInfo *root, Index varno,
					  const GuardedRelation *relation, bool for_write,
					  bool one_by_one)
{
	List	   *result = NIL;
	List	   *clauses = NIL;
	Expr	   *named = NULL;
	LinkForm	form;
	ListCell   *lc;

	demand_parents(relation);
	form = tguard_link_form(root, varno, relation, one_by_one, &clauses);
	if (form == LINK_ASK_NAMED)
		named = make_named(linitial(relation->links), varno, clauses);
	foreach(lc, named ? list_make1(named) :
			make_conditions(relation->relid, relation->links, varno,
							for_write, form))
		result = lappend(result,
						 SS_process_sublinks(root, lfirst(lc), true));
	return result;
}

Expr *
tguard_derived_visible(Query *query, Index varno,
					   const GuardedRelation *relation)
{
	demand_parents(relation);
	query->hasSubLinks = true;
	return make_visible(relation->relid, relation->links, varno, false,
						LINK_ASK);
}

/* What the server's own foreign keys do not ask of a written row. */
static List *
make_unchecked(const GuardedRelation *relation, Index varno)
{
	List	   *result = NIL;
	Expr	   *speaks = tguard_derived_speaks(relation, varno);
	ListCell   *lc;

	foreach(lc, relation->links)
	{
		RelationLink *link = lfirst(lc);

		if (tguard_link_is_checked(relation->relid, link) &&
			!tguard_relation(link->parent)->shows_shared)
			continue;
		result = lappend(result,
						 makeBoolExpr(OR_EXPR,
									  list_make2(make_speaks(relation->relid,
															 link, varno, true),
												 make_ask(relation->relid,
														  link, varno, true,
														  LINK_ASK)), -1));
	}
	return speaks ? lappend(result, speaks) : result;
}

Expr *
tguard_derived_speaks(const GuardedRelation *relation, Index varno)
{
	List	   *speaks = NIL;
	ListCell   *lc;

	if (one_is_never_null(relation->links))
		return NULL;
	foreach(lc, relation->links)
		speaks = lappend(speaks, make_speaks(relation->relid, lfirst(lc), varno,
											 false));
	return list_length(speaks) == 1 ? linitial(speaks) :
		makeBoolExpr(OR_EXPR, speaks, -1);
}

Expr *
tguard_derived_check(Query *query, Index varno,
					 const GuardedRelation *relation, bool all)
{
	List	   *conditions;

	demand_parents(relation);
	conditions = all ?
		make_conditions(relation->relid, relation->links, varno, true,
						LINK_ASK) :
		make_unchecked(relation, varno);
	if (conditions == NIL)
		return NULL;
	if (checkExprHasSubLink((Node *) conditions))
		query->hasSubLinks = true;
	return make_ands_explicit(conditions);
}

static Expr *make_tenant(const GuardedRelation *relation, Index varno,
						 TenantKeyKind *kind, Oid *collation);

/*
 * (SELECT tenant FROM parent WHERE its key = columns), or NULL where the type
 * column says that the link does not speak.
 */
static Expr *
make_tenant_of(Oid relid, const RelationLink *link, Index varno,
			   TenantKeyKind *kind, Oid *collation)
{
	GuardedRelation parent = *tguard_relation(link->parent);
	Expr	   *tenant = make_tenant(&parent, PARENT_VARNO, kind, collation);
	CaseWhen   *when = makeNode(CaseWhen);
	CaseExpr   *result = makeNode(CaseExpr);

	if (tenant == NULL)
		return NULL;
	tenant = (Expr *)
		make_sub_link(EXPR_SUBLINK,
					  make_parent_query(link->parent, tenant,
										match_parent(relid, link, varno)));
	if (link->type_column == 0)
		return tenant;
	when->expr = make_type_test(relid, link, varno);
	when->result = tenant;
	when->location = -1;
	result->casetype = tguard_key_type(*kind);
	result->casecollid = *collation;
	result->args = list_make1(when);
	result->defresult = (Expr *) makeNullConst(result->casetype, -1,
											   *collation);
	result->location = -1;
	return (Expr *) result;
}

/* What the first link leads to that leads anywhere. */
static Expr *
make_tenant_by_links(const GuardedRelation *relation, Index varno,
					 TenantKeyKind *kind, Oid *collation)
{
	CoalesceExpr *result = makeNode(CoalesceExpr);
	ListCell   *lc;

	foreach(lc, relation->links)
	{
		TenantKeyKind this_kind;
		Oid			this_collation;
		Expr	   *tenant = make_tenant_of(relation->relid, lfirst(lc),
											varno, &this_kind,
											&this_collation);

		if (tenant == NULL || (result->args != NIL && this_kind != *kind))
			continue;
		*kind = this_kind;
		*collation = this_collation;
		result->args = lappend(result->args, tenant);
	}
	if (result->args == NIL)
		return NULL;
	result->coalescetype = tguard_key_type(*kind);
	result->coalescecollid = *collation;
	result->location = -1;
	return list_length(result->args) == 1 ? linitial(result->args) :
		(Expr *) result;
}

/* The tenant of a row as an expression. */
static Expr *
make_tenant(const GuardedRelation *relation, Index varno,
			TenantKeyKind *kind, Oid *collation)
{
	if (relation->lost)
		return NULL;
	if (relation->mode == RELATION_DERIVED)
		return make_tenant_by_links(relation, varno, kind, collation);
	*kind = relation->kind;
	*collation = relation->collation;
	return tguard_filter_column(relation, varno);
}

Expr *
tguard_derived_tenant(Query *query, Index varno,
					  const GuardedRelation *relation, TenantKeyKind *kind,
					  Oid *collation)
{
	Expr	   *result = make_tenant(relation, varno, kind, collation);

	if (result && checkExprHasSubLink((Node *) result))
		query->hasSubLinks = true;
	return result;
}

bool
tguard_derived_needs_check(const GuardedRelation *relation)
{
	demand_parents(relation);
	return make_unchecked(relation, PARENT_VARNO) != NIL;
}
