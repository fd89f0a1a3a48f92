/*
 * tenant_param.c
 *	  The parameter that stands for the tenant in a plan that may be kept.
 *
 * It is a PARAM_EXTERN with an impossible number.  The executor gets a
 * parameter list that wraps the caller's own and compiles that number into
 * the tenant's value, bound when the plan starts.  Without the wrapper the
 * number has no value and execution fails.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "base/settings.h"
#include "executor/execExpr.h"
#include "executor/executor.h"
#include "guard/tenant_param.h"
#include "nodes/params.h"
#include "tenant/context.h"
#include "utils/lsyscache.h"

/*
 * The parameter number that stands for the tenant.  The n-th after it stands
 * for the tenant if the query's own $n is the tenant, and else for NULL.
 */
#define TENANT_PARAM 1000000000

static Expr *
make_param(TenantKeyKind kind, int named)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = TENANT_PARAM + named;
	param->paramtype = tguard_key_type(kind);
	param->paramtypmod = -1;
	param->paramcollid = get_typcollation(param->paramtype);
	param->location = -1;
	return (Expr *) param;
}

Expr *
tguard_tenant_param(TenantKeyKind kind)
{
	return make_param(kind, 0);
}

Expr *
tguard_tenant_param_if(const Param *named, const Expr *tenant)
{
	if (!IsA(tenant, Param) || named->paramkind != PARAM_EXTERN ||
		named->paramid <= 0 || named->paramid >= TENANT_PARAM)
		return NULL;
	return make_param(tguard_key_kind(((const Param *) tenant)->paramtype),
					  named->paramid);
}

static void
eval_tenant(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	const TenantIdentity *identity =
	((TenantParams *) op->d.cparam.paramarg)->identity;

	/* the leader was admitted with a tenant: without one rows would be lost */
	if (identity == NULL && IsParallelWorker() &&
		tguard_missing_context == MISSING_ERROR)
		tguard_context_complain();
	*op->resnull = (identity == NULL);
	*op->resvalue = identity == NULL ? (Datum) 0 :
		tguard_identity_datum(identity,
							  tguard_key_kind(op->d.cparam.paramtype));
}

/* The value of the caller's own parameter; error where it has none. */
static const ParamExternData *
fetch_param(ParamListInfo params, int number, ParamExternData *workspace)
{
	const ParamExternData *param = NULL;

	if (params && number <= params->numParams)
		param = params->paramFetch ?
			params->paramFetch(params, number, false, workspace) :
			&params->params[number - 1];
	if (param == NULL || !OidIsValid(param->ptype))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no value found for parameter %d", number)));
	return param;
}

/* Is the caller's parameter the tenant, whatever it may be spelled like? */
static bool
is_tenant(const TenantIdentity *identity, const ParamExternData *param)
{
	TenantKeyKind kind = tguard_key_kind(param->ptype);

	return !param->isnull && kind != KEY_NONE &&
		tguard_identity_matches(identity, kind, param->value);
}

static void
eval_nobody(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	*op->resnull = true;
	*op->resvalue = (Datum) 0;
}

/* The tenant if $n is the tenant, else NULL, which equals nobody. */
static void
eval_tenant_if(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	TenantParams *tenant = op->d.cparam.paramarg;
	ParamExternData workspace;

	eval_tenant(state, op, econtext);
	if (!*op->resnull &&
		!is_tenant(tenant->identity,
				   fetch_param(tenant->original,
							   op->d.cparam.paramid - TENANT_PARAM,
							   &workspace)))
		eval_nobody(state, op, econtext);
}

/* How to evaluate it: decided once, where the caller's values are known. */
static ExecEvalSubroutine
find_evaluation(const TenantParams *tenant, int named)
{
	ParamListInfo original = tenant->original;

	if (named == 0)
		return eval_tenant;
	if (tenant->identity == NULL || original == NULL ||
		original->paramFetch || named > original->numParams)
		return eval_tenant_if;
	return is_tenant(tenant->identity, &original->params[named - 1]) ?
		eval_tenant : eval_nobody;
}

static void
compile_param(ParamListInfo params, Param *param, ExprState *state,
			  Datum *resv, bool *resnull)
{
	TenantParams *tenant = params->paramCompileArg;
	ParamListInfo original = tenant->original;
	ExprEvalStep scratch = {0};

	scratch.resvalue = resv;
	scratch.resnull = resnull;
	if (param->paramid >= TENANT_PARAM)
	{
		scratch.opcode = EEOP_PARAM_CALLBACK;
		scratch.d.cparam.paramfunc =
			find_evaluation(tenant, param->paramid - TENANT_PARAM);
		scratch.d.cparam.paramarg = tenant;
		scratch.d.cparam.paramid = param->paramid;
		scratch.d.cparam.paramtype = param->paramtype;
	}
	else if (original && original->paramCompile)
	{
		original->paramCompile(original, param, state, resv, resnull);
		return;
	}
	else
	{
		scratch.opcode = EEOP_PARAM_EXTERN;
		scratch.d.param.paramid = param->paramid;
		scratch.d.param.paramtype = param->paramtype;
	}
	ExprEvalPushStep(state, &scratch);
}

/*
 * Wrap the caller's parameters.  The header is copied whole, so that a
 * caller's fetch hook (plpgsql) goes on working.  This is on every statement's
 * path, in a memory context whose first block is small: one allocation of at
 * most 128 bytes for up to one parameter.
 */
void
tguard_tenant_bind(QueryDesc *queryDesc, const TenantIdentity *identity)
{
	ParamListInfo original = queryDesc->params;
	int			count = original ? original->numParams : 0;
	TenantParams *tenant = palloc(sizeof(TenantParams) +
								  offsetof(ParamListInfoData, params) +
								  count * sizeof(ParamExternData));
	ParamListInfo wrapper = (ParamListInfo) (tenant + 1);

	if (original)
		memcpy(wrapper, original, offsetof(ParamListInfoData, params) +
			   (original->paramFetch ? 0 : count * sizeof(ParamExternData)));
	else
		memset(wrapper, 0, offsetof(ParamListInfoData, params));
	tenant->original = original;
	tenant->identity = identity;
	tenant->report = NULL;
	tenant->serial = tguard_context_serial();
	wrapper->paramCompile = compile_param;
	wrapper->paramCompileArg = tenant;
	queryDesc->params = wrapper;
}

/* The identity of a tenant that is not pinned may be set anew: keep a copy. */
void
tguard_tenant_bind_unpinned(QueryDesc *queryDesc)
{
	const TenantIdentity *identity = tguard_context_peek();
	TenantIdentity *copy = NULL;

	if (identity)
	{
		copy = palloc(tguard_identity_size(identity->text));
		tguard_identity_parse(identity->text, copy);
	}
	tguard_tenant_bind(queryDesc, copy);
}

TenantParams *
tguard_tenant_bound(QueryDesc *queryDesc)
{
	if (queryDesc->params &&
		queryDesc->params->paramCompile == compile_param)
		return queryDesc->params->paramCompileArg;
	return NULL;
}
