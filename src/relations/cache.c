/*
 * cache.c
 *	  How each relation is guarded, answered by OID.
 *
 * A relation is guarded from the moment that it has a row in
 * tenantguard.guarded_relation and row security is enabled on it: the second
 * half lets a dump be restored, whose ENABLE ROW LEVEL SECURITY comes after
 * the data.  A partition or an inheritance child is guarded like its parent,
 * so that naming it directly gains nothing; but one with a row of its own
 * waits, too, until its row security is enabled, since a parallel restore
 * enables the parent's while the partitions are still being filled.  Where no
 * row says anything, the generated policies do, which a dump of the schema
 * alone keeps.
 *
 * Answers are kept per backend until a relcache invalidation for the relation
 * arrives.  The catalog sends one for a relation, and for all its children,
 * when its row changes.  Reading an entry may itself process invalidations,
 * hence the generation number.
 *
 * Nobody says that a relation is gone for good, so entries that are not valid
 * are thrown away now and then, between transactions, when no caller holds one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "base/errors.h"
#include "base/retired.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "relations/cache.h"
#include "relations/catalog.h"
#include "relations/links.h"
#include "relations/policy.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* How many invalid ones may stay: sessions drop temporary tables for years. */
#define STALE_KEPT 1024

static HTAB *relations = NULL;
GuardedRelation *tguard_relation_recent[TGUARD_RECENT];
static uint32 generation = 0;
static uint32 stale = 0;

static const GuardedRelation unguarded = {.mode = RELATION_UNGUARDED};

bool
tguard_mode_filters(RelationMode mode)
{
	return mode >= RELATION_TENANT;
}

bool
tguard_mode_holds(RelationMode mode)
{
	return mode == RELATION_SHARED || tguard_mode_filters(mode);
}

RelationMode
tguard_mode_named(const char *name)
{
	if (strcmp(name, "tenant") == 0)
		return RELATION_TENANT;
	if (strcmp(name, "root") == 0)
		return RELATION_ROOT;
	if (strcmp(name, "tenant_or_shared") == 0)
		return RELATION_TENANT_OR_SHARED;
	if (strcmp(name, "shared") == 0)
		return RELATION_SHARED;
	if (strcmp(name, "derived") == 0)
		return RELATION_DERIVED;
	return RELATION_EXEMPT;
}

/* Describe the tenant column "name" of a relation in its entry. */
static void
set_column(GuardedRelation *entry, const char *name)
{
	entry->column = get_attnum(entry->relid, name);
	if (entry->column > 0)
	{
		get_atttypetypmodcoll(entry->relid, entry->column, &entry->type,
							  &entry->typmod, &entry->collation);
		entry->kind = tguard_key_kind(entry->type);
	}
	entry->lost = entry->column <= 0 || entry->kind == KEY_NONE;
}

/*
 * Does the parent, as it is guarded now, say whose rows it has?  What is
 * unguarded or shared cannot.
 */
static bool
leads_to_tenant(const RelationLink *link, bool *shared)
{
	const GuardedRelation *parent = tguard_relation(link->parent);

	*shared |= parent->shows_shared;
	return tguard_mode_filters(parent->mode) &&
		parent->mode != RELATION_ROOT && !parent->lost &&
		tguard_link_is_unique(link);
}

/*
 * Describe a derived relation's links.  Its parents are described meanwhile:
 * one that is being described already would close a circle.
 */
static void
set_links(GuardedRelation *entry)
{
	static Oid	under_way[LINKS_DEPTH];
	static int	depth = 0;
	MemoryContext old;
	bool		whole;
	ListCell   *lc;

	entry->links_context = AllocSetContextCreate(CurrentMemoryContext,
												 "tenantguard links",
												 ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(entry->links_context);
	entry->links = tguard_links_read(entry->relid, &whole);
	MemoryContextSwitchTo(old);
	entry->lost = entry->links == NIL || depth == LINKS_DEPTH;
	for (int i = 0; i < depth; i++)
		entry->lost |= under_way[i] == entry->relid;
	if (entry->lost)
		return;
	PG_TRY();
	{
		under_way[depth++] = entry->relid;
		foreach(lc, entry->links)
			entry->lost |= !leads_to_tenant(lfirst(lc), &entry->shows_shared);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

/* What the mode needs to know of the relation. */
static void
set_details(GuardedRelation *entry, const char *column)
{
	if (entry->mode == RELATION_DERIVED)
		set_links(entry);
	else if (tguard_mode_filters(entry->mode))
		set_column(entry, column);
	entry->shows_shared |= entry->mode == RELATION_TENANT_OR_SHARED;
}

void
tguard_relation_demand_column(const GuardedRelation *relation)
{
	if (relation->lost && relation->mode == RELATION_DERIVED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("guarded relation \"%s\" has lost a link to its tenant",
						get_rel_name(relation->relid)),
				 errdetail(REASON_LINK_LOST ": a column, the parent, its unique key or its protection is missing."),
				 tguard_reason(REASON_LINK_LOST),
				 errhint("See tenantguard.links; restore what is missing, or call tenantguard.unprotect() under a bypass and tenantguard.derive().")));
	if (relation->lost)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("guarded relation \"%s\" has lost its tenant column",
						get_rel_name(relation->relid)),
				 errdetail(REASON_COLUMN_LOST ": the column is missing or no longer of a type that can name a tenant."),
				 tguard_reason(REASON_COLUMN_LOST),
				 errhint("Restore the column, or call tenantguard.unprotect() under a bypass.")));
}

bool
tguard_relation_in_force(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	result = form->relrowsecurity ||
		(form->relkind != RELKIND_RELATION &&
		 form->relkind != RELKIND_PARTITIONED_TABLE);
	ReleaseSysCache(tuple);
	return result;
}

static void
inherit_from_parents(GuardedRelation *entry)
{
	List	   *parents = tguard_catalog_parents(entry->relid);
	ListCell   *lc;

	foreach(lc, parents)
	{
		GuardedRelation parent = *tguard_relation(lfirst_oid(lc));

		if (parent.mode == RELATION_UNGUARDED ||
			parent.mode == RELATION_EXEMPT)
			continue;
		entry->mode = parent.mode;
		if (parent.lost)
			entry->lost = true;
		else
			set_details(entry, parent.column > 0 ?
						get_attname(parent.relid, parent.column, false) : "");
		break;
	}
	list_free(parents);
}

/* Is a child guarded, by its own row or through another parent? */
static bool
has_guarded_child(Oid relid)
{
	List	   *children = find_all_inheritors(relid, NoLock, NULL);
	ListCell   *lc;

	foreach(lc, children)
	{
		if (lfirst_oid(lc) != relid &&
			tguard_mode_holds(tguard_relation(lfirst_oid(lc))->mode))
			return true;
	}
	return false;
}

/*
 * The relation's own row.  It does not overrule a parent that filters, or a
 * partition could be taken out of its tenants' protection; record_relation()
 * sees to it that a child's row is in force when it is written.
 */
static void
apply_own_row(GuardedRelation *entry, const CatalogRow *row)
{
	RelationMode mode = tguard_mode_named(row->mode);

	entry->own = true;
	if (tguard_mode_holds(mode) && !tguard_relation_in_force(entry->relid))
		entry->mode = RELATION_UNGUARDED;
	else if (!tguard_mode_filters(entry->mode))
		entry->mode = mode;
	else
		return;
	set_details(entry, row->column);
}

/* A relation of which no row says anything: what its policies say. */
static void
apply_policy(GuardedRelation *entry)
{
	AttrNumber	column = 0;

	entry->by_policy = tguard_policy_read(entry->relid, &entry->mode, &column);
	set_details(entry, column > 0 ?
				get_attname(entry->relid, column, false) : "");
}

/* The relation that a TOAST relation stores values for. */
static Oid
find_toast_owner(Oid relid)
{
	Relation	classes = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_class_reltoastrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(classes, InvalidOid, false, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_class) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return result;
}

/* Is the relation, or one that its rows are routed to, a foreign table? */
static bool
has_foreign_member(Oid relid)
{
	List	   *all = find_all_inheritors(relid, NoLock, NULL);
	ListCell   *lc;
	bool		result = false;

	foreach(lc, all)
		result |= get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE;
	list_free(all);
	return result;
}

static void
describe(GuardedRelation *entry)
{
	CatalogRow	row;
	char		kind = get_rel_relkind(entry->relid);

	entry->mode = RELATION_UNGUARDED;
	if (kind == RELKIND_TOASTVALUE)
	{
		if (tguard_mode_filters(tguard_relation(find_toast_owner(entry->relid))->mode))
			entry->mode = RELATION_STORAGE;
		return;
	}
	inherit_from_parents(entry);
	if (tguard_catalog_read(entry->relid, &row))
		apply_own_row(entry, &row);
	else if (entry->mode == RELATION_UNGUARDED &&
			 (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE))
		apply_policy(entry);
	if (tguard_mode_filters(entry->mode))
		entry->foreign = has_foreign_member(entry->relid);
}

static void
make_table(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(GuardedRelation);
	ctl.hcxt = CacheMemoryContext;
	relations = hash_create("tenantguard relations", 128, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Children look at their parents, so the entry is in the table while they are
 * looked at; an error must not leave it there unfinished.
 */
static void
look_below(GuardedRelation *entry)
{
	PG_TRY();
	{
		entry->below = has_guarded_child(entry->relid);
	}
	PG_CATCH();
	{
		entry->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

const GuardedRelation *
tguard_relation(Oid relid)
{
	GuardedRelation *entry;
	GuardedRelation fresh;
	uint32		before;
	bool		found;

	if (relid < FirstNormalObjectId || tguard_extension() == NULL)
		return &unguarded;
	entry = tguard_relation_recent[relid % TGUARD_RECENT];
	if (entry && entry->relid == relid && entry->valid)
		return entry;
	if (relations == NULL)
		make_table();
	entry = hash_search(relations, &relid, HASH_FIND, NULL);
	if (entry && entry->valid)
	{
		tguard_relation_recent[relid % TGUARD_RECENT] = entry;
		return entry;
	}

	memset(&fresh, 0, sizeof(fresh));
	fresh.relid = relid;
	before = generation;
	describe(&fresh);
	fresh.valid = (before == generation);
	entry = hash_search(relations, &relid, HASH_ENTER, &found);
	if (found)
		tguard_retire(entry->links_context);
	if (fresh.links_context)
		MemoryContextSetParent(fresh.links_context, CacheMemoryContext);
	*entry = fresh;
	if (fresh.mode == RELATION_UNGUARDED && has_subclass(relid))
		look_below(entry);
	return entry;
}

static void
relation_invalidated(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	GuardedRelation *entry;

	generation++;
	if (relations == NULL)
		return;
	if (OidIsValid(relid) && !tguard_catalog_is(relid) &&
		!tguard_links_is(relid))
	{
		entry = hash_search(relations, &relid, HASH_FIND, NULL);
		if (entry && entry->valid)
		{
			entry->valid = false;
			stale++;
		}
		return;
	}
	hash_seq_init(&status, relations);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->valid = false;
}

/* No pointer to an entry outlives its transaction. */
void
tguard_relations_transaction_ended(void)
{
	HASH_SEQ_STATUS status;
	GuardedRelation *entry;

	if (stale <= STALE_KEPT)
		return;
	stale = 0;
	memset(tguard_relation_recent, 0, sizeof(tguard_relation_recent));
	hash_seq_init(&status, relations);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid)
			continue;
		if (entry->links_context)
			MemoryContextDelete(entry->links_context);
		hash_search(relations, &entry->relid, HASH_REMOVE, NULL);
	}
}

void
tguard_relations_init(void)
{
	CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
}
