/*
 * reference_rows.c
 *	  Which rows a foreign key's own queries may meet.
 *
 * reference.c lets these queries pass unfiltered, since a foreign key has to
 * see every row.  But a key that does not hold the tenant could then point at
 * another tenant's row, and a cascade could remove one.  So each query gets one
 * condition more, which asks check_tenant() whose the row is that was found:
 *
 * The look-up of the row that is referred to does not find another tenant's.
 * The server goes on as if it were not there: the same error, for the same
 * constraint, in the same words.
 *
 * A cascade, SET NULL or SET DEFAULT finds all rows and is refused at the
 * first that is another tenant's.  Triggers have not seen that row by then.
 *
 * Two get no condition.  The query that asks whether a row is still referred
 * to sees every row; its error tells the tenant's own key.  And the registry
 * may be referred to by whoever deals with another tenant, a partner or a
 * payee: such a key cannot hold the tenant, and only a bypass deletes a tenant.
 *
 * The server keeps these plans for the session, across tenants and bypasses.
 * So the plan is the same for all, and the function decides when it runs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "guard/derived.h"
#include "guard/owner.h"
#include "guard/reference.h"
#include "guard/row_filter.h"
#include "nodes/makefuncs.h"
#include "tcop/tcopprot.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* ---------------------------------------------------------------------
 * Planning
 * ---------------------------------------------------------------------
 */

/* check_tenant(whose a row is, object, what) */
static Node *
ask(TenantKeyKind kind, Oid collation, Expr *tenant, Oid object, RowCheck what)
{
	Const	   *oid = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
								ObjectIdGetDatum(object), false, true);
	Const	   *code = makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
								 Int32GetDatum(what), false, true);

	return (Node *) makeFuncExpr(tguard_extension()->check_tenant[kind],
								 BOOLOID, list_make3(tenant, oid, code),
								 InvalidOid, collation, COERCE_EXPLICIT_CALL);
}

/* The columns that the links use, once each. */
static List *
link_columns(const GuardedRelation *relation)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, relation->links)
	{
		const RelationLink *link = lfirst(lc);

		result = list_concat_unique_int(result, link->columns);
		if (link->type_column > 0)
			result = list_append_unique_int(result, link->type_column);
	}
	return result;
}

/*
 * leads_to_tenant(relation, locked, columns, their values): probes the indexes
 * of the parents, which costs a small part of what sub-selects do when they are
 * set up for each row that refers to this one.  The parents of a row that
 * carries its tenant are locked right away: its own check will ask for it.
 */
static Expr *
make_probe(const GuardedRelation *relation, Oid referring)
{
	List	   *columns = link_columns(relation);
	Datum	   *numbers = palloc(list_length(columns) * sizeof(Datum));
	int			count = 0;
	bool		locked = tguard_carried(referring)->column > 0;
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		AttrNumber	column = lfirst_int(lc);
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(relation->relid, column, &type, &typmod,
							  &collation);
		numbers[count++] = Int16GetDatum(column);
		values = lappend(values, makeVar(1, column, type, typmod, collation, 0));
	}
	values = list_concat(list_make3(makeConst(OIDOID, -1, InvalidOid,
											  sizeof(Oid),
											  ObjectIdGetDatum(relation->relid),
											  false, true),
									makeBoolConst(locked, false),
									makeConst(INT2ARRAYOID, -1, InvalidOid, -1,
											  PointerGetDatum(construct_array(numbers,
																			  count,
																			  INT2OID,
																			  sizeof(int16),
																			  true,
																			  TYPALIGN_SHORT)),
											  false, false)),
						 values);
	return (Expr *) makeFuncExpr(tguard_extension()->leads_to_tenant, BOOLOID,
								 values, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

static Oid
referring_relation(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	result = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Of a row that is tied by links it is asked whether the tenant sees it.
 * Where not, check_tenant() knows if that matters now.
 */
static Node *
ask_links(Query *query, const GuardedRelation *relation, Oid constraint)
{
	Expr	   *visible = tguard_owner_is_probed(relation->relid) ?
	make_probe(relation, referring_relation(constraint)) :
	tguard_derived_visible(query, 1, relation);
	Const	   *nobody = makeNullConst(INT8OID, -1, InvalidOid);

	return (Node *)
		makeBoolExpr(OR_EXPR,
					 list_make2(visible, ask(KEY_INT8, InvalidOid,
											 (Expr *) nobody, relation->relid,
											 CHECK_PARENT)), -1);
}

static Node *
ask_parent(Query *query, const GuardedRelation *relation, Oid constraint)
{
	if (relation->mode == RELATION_DERIVED)
		return ask_links(query, relation, constraint);
	return ask(relation->kind, relation->collation,
			   tguard_filter_column(relation, 1), relation->relid,
			   relation->mode == RELATION_TENANT_OR_SHARED ?
			   CHECK_PARENT_OR_SHARED : CHECK_PARENT);
}

/*
 * The parents of a row that is tied by links may have gone in this very
 * statement, and a cascade comes from one that was the tenant's.
 */
static Node *
ask_cascade(Query *query, const GuardedRelation *relation, Oid constraint)
{
	TenantKeyKind kind;
	Oid			collation;
	Expr	   *tenant = tguard_derived_tenant(query, 1, relation, &kind,
											   &collation);

	return tenant == NULL ? NULL :
		ask(kind, collation, tenant, constraint,
			relation->mode == RELATION_DERIVED ? CHECK_CASCADE_OR_LOST :
			CHECK_CASCADE);
}

/*
 * The key's own conditions become the first security qual, so that the planner
 * asks about no row but those that they find.
 */
static void
add_condition(Query *query, Node *condition)
{
	RangeTblEntry *rte = linitial(query->rtable);

	rte->securityQuals = lcons(query->jointree->quals, rte->securityQuals);
	query->jointree->quals = condition;
}

/*
 * The check of the row that comes of a cascade, a SET NULL or a default: it may
 * have another tenant, or none, or of its links none may lead anywhere.
 */
static Node *
ask_new_row(Query *query, const GuardedRelation *relation, Oid constraint)
{
	Expr	   *speaks;
	ListCell   *lc;

	if (relation->mode == RELATION_DERIVED)
	{
		speaks = tguard_derived_speaks(relation, 1);
		return speaks == NULL ? NULL : (Node *)
			makeBoolExpr(OR_EXPR,
						 list_make2(speaks,
									ask(KEY_INT8, InvalidOid, (Expr *)
										makeNullConst(INT8OID, -1, InvalidOid),
										constraint, CHECK_ORPHANED)), -1);
	}
	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst(lc);

		if (!entry->resjunk && entry->resno == relation->column)
			return ask(relation->kind, relation->collation,
					   tguard_filter_column(relation, 1), constraint,
					   CHECK_CASCADED);
	}
	return NULL;
}

static void
add_new_row_check(Query *query, const GuardedRelation *relation,
				  Oid constraint)
{
	WithCheckOption *check;
	Node	   *condition = ask_new_row(query, relation, constraint);

	if (condition == NULL)
		return;
	check = makeNode(WithCheckOption);
	check->kind = WCO_RLS_UPDATE_CHECK;
	check->relname = get_rel_name(relation->relid);
	check->qual = condition;
	query->withCheckOptions = list_make1(check);
}

void
tguard_reference_hold(Query *query, Oid constraint, bool on_parent)
{
	GuardedRelation relation =
	*tguard_relation(linitial_node(RangeTblEntry, query->rtable)->relid);
	bool		looks_up = query->commandType == CMD_SELECT;
	Node	   *condition = NULL;

	if (!tguard_mode_filters(relation.mode) ||
		(looks_up && (!on_parent || relation.mode == RELATION_ROOT)))
		return;
	if (tguard_derived_is_lost(&relation))
	{
		/* a plan of a bypass does not outlive it */
		if (tguard_mode() != MODE_BYPASS)
		{
			relation.lost = true;
			tguard_relation_demand_column(&relation);
		}
		return;
	}
	condition = looks_up ? ask_parent(query, &relation, constraint) :
		ask_cascade(query, &relation, constraint);
	if (condition)
		add_condition(query, condition);
	if (query->commandType == CMD_UPDATE)
		add_new_row_check(query, &relation, constraint);
}

/* ---------------------------------------------------------------------
 * Execution
 * ---------------------------------------------------------------------
 */

/* The last transaction that inserted a row into the registry. */
static LocalTransactionId signed_up = InvalidLocalTransactionId;

void
tguard_reference_note_sign_up(void)
{
	signed_up = tguard_lxid(MyProc);
}

/* tenantguard.enforce = log: one line for a statement's rows of one kind. */
static void
report(Oid object, RowCheck what)
{
	static TimestampTz reported_at = 0;
	static Oid	reported_object = InvalidOid;

	if (reported_at == GetCurrentStatementStartTimestamp() &&
		reported_object == object)
		return;
	reported_at = GetCurrentStatementStartTimestamp();
	reported_object = object;
	tguard_bypass_report(what >= CHECK_CASCADE ?
						 psprintf("refuse (" REASON_FOREIGN_REFERENCE ": constraint %s reaches rows of other tenants)",
								  get_constraint_name(object)) :
						 psprintf("refuse (" REASON_FOREIGN_REFERENCE ": a reference to a row of another tenant in %s)",
								  get_rel_name(object)),
						 debug_query_string);
}

/*
 * As the server says it where a row is still referred to.  "form" is of the
 * constraint, "why" and "hint" are for the reader.
 */
static void
raise_violation(Form_pg_constraint form, const char *why, const char *hint)
{
	const char *table = get_rel_name(form->conrelid);

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"",
					get_rel_name(form->confrelid), NameStr(form->conname),
					table),
			 errdetail(REASON_FOREIGN_REFERENCE ": rows of table \"%s\" %s.",
					   table, why),
			 err_generic_string(PG_DIAG_SCHEMA_NAME,
								get_namespace_name(get_rel_namespace(form->conrelid))),
			 err_generic_string(PG_DIAG_TABLE_NAME, table),
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME,
								NameStr(form->conname)),
			 errhint("%s", hint)));
}

static void
refuse_cascade(Oid constraint, RowCheck what)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("constraint with OID %u does not exist", constraint)));
	if (what == CHECK_CASCADED)
		raise_violation((Form_pg_constraint) GETSTRUCT(tuple),
						"would no longer be the tenant's",
						"Leave the tenant column out of what the key changes: SET NULL (column); or use tenantguard.begin_bypass().");
	if (what == CHECK_ORPHANED)
		raise_violation((Form_pg_constraint) GETSTRUCT(tuple),
						"would be nobody's, without a parent",
						"Delete them first, or use ON DELETE CASCADE; a row with a tenant column of its own stays: tenantguard.add_tenant_column().");
	raise_violation((Form_pg_constraint) GETSTRUCT(tuple),
					"that are not the tenant's would change with it",
					"Repair the rows under tenantguard.begin_bypass(); a foreign key that holds the tenant column cannot cross.");
}

/* A row that is not the tenant's, while a tenant or nothing is in force. */
static bool
judge(Oid object, RowCheck what, bool has_tenant)
{
	if (what >= CHECK_CASCADE)
	{
		if (!has_tenant)
			tguard_context_complain();
		refuse_cascade(object, what);
	}
	return !has_tenant && signed_up != tguard_lxid(MyProc);
}

/*
 * A transaction that goes from tenant to tenant under a bypass leaves checks of
 * all of them to its end, and the key's values do not tell whose each is.
 */
static bool
is_anybodys(void)
{
	return !tguard_reference_is_immediate() && tguard_bypass_was_held();
}

bool
tguard_reference_admits(TenantKeyKind kind, bool isnull, Datum value,
						Oid object, RowCheck what)
{
	const TenantIdentity *identity = tguard_context_bound();

	if (isnull ? what == CHECK_PARENT_OR_SHARED || what == CHECK_CASCADE_OR_LOST :
		(identity && tguard_identity_matches(identity, kind, value)))
		return true;
	switch (tguard_mode())
	{
		case MODE_BYPASS:
			return true;
		case MODE_REPORT:
			if (identity || what >= CHECK_CASCADE)
				report(object, what);
			return true;
		case MODE_GUARD:
			break;
	}
	return (what < CHECK_CASCADE && is_anybodys()) ||
		judge(object, what, identity != NULL);
}
