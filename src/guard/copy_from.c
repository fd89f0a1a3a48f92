/*
 * copy_from.c
 *	  COPY FROM into guarded relations.
 *
 * The server refuses COPY FROM to roles that are subject to row security, and
 * lets all others load what they like.  So there is a path of our own over the
 * server's COPY functions, which makes every check that the server makes, in
 * its order: server files and programs, INSERT privilege by column (with the
 * executor's permission hook), columns in WHERE, read-only transactions.  What
 * it adds is one condition that raises on a foreign row, with the line, and
 * the tenant for a column that the list leaves out.  The condition is stable,
 * so that rows go on being inserted in batches.
 *
 * It is evaluated before BEFORE ROW triggers, which could still change the
 * tenant; where there is one, copy_rows.c checks after it.  Policies of the
 * user's own are the server's business: where one applies, its refusal stands.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "executor/executor.h"
#include "guard/copy_from.h"
#include "guard/copy_rows.h"
#include "guard/derived.h"
#include "guard/row_filter.h"
#include "guard/visible.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "relations/policy.h"
#include "tcop/utility.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

/* ---------------------------------------------------------------------
 * The server's checks
 * ---------------------------------------------------------------------
 */

static void
demand_server_access(CopyStmt *statement)
{
	Oid			role = statement->is_program ?
	ROLE_PG_EXECUTE_SERVER_PROGRAM : ROLE_PG_READ_SERVER_FILES;

	if (statement->filename && !has_privs_of_role(GetUserId(), role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 TGUARD_COPY_DENIED(statement->is_program),
				 errhint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.")));
}

/* The columns that the statement writes, as the permission check wants them. */
static Bitmapset *
written_columns(Relation relation, List *attlist)
{
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *result = NULL;
	ListCell   *lc;

	foreach(lc, attlist)
	{
		AttrNumber	column = get_attnum(RelationGetRelid(relation),
										strVal(lfirst(lc)));

		if (column != InvalidAttrNumber)	/* if not, BeginCopyFrom says so */
			result = bms_add_member(result, column -
									FirstLowInvalidHeapAttributeNumber);
	}
	for (int i = 0; attlist == NIL && i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && !attribute->attgenerated)
			result = bms_add_member(result, attribute->attnum -
									FirstLowInvalidHeapAttributeNumber);
	}
	return result;
}

/* Generated columns have no value yet when WHERE is evaluated. */
static void
demand_computed(Oid relid, Node *where)
{
	Relation	relation = table_open(relid, NoLock);
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *columns = NULL;
	bool		whole;

	pull_varattnos(where, 1, &columns);
	whole = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attgenerated && !attribute->attisdropped &&
			(whole || bms_is_member(attribute->attnum -
									FirstLowInvalidHeapAttributeNumber,
									columns)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("generated columns are not supported in COPY FROM WHERE conditions"),
					 errdetail("Column \"%s\" is a generated column.",
							   NameStr(attribute->attname))));
	}
	table_close(relation, NoLock);
}

/* The statement's own WHERE, as a list of conditions. */
static List *
transform_where(ParseState *pstate, ParseNamespaceItem *nsitem, Node *where)
{
	if (where == NULL)
		return NIL;
	addNSItemToQuery(pstate, nsitem, false, true, true);
	where = transformExpr(pstate, where, EXPR_KIND_COPY_WHERE);
	where = coerce_to_boolean(pstate, where, "WHERE");
	assign_expr_collations(pstate, where);
	demand_computed(nsitem->p_rte->relid, where);
	where = eval_const_expressions(NULL, where);
	where = (Node *) canonicalize_qual((Expr *) where, false);
	return make_ands_implicit((Expr *) where);
}

/* ---------------------------------------------------------------------
 * What the guard adds
 * ---------------------------------------------------------------------
 */

/* Can a trigger change the row after COPY's own condition has judged it? */
static bool
has_row_trigger(Relation relation)
{
	return relation->trigdesc && relation->trigdesc->trig_insert_before_row;
}

static bool
has_triggers(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;			/* dropped meanwhile */
	result = ((Form_pg_class) GETSTRUCT(tuple))->relhastriggers;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Most partitions of a large table take no row of a COPY, so they are locked
 * only where there is something to look at.
 */
static bool
changes_rows(Relation relation)
{
	List	   *members;
	ListCell   *lc;

	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return has_row_trigger(relation);
	members = find_all_inheritors(RelationGetRelid(relation), NoLock, NULL);
	foreach(lc, members)
	{
		Relation	member = has_triggers(lfirst_oid(lc)) ?
		try_table_open(lfirst_oid(lc), RowExclusiveLock) : NULL;
		bool		triggered = member && has_row_trigger(member);

		if (member)
			table_close(member, NoLock);
		if (triggered)
			return true;
	}
	return false;
}

/*
 * A partition may be attached, or get a trigger, while rows are read, and take
 * some of them.  What the trigger did to those is not known.
 */
static void
demand_unchanged(Relation relation)
{
	if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		changes_rows(relation))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot copy into guarded relation \"%s\"",
						RelationGetRelationName(relation)),
				 errdetail(REASON_COPY ": a partition got a BEFORE ROW trigger, or was attached with one, meanwhile."),
				 tguard_reason(REASON_COPY),
				 errhint("Repeat the command.")));
}

static Expr *
make_check(const GuardedRelation *relation)
{
	return (Expr *)
		makeFuncExpr(tguard_extension()->check_tenant[relation->kind],
					 BOOLOID,
					 list_make3(tguard_filter_column(relation, 1),
								makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
										  ObjectIdGetDatum(relation->relid),
										  false, true),
								makeConst(INT4OID, -1, InvalidOid,
										  sizeof(int32),
										  Int32GetDatum(CHECK_NEW), false,
										  true)),
					 InvalidOid, relation->collation, COERCE_EXPLICIT_CALL);
}

/* Does the statement read the column from its input? */
static bool
is_read(const GuardedRelation *relation, List *attlist)
{
	char	   *name = get_attname(relation->relid, relation->column, false);
	ListCell   *lc;

	foreach(lc, attlist)
	{
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return true;
	}
	return attlist == NIL;
}

/* Where a row does not say whose it is, it is the tenant's. */
static void
fill_omitted(CopyFromState copy, const GuardedRelation *relation,
			 const TenantIdentity *identity, List *attlist)
{
	MemoryContext old = MemoryContextSwitchTo(copy->copycontext);
	Oid			type = tguard_key_type(relation->kind);
	int16		length;
	bool		byval;
	Node	   *tenant;

	get_typlenbyval(type, &length, &byval);
	tenant = (Node *) makeConst(type, -1, get_typcollation(type), length,
								datumCopy(tguard_identity_datum(identity,
																relation->kind),
										  byval, length), false, byval);
	tenant = coerce_to_target_type(NULL, tenant, type, relation->type,
								   relation->typmod, COERCION_ASSIGNMENT,
								   COERCE_IMPLICIT_CAST, -1);
	tguard_copy_set_default(copy, relation->column,
							ExecInitExpr((Expr *) tenant, NULL),
							is_read(relation, attlist));
	MemoryContextSwitchTo(old);
}

/* Does a policy of the user's own stand between this role and the relation? */
static bool
has_user_policy(Relation relation)
{
	ListCell   *lc;

	if (relation->rd_rsdesc == NULL)
		return false;
	foreach(lc, relation->rd_rsdesc->policies)
	{
		if (!tguard_policy_is_own(lfirst(lc)))
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------------
 * The command
 * ---------------------------------------------------------------------
 */

static uint64
load_checked(ParseState *pstate, CopyFromState copy,
			 const GuardedRelation *guarded, bool by_rows)
{
	uint64		processed;

	if (by_rows)
		return tguard_copy_rows(pstate, copy);
	processed = CopyFrom(copy);
	if (guarded->mode != RELATION_DERIVED)
		demand_unchanged(copy->rel);
	return processed;
}

/* "identity" is NULL where nothing is to be checked: a bypass, or a report. */
static uint64
load(ParseState *pstate, CopyStmt *statement, Relation relation,
	 const GuardedRelation *guarded, const TenantIdentity *identity)
{
	ParseNamespaceItem *nsitem =
	addRangeTableEntryForRelation(pstate, relation, RowExclusiveLock,
								  NULL, false, false);
	bool		derived = guarded->mode == RELATION_DERIVED;
	bool		by_rows = identity && (derived ? tguard_derived_needs_check(guarded) :
									   changes_rows(relation));
	CopyFromState copy;
	List	   *where;
	uint64		processed;

	tguard_demand_insert(pstate, nsitem,
						 written_columns(relation, statement->attlist));
	where = transform_where(pstate, nsitem, statement->whereClause);
	if (identity && !by_rows && !derived)
		where = lappend(where, make_check(guarded));
	if (XactReadOnly && !relation->rd_islocaltemp)
		PreventCommandIfReadOnly("COPY FROM");
	copy = BeginCopyFrom(pstate, relation, (Node *) where,
						 statement->filename, statement->is_program, NULL,
						 statement->attlist, statement->options);
	if (identity)
	{
		if (!derived)
			fill_omitted(copy, guarded, identity, statement->attlist);
		processed = load_checked(pstate, copy, guarded, by_rows);
	}
	else
		processed = CopyFrom(copy);
	EndCopyFrom(copy);
	return processed;
}

static const TenantIdentity *
require_tenant(void)
{
	const TenantIdentity *identity = tguard_context_require();

	if (identity == NULL)
		tguard_context_complain();
	return identity;
}

Oid
tguard_copy_from_relation(CopyStmt *statement)
{
	Oid			relid = RangeVarGetRelid(statement->relation,
										 RowExclusiveLock, true);
	GuardedRelation guarded;
	bool		guard = (tguard_mode() == MODE_GUARD);
	bool		policies;
	Relation	relation;

	if (!OidIsValid(relid))
		return InvalidOid;
	guarded = *tguard_relation(relid);
	if (!tguard_mode_holds(guarded.mode) && !guarded.below)
		return InvalidOid;
	if (!tguard_mode_filters(guarded.mode) || guarded.mode == RELATION_ROOT ||
		!guard)
		tguard_bypass_demand(guarded.mode == RELATION_SHARED ? REASON_SHARED :
							 REASON_COPY,
							 psprintf("copy into relation \"%s\"",
									  get_rel_name(relid)),
							 "nothing would say whose the new rows are.");
	/* a bypass leaves nothing for row_security = off to complain of */
	policies = check_enable_rls(relid, InvalidOid,
								tguard_mode() == MODE_BYPASS) == RLS_ENABLED;
	if (!guard && !policies)
		return InvalidOid;
	if (!policies)
		return relid;

	relation = table_open(relid, NoLock);
	if (has_user_policy(relation))
		relid = InvalidOid;		/* the server refuses it */
	table_close(relation, NoLock);
	return relid;
}

uint64
tguard_copy_from(ParseState *pstate, Oid relid, CopyStmt *statement)
{
	Relation	relation = table_open(relid, NoLock);
	GuardedRelation guarded = *tguard_relation(relid);
	bool		guard = (tguard_mode() == MODE_GUARD);
	uint64		processed;

	PreventCommandIfParallelMode("COPY FROM");
	demand_server_access(statement);
	if (guard)
		tguard_relation_demand_column(&guarded);
	processed = load(pstate, statement, relation, &guarded,
					 guard ? require_tenant() : NULL);
	table_close(relation, NoLock);
	return processed;
}
