/*
 * publications.c
 *	  Publications that would send the rows of every tenant.
 *
 * What a publication sends is read from the log of changes, past every filter
 * but its own.  So a guarded relation is published with a row filter that names
 * one tenant, (tenant_column = constant) alone or with more by AND, or under a
 * bypass.  FOR ALL TABLES and TABLES IN SCHEMA also send what is made later,
 * and have no filter: they take a bypass once anything is guarded.
 *
 * Judged by OID once the command has run, since what it names may be spelled,
 * and excepted, in many ways.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "base/errors.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "guard/publications.h"
#include "guard/under_tenant.h"
#include "nodes/nodeFuncs.h"
#include "relations/cache.h"
#include "relations/catalog.h"
#include "tenant/bypass.h"
#include "tenant/registry.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static char *
publication_named(Node *statement)
{
	if (IsA(statement, CreatePublicationStmt))
		return ((CreatePublicationStmt *) statement)->pubname;
	if (IsA(statement, AlterPublicationStmt))
		return ((AlterPublicationStmt *) statement)->pubname;
	return NULL;
}

/* ---------------------------------------------------------------------
 * Row filters
 * ---------------------------------------------------------------------
 */

static bool
is_column(Node *node, AttrNumber column)
{
	if (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return IsA(node, Var) && ((Var *) node)->varattno == column;
}

static bool
is_constant(Node *node)
{
	if (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return IsA(node, Const) && !((Const *) node)->constisnull;
}

/*
 * Does it keep all rows away but those of one tenant?  The server permits none
 * but its own operators in here, so "=" is what it looks like.
 */
static bool
names_tenant(Node *filter, AttrNumber column)
{
	ListCell   *lc;

	if (is_andclause(filter))
	{
		foreach(lc, ((BoolExpr *) filter)->args)
		{
			if (names_tenant(lfirst(lc), column))
				return true;
		}
		return false;
	}
	if (!IsA(filter, OpExpr) || list_length(((OpExpr *) filter)->args) != 2)
		return false;
	if (strcmp(get_opname(((OpExpr *) filter)->opno), "=") != 0)
		return false;
	return (is_column(linitial(((OpExpr *) filter)->args), column) &&
			is_constant(lsecond(((OpExpr *) filter)->args))) ||
		(is_constant(linitial(((OpExpr *) filter)->args)) &&
		 is_column(lsecond(((OpExpr *) filter)->args), column));
}

/* Shared rows are everybody's; a parent of guarded ones has no column. */
static bool
is_filtered(Oid publication, Oid relid)
{
	const GuardedRelation *relation = tguard_relation(relid);
	AttrNumber	column = relation->column;
	HeapTuple	tuple;
	Datum		filter;
	bool		isnull;
	bool		result;

	if (relation->mode == RELATION_SHARED)
		return true;
	tuple = SearchSysCache2(PUBLICATIONRELMAP, ObjectIdGetDatum(relid),
							ObjectIdGetDatum(publication));
	if (!HeapTupleIsValid(tuple))
		return false;
	filter = SysCacheGetAttr(PUBLICATIONRELMAP, tuple,
							 Anum_pg_publication_rel_prqual, &isnull);
	result = !isnull && column > 0 &&
		names_tenant(stringToNode(TextDatumGetCString(filter)), column);
	ReleaseSysCache(tuple);
	return result;
}

/* ---------------------------------------------------------------------
 * What is sent
 * ---------------------------------------------------------------------
 */

static TguardPublished
published_by(const char *name)
{
	TguardPublished result = {false, NIL, NIL};
	Publication *publication = name ? GetPublicationByName(name, true) : NULL;
	ListCell   *lc;

	if (publication == NULL)
		return result;
	result.everything = publication->alltables;
	if (publication->alltables)
		return result;
	result.schemas = GetPublicationSchemas(publication->oid);
	foreach(lc, GetPublicationRelations(publication->oid,
										PUBLICATION_PART_ROOT))
	{
		if (tguard_touches_guarded(lfirst_oid(lc)) &&
			!is_filtered(publication->oid, lfirst_oid(lc)))
			result.relations = lappend_oid(result.relations, lfirst_oid(lc));
	}
	return result;
}

static bool
anything_is_guarded(void)
{
	return OidIsValid(tguard_registry_relation()) ||
		tguard_catalog_list() != NIL;
}

static void
refuse(const char *name, const char *what)
{
	tguard_bypass_demand(REASON_DDL,
						 psprintf("publish %s in publication \"%s\"", what,
								  name),
						 "it would send the rows of every tenant.");
}

TguardPublished
tguard_publications_before(Node *statement)
{
	return published_by(publication_named(statement));
}

void
tguard_publications_after(Node *statement, const TguardPublished *before)
{
	char	   *name = publication_named(statement);
	TguardPublished after;
	List	   *more;

	if (name == NULL)
		return;
	CommandCounterIncrement();
	after = published_by(name);
	more = list_difference_oid(after.relations, before->relations);
	if (more != NIL)
		refuse(name, psprintf("guarded relation \"%s\" without a row filter by tenant",
							  get_rel_name(linitial_oid(more))));
	else if (after.everything && !before->everything && anything_is_guarded())
		refuse(name, "all tables");
	else if (list_difference_oid(after.schemas, before->schemas) != NIL &&
			 anything_is_guarded())
		refuse(name, "all tables of a schema");
}
