/*
 * visible.c
 *	  The SQL functions inside policies and checks.
 *
 * The catalog policies call visible(column).  It is a boolean function and not
 * "column = tenant()" so that a bypass can turn it into TRUE: an owner under
 * FORCE ROW LEVEL SECURITY must see every row when a foreign key is validated.
 * Its support function replaces the call by the clause that the planner hook
 * would add, which is indexable, so that nothing is filtered twice.
 *
 * Without the hooks (the library was not preloaded) the clause calls the
 * accessor current_tenant...() and goes on holding the roles that row security
 * binds.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/settings.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "guard/plan.h"
#include "guard/reference.h"
#include "guard/row_filter.h"
#include "guard/visible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

bool
tguard_is_visible(Oid function)
{
	const TguardExtension *ext = tguard_extension();

	for (TenantKeyKind kind = 0; ext && kind < KEY_KINDS; kind++)
	{
		if (function == ext->visible[kind] ||
			function == ext->visible_or_shared[kind])
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------------
 * visible() while planning
 * ---------------------------------------------------------------------
 */

/* Does the call look at a column of the relation that a look-up exempts? */
static bool
is_looked_up(SupportRequestSimplify *request)
{
	Node	   *argument = linitial(request->fcall->args);
	Query	   *query = request->root ? request->root->parse : NULL;

	if (IsA(argument, RelabelType))
		argument = (Node *) ((RelabelType *) argument)->arg;
	if (!OidIsValid(tguard_plan->lookup) || query == NULL ||
		!IsA(argument, Var) || ((Var *) argument)->varlevelsup != 0 ||
		((Var *) argument)->varno > list_length(query->rtable))
		return false;
	return rt_fetch(((Var *) argument)->varno, query->rtable)->relid ==
		tguard_plan->lookup;
}

static Expr *
accessor(TenantKeyKind kind)
{
	return (Expr *) makeFuncExpr(tguard_extension()->current_tenant[kind],
								 tguard_key_type(kind), NIL, InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

/*
 * visible_by_links(row) in a plan: the filter that the planner hook puts on
 * the relation says it all.
 */
static Node *
simplify_by_links(SupportRequestSimplify *request)
{
	if (tguard_plan == NULL)
		return NULL;
	tguard_plan_settle(request->root);
	tguard_plan->reached = true;
	return makeBoolConst(true, false);
}

static Node *
simplify_visible(SupportRequestSimplify *request)
{
	FuncExpr   *call = request->fcall;
	Expr	   *column;
	TenantKeyKind kind;
	Expr	   *clause;
	NullTest   *shared;

	if (call->args == NIL)
		return makeBoolConst(true, false);	/* any_row() */
	if (tguard_extension() &&
		call->funcid == tguard_extension()->visible_by_links)
		return simplify_by_links(request);
	column = linitial(call->args);
	kind = tguard_key_kind(exprType((Node *) column));
	if (tguard_extension() == NULL || kind == KEY_NONE ||
		!contain_var_clause((Node *) column))
		return NULL;			/* not a row's: decided when it runs */
	if (tguard_plan)
	{
		tguard_plan_settle(request->root);
		tguard_plan->reached = true;
		if (!tguard_plan_filters() || is_looked_up(request))
			return makeBoolConst(true, false);
	}
	else if (tguard_preloaded)
		return NULL;			/* not a query's either */
	clause = tguard_filter_clause(kind, column,
								  tguard_plan ? tguard_plan_tenant(kind) :
								  accessor(kind),
								  call->inputcollid);
	if (call->funcid != tguard_extension()->visible_or_shared[kind])
		return (Node *) clause;
	shared = makeNode(NullTest);
	shared->arg = copyObject(column);
	shared->nulltesttype = IS_NULL;
	shared->location = -1;
	return (Node *) makeBoolExpr(OR_EXPR, list_make2(clause, shared), -1);
}

TGUARD_SQL_FUNCTION(tenantguard_visible_support);

Datum
tenantguard_visible_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(NULL);
	PG_RETURN_POINTER(simplify_visible((SupportRequestSimplify *) request));
}

/* ---------------------------------------------------------------------
 * The functions themselves
 * ---------------------------------------------------------------------
 */

static bool
is_visible(FunctionCallInfo fcinfo, TenantKeyKind kind, bool shared)
{
	const TenantIdentity *identity;

	if (tguard_preloaded && tguard_mode() != MODE_GUARD)
		return true;
	if (PG_ARGISNULL(0))
		return shared;
	identity = tguard_context_peek();
	return identity &&
		tguard_identity_matches(identity, kind, PG_GETARG_DATUM(0));
}

TGUARD_SQL_FUNCTION(tenantguard_any_row);

/* any_row() RETURNS boolean: true */
Datum
tenantguard_any_row(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

/* These functions may be called by hand, with any number. */
static const char *
relation_name(Oid relid)
{
	const char *name = get_rel_name(relid);

	return name ? name : "?";
}

/* The words are the same whatever the row that was met holds. */
static void
refuse_conflict(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot update a row of relation \"%s\" on conflict",
					relation_name(relid)),
			 errdetail(REASON_FOREIGN_CONFLICT ": the key is taken by a row that is not the tenant's."),
			 tguard_reason(REASON_FOREIGN_CONFLICT),
			 errhint("Use a unique key that starts with the tenant column.")));
}

static void
refuse_row(Oid relid, TenantKeyKind kind, bool isnull, Datum value,
		   const TenantIdentity *identity)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("new row of relation \"%s\" does not belong to the tenant",
					relation_name(relid)),
			 errdetail(REASON_FOREIGN_TENANT ": the row says %s, the tenant is %s.",
					   isnull ? "NULL" :
					   quote_literal_cstr(tguard_key_text(kind, value)),
					   identity ? quote_literal_cstr(identity->text) :
					   "not set"),
			 tguard_reason(REASON_FOREIGN_TENANT),
			 errhint("Leave the tenant column out: it is filled in.")));
}

static bool
check_tenant(FunctionCallInfo fcinfo, TenantKeyKind kind)
{
	const TenantIdentity *identity = tguard_context_peek();
	bool		isnull = PG_ARGISNULL(0);
	RowCheck	what = PG_GETARG_INT32(2);

	if (what >= CHECK_PARENT)
		return tguard_reference_admits(kind, isnull,
									   isnull ? 0 : PG_GETARG_DATUM(0),
									   PG_GETARG_OID(1), what);
	if (identity && !isnull &&
		tguard_identity_matches(identity, kind, PG_GETARG_DATUM(0)))
		return true;
	if (identity == NULL && what == CHECK_ROOT)
		return true;
	if (what == CHECK_CONFLICT)
		refuse_conflict(PG_GETARG_OID(1));
	refuse_row(PG_GETARG_OID(1), kind, isnull, isnull ? 0 : PG_GETARG_DATUM(0),
			   identity);
	return false;				/* not reached */
}

TGUARD_SQL_FUNCTION(tenantguard_check_links);

/*
 * check_links(whether, relation oid, integer) RETURNS boolean: true, or error
 * no_parent or foreign_conflict.  The words are the same whether there is no
 * such parent or it is another's.
 */
Datum
tenantguard_check_links(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(1);

	if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
		PG_RETURN_BOOL(true);
	if (PG_GETARG_INT32(2) == CHECK_CONFLICT)
		refuse_conflict(relid);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("new row of relation \"%s\" does not belong to the tenant",
					relation_name(relid)),
			 errdetail(REASON_NO_PARENT ": its links must lead to a row of the tenant, and to nobody else's."),
			 tguard_reason(REASON_NO_PARENT),
			 errhint("Refer to a row that the tenant sees; one that this very statement inserts is seen by the next.")));
	PG_RETURN_BOOL(false);		/* not reached */
}

/*
 * For each type:
 * visible(column) RETURNS boolean: is it the tenant, or is a bypass open?
 * visible_or_shared(column) RETURNS boolean: the same, or NULL.
 * check_tenant(column, oid, integer) RETURNS boolean: true, or error
 * foreign_tenant or foreign_conflict; for a foreign key's query whether it may
 * meet the row, or error foreign_reference.
 */
#define TYPED_FUNCTIONS(suffix, kind) \
TGUARD_SQL_FUNCTION(tenantguard_visible_##suffix); \
Datum \
tenantguard_visible_##suffix(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(is_visible(fcinfo, kind, false)); \
} \
TGUARD_SQL_FUNCTION(tenantguard_visible_or_shared_##suffix); \
Datum \
tenantguard_visible_or_shared_##suffix(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(is_visible(fcinfo, kind, true)); \
} \
TGUARD_SQL_FUNCTION(tenantguard_check_tenant_##suffix); \
Datum \
tenantguard_check_tenant_##suffix(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(check_tenant(fcinfo, kind)); \
} \
extern Datum tenantguard_visible_##suffix(PG_FUNCTION_ARGS)

TYPED_FUNCTIONS(int4, KEY_INT4);
TYPED_FUNCTIONS(int8, KEY_INT8);
TYPED_FUNCTIONS(uuid, KEY_UUID);
TYPED_FUNCTIONS(text, KEY_TEXT);

/* The tenant that counts now, as the kind's type; NULL where there is none. */
#define ACCESSOR(suffix, kind) \
TGUARD_SQL_FUNCTION(tenantguard_current_tenant_##suffix); \
Datum \
tenantguard_current_tenant_##suffix(PG_FUNCTION_ARGS) \
{ \
	const TenantIdentity *identity = tguard_context_peek(); \
	if (identity == NULL) \
		PG_RETURN_NULL(); \
	return datumCopy(tguard_identity_datum(identity, kind), \
					 kind == KEY_INT4 || kind == KEY_INT8, \
					 kind == KEY_UUID ? UUID_LEN : -1); \
} \
extern Datum tenantguard_current_tenant_##suffix(PG_FUNCTION_ARGS)

ACCESSOR(int4, KEY_INT4);
ACCESSOR(int8, KEY_INT8);
ACCESSOR(uuid, KEY_UUID);
ACCESSOR(text, KEY_TEXT);
