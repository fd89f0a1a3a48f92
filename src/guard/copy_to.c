/*
 * copy_to.c
 *	  COPY TO, which reaches rows without the planner.
 *
 * It becomes the COPY of a query over the same columns, and the planner
 * filters that.
 */
#include "postgres.h"

#include "access/table.h"
#include "base/compat.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/copy.h"
#include "guard/copy_to.h"
#include "nodes/makefuncs.h"
#include "relations/cache.h"
#include "tcop/tcopprot.h"
#include "tenant/bypass.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static ResTarget *
make_target(const char *column)
{
	ColumnRef  *reference = makeNode(ColumnRef);
	ResTarget  *target = makeNode(ResTarget);

	reference->fields = list_make1(makeString(pstrdup(column)));
	reference->location = -1;
	target->val = (Node *) reference;
	target->location = -1;
	return target;
}

/*
 * The columns that COPY would copy.  The server picks them: in a query of our
 * own a column list could name ctid, a generated column or the whole row.
 */
static List *
make_targets(CopyStmt *statement, Oid relid)
{
	Relation	relation = table_open(relid, NoLock);
	TupleDesc	desc = RelationGetDescr(relation);
	List	   *columns = CopyGetAttnums(desc, relation, statement->attlist);
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		targets = lappend(targets,
						  make_target(NameStr(TupleDescAttr(desc, lfirst_int(lc) - 1)->attname)));
	table_close(relation, NoLock);
	return targets;
}

/*
 * Name the relation by what it resolved to: the lock keeps it, and no other
 * of the same name can slip in before the query is analyzed.
 */
static CopyStmt *
copy_query(CopyStmt *statement, Oid relid)
{
	CopyStmt   *result = copyObject(statement);
	SelectStmt *query = makeNode(SelectStmt);
	RangeVar   *name = makeRangeVar(get_namespace_name(get_rel_namespace(relid)),
									get_rel_name(relid), -1);

	name->inh = false;
	query->targetList = make_targets(statement, relid);
	query->fromClause = list_make1(name);
	result->relation = NULL;
	result->attlist = NIL;
	result->query = (Node *) query;
	return result;
}

CopyStmt *
tguard_copy_to(CopyStmt *statement)
{
	Oid			relid;

	if (statement->relation == NULL || statement->is_from)
		return statement;
	relid = RangeVarGetRelid(statement->relation, AccessShareLock, true);
	if (!OidIsValid(relid) ||
		!tguard_mode_filters(tguard_relation(relid)->mode))
		return statement;
	if (tguard_mode() == MODE_BYPASS)
		tguard_bypass_log(debug_query_string);
	if (tguard_mode() != MODE_GUARD ||
		!TGUARD_COPIES_FROM(get_rel_relkind(relid)))
		return statement;		/* other kinds the server refuses itself */
	return copy_query(statement, relid);
}
