/*
 * link_size.c
 *	  How many rows and parents has a tenant, as far as statistics tell?
 *
 * A tenant's share of a derived relation is taken for its share of the
 * relation with a tenant column that the first link leads to.  If the plan is
 * for one tenant, that is among the most common values of the column or not;
 * else the average is all that is known.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "guard/link_size.h"
#include "guard/plan.h"
#include "miscadmin.h"
#include "relations/links.h"
#include "tenant/context.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* What the planner takes for the number of values without statistics. */
#define TENANTS_UNKNOWN 200.0

/* Bytes for one parent: twice in an array that grows, and in a hash table. */
#define PARENT_BYTES 64.0

/*
 * Costs, in rows that are found by an index and read: to ask for one parent,
 * to look for the children of one that was gathered, and to sort out one row of
 * a scan by the hash table.  Measured in instructions (docs/performance.md).
 */
#define COST_ASK 2.5
#define COST_SEARCH 8.0
#define COST_SIFT 0.7

/* What a tenant has. */
typedef struct TenantSize
{
	double		share;			/* of all rows; 0: nothing is known */
	bool		named;			/* known of this very tenant */
	double		parents;		/* rows of all relations that are gathered */
	int			steps;			/* how many these are */
} TenantSize;

static double
row_count(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		result;

	if (!HeapTupleIsValid(tuple))
		return 0;
	result = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	ReleaseSysCache(tuple);
	return Max(result, 0);
}

/* The share of the plan's one tenant, if the statistics name it; else 0. */
static double
named_share(const GuardedRelation *relation, HeapTuple statistics)
{
	const TenantIdentity *identity = tguard_context_peek();
	AttStatsSlot slot;
	double		result = 0;

	if (identity == NULL ||
		!IsA(tguard_plan_tenant(relation->kind), Const) ||
		!get_attstatsslot(&slot, statistics, STATISTIC_KIND_MCV, InvalidOid,
						  ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		return 0;
	for (int i = 0; i < slot.nvalues && i < slot.nnumbers; i++)
	{
		if (tguard_identity_matches(identity, relation->kind, slot.values[i]))
			result = slot.numbers[i];
	}
	free_attstatsslot(&slot);
	return result;
}

static double
average_share(const GuardedRelation *relation, HeapTuple statistics)
{
	double		tenants = HeapTupleIsValid(statistics) ?
	((Form_pg_statistic) GETSTRUCT(statistics))->stadistinct : 0;

	if (tenants < 0)
		tenants = -tenants * row_count(relation->relid);
	return 1 / (tenants >= 1 ? tenants : TENANTS_UNKNOWN);
}

/* Of a relation with a tenant column. */
static double
column_share(const GuardedRelation *relation, bool *named)
{
	bool		inherited =
	get_rel_relkind(relation->relid) == RELKIND_PARTITIONED_TABLE;
	HeapTuple	statistics = SearchSysCache3(STATRELATTINH,
											 ObjectIdGetDatum(relation->relid),
											 Int16GetDatum(relation->column),
											 BoolGetDatum(inherited));
	double		result = HeapTupleIsValid(statistics) ?
	named_share(relation, statistics) : 0;

	*named = result > 0;
	if (!*named)
		result = average_share(relation, statistics);
	if (HeapTupleIsValid(statistics))
		ReleaseSysCache(statistics);
	return result;
}

static void
measure(Oid relid, TenantSize *size)
{
	GuardedRelation relation = *tguard_relation(relid);

	if (relation.lost || !tguard_mode_filters(relation.mode))
		return;
	if (relation.links == NIL)
	{
		size->share = column_share(&relation, &size->named);
		return;
	}
	if (++size->steps > LINKS_DEPTH)
		return;
	relid = ((RelationLink *) linitial(relation.links))->parent;
	size->parents += row_count(relid);
	measure(relid, size);
}

bool
tguard_link_parents_too_many(const GuardedRelation *relation)
{
	TenantSize	size = {0};
	double		bytes = 0;
	ListCell   *lc;

	measure(relation->relid, &size);
	foreach(lc, relation->links)
	{
		RelationLink *link = lfirst(lc);
		Oid			type = get_atttype(link->parent,
									   linitial_int(link->parent_columns));
		int			width = get_typbyval(type) ? 0 :
		get_typavgwidth(type, -1);

		bytes += row_count(link->parent) * (PARENT_BYTES + width);
	}
	return size.share * bytes > get_hash_memory_limit();
}

bool
tguard_link_first_rows(const GuardedRelation *relation, double wanted)
{
	TenantSize	size = {0};

	measure(relation->relid, &size);
	/* a tenant of unknown size may have no rows where the index begins */
	return size.named && size.share > 0 &&
		wanted / size.share * (1 + size.steps * COST_ASK) <
		size.share * (row_count(relation->relid) + size.parents);
}

bool
tguard_link_scan_is_cheaper(const GuardedRelation *relation)
{
	TenantSize	size = {0};
	RelationLink *link = linitial(relation->links);
	double		rows = row_count(relation->relid);

	measure(relation->relid, &size);
	return rows * COST_SIFT <
		size.share * (rows + row_count(link->parent) * COST_SEARCH);
}
