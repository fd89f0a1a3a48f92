/*
 * reference.c
 *	  The queries of foreign keys, which see every tenant.
 *
 * A foreign key's checks and cascades are SQL that the server itself plans
 * through SPI.  They have to see all rows: a filtered check would call a
 * dangling row valid, a filtered cascade would leave orphans.
 *
 * The server runs them under the flag SECURITY_NOFORCE_RLS, and validates a
 * new key inside ALTER TABLE.  The flag alone proves nothing: triggers, CHECK
 * constraints and casts that run in a cascade run under it too, with whatever
 * statements their authors wrote.  So three things are asked besides.
 *
 * Who calls?  Between the executor (or ALTER TABLE) and the planning of a
 * foreign key's query there is exactly one error context, SPI's own.  Every
 * procedural language and SQL function pushes another one first; their
 * addresses differ.  SPI's callback is private, so its address is learned
 * once, by planning a query of our own through SPI.
 *
 * What?  Functions written in C, such as query_to_xml(), may run a caller's
 * text through SPI without an error context of their own.  So the query must be
 * one that the server writes: one relation, found by exactly the columns of one
 * side of a foreign key, compared with parameters, while a statement changes
 * the other side; a SELECT returns a constant.
 *
 * While a key is validated there are no parameters.  There the query must be
 * planned by the ALTER TABLE itself, not by an executor below it (a cast of
 * the key's type may be a user's function, inlined into the very query), and
 * the ALTER TABLE must evaluate no user's expression over its rows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "executor/spi.h"
#include "guard/owner.h"
#include "guard/reference.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* An executor or utility call that runs. */
typedef struct CallFrame
{
	ErrorContextCallback *stack;	/* top of the error contexts at its entry */
	SubTransactionId subid;
	const PlannedStmt *plan;	/* what runs; NULL for a utility statement */
	List	   *cascaded;		/* OIDs that foreign keys changed on its
								 * behalf */
	bool		noforce;		/* a utility call that began under the flag */
	bool		validates;		/* a statement that validates keys */
	bool		loads;			/* COPY, which checks its own rows */
} CallFrame;

/*
 * The calls, innermost last, in memory of our own: after an error the frames
 * of what failed have to be found when its stack is no longer there.
 */
static CallFrame *frames = NULL;
static int	frame_count = 0;
static int	frame_space = 0;

static int
enter(const PlannedStmt *plan, Node *statement)
{
	CallFrame  *frame;

	if (frame_count == frame_space)
	{
		int			space = Max(32, frame_space * 2);

		frames = frames ? repalloc(frames, space * sizeof(CallFrame)) :
			MemoryContextAlloc(TopMemoryContext, space * sizeof(CallFrame));
		memset(frames + frame_space, 0,
			   (space - frame_space) * sizeof(CallFrame));
		frame_space = space;
	}
	frame = &frames[frame_count];
	frame->stack = error_context_stack;
	frame->subid = GetCurrentSubTransactionId();
	frame->plan = plan;
	if (frame->cascaded != NIL)
	{
		list_free(frame->cascaded);
		frame->cascaded = NIL;
	}
	frame->noforce = plan == NULL && InNoForceRLSOperation();
	frame->validates = statement && tguard_reference_validates(statement);
	frame->loads = statement && IsA(statement, CopyStmt);
	tguard_owner_forget();
	return frame_count++;
}

int
tguard_reference_enter_executor(const PlannedStmt *plan)
{
	return enter(plan, NULL);
}

int
tguard_reference_enter_utility(Node *statement)
{
	return enter(NULL, statement);
}

void
tguard_reference_leave(int depth)
{
	frame_count = depth;
	tguard_owner_forget();
}

void
tguard_reference_note_start(const PlannedStmt *plan)
{
	MemoryContext old;
	ListCell   *lc;

	if (frame_count == 0)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	foreach(lc, plan->resultRelations)
		frames[frame_count - 1].cascaded =
		list_append_unique_oid(frames[frame_count - 1].cascaded,
							   rt_fetch(lfirst_int(lc), plan->rtable)->relid);
	MemoryContextSwitchTo(old);
}

static bool
is_validating(void)
{
	return frame_count > 0 && frames[frame_count - 1].validates;
}

static void (*spi_callback) (void *arg) = NULL;
static bool learning = false;

/*
 * Plan a query of our own through SPI; the planner door passes here again.  It
 * is not executed: nobody who writes down what is executed should find it.
 */
static void
learn_spi_callback(void)
{
	SPIPlanPtr	plan;

	PG_TRY();
	{
		learning = true;
		SPI_connect();
		plan = SPI_prepare("SELECT", 0, NULL);
		if (plan != NULL)
			ReleaseCachedPlan(SPI_plan_get_cached_plan(plan), NULL);
		SPI_finish();
	}
	PG_FINALLY();
	{
		learning = false;
	}
	PG_END_TRY();
}

/*
 * Is SPI's context the only one above the caller?  A procedure that commits
 * fires deferred triggers itself, below no executor: there its language's
 * context lies between.  It did not begin under the flag, as a DO or CALL
 * inside a cascade does.
 */
static bool
is_called_by_server(void)
{
	CallFrame  *caller = frame_count > 0 ? &frames[frame_count - 1] : NULL;
	ErrorContextCallback *below;

	if (error_context_stack == NULL)
		return false;
	below = error_context_stack->previous;
	if (caller && caller->plan == NULL && !caller->noforce && !caller->validates &&
		below != NULL && below != caller->stack)
		below = below->previous;
	if (below != (caller ? caller->stack : NULL))
		return false;
	if (spi_callback == NULL)
		learn_spi_callback();
	return error_context_stack->callback == spi_callback;
}

/*
 * A foreign key asks whether a row exists, and locks it, or changes rows; it
 * never reads their values.
 */
static bool
has_key_purpose(Query *query)
{
	if (query->commandType != CMD_SELECT)
		return true;
	return list_length(query->targetList) == 1 &&
		IsA(linitial_node(TargetEntry, query->targetList)->expr, Const) &&
		!query->hasAggs && !query->hasWindowFuncs && query->rowMarks != NIL;
}

/* Look through the casts that the server writes between types of a key. */
static Node *
strip_casts(Node *node)
{
	for (;;)
	{
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, CoerceViaIO))
			node = (Node *) ((CoerceViaIO *) node)->arg;
		else if (IsA(node, CollateExpr))
			node = (Node *) ((CollateExpr *) node)->arg;
		else if (IsA(node, CoerceToDomain))
			node = (Node *) ((CoerceToDomain *) node)->arg;
		else if (IsA(node, FuncExpr) && ((FuncExpr *) node)->args != NIL &&
				 ((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CALL)
			node = linitial(((FuncExpr *) node)->args);
		else
			return node;
	}
}

/*
 * The columns that are compared with parameters; NULL where anything else is.
 * The server writes the side that is referred to on the left, so a column
 * there means that the row referred to is looked up ("on_parent").
 */
static Bitmapset *
compared_columns(Query *query, bool *on_parent)
{
	List	   *quals = make_ands_implicit((Expr *) query->jointree->quals);
	Bitmapset  *result = NULL;
	ListCell   *lc;

	foreach(lc, quals)
	{
		OpExpr	   *clause = lfirst(lc);
		Node	   *left;
		Node	   *right;

		if (!IsA(clause, OpExpr) || list_length(clause->args) != 2)
			return NULL;
		left = strip_casts(linitial(clause->args));
		right = strip_casts(lsecond(clause->args));
		if (lc == list_head(quals))
			*on_parent = IsA(left, Var);
		if (!*on_parent)
		{
			Node	   *swap = left;

			left = right;
			right = swap;
		}
		if (!IsA(left, Var) || !IsA(right, Param) ||
			((Param *) right)->paramkind != PARAM_EXTERN)
			return NULL;
		result = bms_add_member(result, ((Var *) left)->varattno);
	}
	return result;
}

static Bitmapset *
columns_of_array(Datum array)
{
	ArrayType  *numbers = DatumGetArrayTypeP(array);
	int			count = ARR_DIMS(numbers)[0];
	Bitmapset  *result = NULL;

	for (int i = 0; i < count; i++)
		result = bms_add_member(result, ((int16 *) ARR_DATA_PTR(numbers))[i]);
	return result;
}

/* Is a relation the same as another, or a partition of it, or it of this one? */
static bool
is_same_table(Oid one, Oid other)
{
	return one == other ||
		(get_rel_relispartition(one) &&
		 list_member_oid(get_partition_ancestors(one), other)) ||
		(get_rel_relispartition(other) &&
		 list_member_oid(get_partition_ancestors(other), one));
}

/*
 * Does the statement whose trigger asks change rows of this relation, be it
 * through another foreign key?
 */
static bool
caller_changes(Oid relid)
{
	CallFrame  *frame = frame_count > 0 ? &frames[frame_count - 1] : NULL;
	ListCell   *lc;

	if (frame == NULL || frame->plan == NULL)
		return false;
	foreach(lc, frame->cascaded)
	{
		if (is_same_table(lfirst_oid(lc), relid))
			return true;
	}
	foreach(lc, frame->plan->resultRelations)
	{
		if (is_same_table(rt_fetch(lfirst_int(lc), frame->plan->rtable)->relid,
						  relid))
			return true;
	}
	return false;
}

static bool
has_columns(HeapTuple tuple, TupleDesc desc, AttrNumber side,
			Bitmapset *columns)
{
	bool		isnull;
	Datum		numbers = heap_getattr(tuple, side, desc, &isnull);

	return bms_equal(columns, columns_of_array(numbers));
}

/*
 * Does a foreign key explain the query?  A check looks at either side, and at
 * the end of a transaction no statement asks for it.  A cascade changes the
 * referencing side, because the referenced one was changed.  A look-up of the
 * other row is also made for a row that was referred to and has gone.
 */
static bool
explains(HeapTuple tuple, TupleDesc desc, Query *query, Oid relid,
		 Bitmapset *columns, bool on_parent)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	bool		check = query->commandType == CMD_SELECT;
	bool		ended = frame_count == 0 ||
	frames[frame_count - 1].plan == NULL;

	if (form->contype != CONSTRAINT_FOREIGN)
		return false;
	if (on_parent)
		return check && form->confrelid == relid &&
			has_columns(tuple, desc, Anum_pg_constraint_confkey, columns) &&
			(ended || caller_changes(form->conrelid) ||
			 caller_changes(form->confrelid));
	return form->conrelid == relid &&
		has_columns(tuple, desc, Anum_pg_constraint_conkey, columns) &&
		((check && ended) || caller_changes(form->confrelid));
}

/*
 * Does the query find its rows by one side of a foreign key, on behalf of the
 * other?  The catalog is read through; the server caches the plans that this
 * is asked for.  Returns such a key, or InvalidOid.
 */
static Oid
find_key(Query *query, bool *on_parent)
{
	Bitmapset  *columns = compared_columns(query, on_parent);
	RangeTblEntry *rte = linitial(query->rtable);
	Relation	constraints;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	if (columns == NULL || rte->rtekind != RTE_RELATION)
		return InvalidOid;
	constraints = table_open(ConstraintRelationId, AccessShareLock);
	scan = systable_beginscan(constraints, InvalidOid, false, NULL, 0, NULL);
	while (!OidIsValid(found) &&
		   HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (explains(tuple, RelationGetDescr(constraints), query, rte->relid,
					 columns, *on_parent))
			found = ((Form_pg_constraint) GETSTRUCT(tuple))->oid;
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return found;
}

/* Does the query select nothing but referencing columns of this key? */
static bool
selects_key(Query *query, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	bool		isnull;
	Bitmapset  *columns =
	columns_of_array(heap_getattr(tuple, Anum_pg_constraint_conkey, desc,
								  &isnull));
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(var, Var) || var->varlevelsup != 0 ||
			rt_fetch(var->varno, query->rtable)->relid != form->conrelid ||
			!bms_is_member(var->varattno, columns))
			return false;
	}
	return true;
}

/*
 * Does the query look for dangling rows of a foreign key?  It joins the two
 * sides of one, which is in the catalog by now, and selects the key's columns.
 */
static bool
validates_key(Query *query)
{
	List	   *relids = NIL;
	ListCell   *lc;
	Relation	constraints;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION)
			relids = lappend_oid(relids, rte->relid);
	}
	if (list_length(relids) != 2)
		return false;
	constraints = table_open(ConstraintRelationId, AccessShareLock);
	scan = systable_beginscan(constraints, InvalidOid, false, NULL, 0, NULL);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		found = form->contype == CONSTRAINT_FOREIGN &&
			form->conrelid == linitial_oid(relids) &&
			is_same_table(form->confrelid, lsecond_oid(relids)) &&
			selects_key(query, tuple, RelationGetDescr(constraints));
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return found;
}

/* Plain relations and their join, no sub-selects, no functions in FROM. */
static bool
has_plain_shape(Query *query, int most_relations)
{
	ListCell   *lc;
	int			count = 0;

	if (query->commandType == CMD_INSERT || query->commandType == CMD_MERGE ||
		query->hasSubLinks || query->hasTargetSRFs || query->cteList != NIL ||
		query->hasModifyingCTE || query->returningList != NIL)
		return false;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION)
			count++;
		else if (rte->rtekind != RTE_JOIN)
			return false;
	}
	return count >= 1 && count <= most_relations;
}

bool
tguard_reference_is_likely(void)
{
	return learning || InNoForceRLSOperation() || is_validating();
}

/* The query of a check or of a cascade. */
static bool
prepare_by_key(Query *query)
{
	bool		on_parent = false;
	Oid			key;

	if (!has_plain_shape(query, 1) || !has_key_purpose(query) ||
		!is_called_by_server())
		return false;
	key = find_key(query, &on_parent);
	if (!OidIsValid(key))
		return false;
	tguard_reference_hold(query, key, on_parent);
	return true;
}

bool
tguard_reference_prepare(Query *query)
{
	if (learning)
	{
		spi_callback = error_context_stack->callback;
		return false;
	}
	if (InNoForceRLSOperation())
		return prepare_by_key(query);
	return is_validating() && query->commandType == CMD_SELECT &&
		has_plain_shape(query, 2) && is_called_by_server() &&
		validates_key(query);
}

bool
tguard_reference_is_immediate(void)
{
	return frame_count > 0 && (frames[frame_count - 1].plan != NULL ||
							   frames[frame_count - 1].loads);
}

void
tguard_reference_subtransaction_aborted(SubTransactionId subid)
{
	tguard_owner_forget();
	while (frame_count > 0 && frames[frame_count - 1].subid >= subid)
		frame_count--;
}

void
tguard_reference_transaction_aborted(void)
{
	int			kept = 0;

	tguard_owner_forget();

	if (error_context_stack != NULL)	/* ROLLBACK inside a procedure */
	{
		while (kept < frame_count && frames[kept].plan == NULL)
			kept++;
	}
	frame_count = kept;
}

bool
tguard_reference_is_running(void)
{
	return InNoForceRLSOperation() || is_validating();
}
