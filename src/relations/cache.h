/*
 * cache.h
 *	  How each relation is guarded, answered by OID.
 */
#ifndef TGUARD_RELATIONS_CACHE_H
#define TGUARD_RELATIONS_CACHE_H

#include "access/attnum.h"
#include "base/extension.h"
#include "nodes/pg_list.h"

typedef enum RelationMode
{
	RELATION_UNGUARDED,			/* never declared */
	RELATION_EXEMPT,			/* declared to be left alone */
	RELATION_SHARED,			/* read by all, written under a bypass */
	RELATION_STORAGE,			/* the TOAST relation of a guarded one */
	RELATION_TENANT,			/* a column names the tenant */
	RELATION_TENANT_OR_SHARED,	/* ... or is NULL: read by all */
	RELATION_ROOT,				/* the registry: its key is the tenant */
	RELATION_DERIVED			/* links to other relations lead to it */
} RelationMode;

typedef struct GuardedRelation
{
	Oid			relid;			/* hash key */
	bool		valid;
	RelationMode mode;
	bool		own;			/* has a row of its own, not its parent's */
	bool		by_policy;		/* has none, but the generated policies */
	bool		lost;			/* the tenant column or a link is gone, or
								 * unfit */
	bool		shows_shared;	/* rows of no tenant are read by all */
	bool		below;			/* unguarded, but one of its children is not */
	bool		foreign;		/* it, or one of its children, is stored
								 * elsewhere */
	List	   *links;			/* of RelationLink, where it is derived */
	struct MemoryContextData *links_context;	/* where they are */
	AttrNumber	column;			/* the tenant column, where there is one */
	TenantKeyKind kind;
	Oid			type;			/* the column's declared type, ... */
	int32		typmod;
	Oid			collation;
} GuardedRelation;

/*
 * How a relation is guarded.  Never NULL; the answer is valid until the next
 * invalidation, so callers copy what they keep.  Needs a transaction.
 */
extern const GuardedRelation *tguard_relation(Oid relid);

/* Entries asked for lately; the table never moves nor frees an entry. */
#define TGUARD_RECENT 64
extern GuardedRelation *tguard_relation_recent[TGUARD_RECENT];

/*
 * Is it known, without a look-up, that neither the relation nor a child of it
 * is guarded?  False says nothing: ask tguard_relation().
 */
static inline bool
tguard_relation_is_free(Oid relid)
{
	const GuardedRelation *entry =
	tguard_relation_recent[relid % TGUARD_RECENT];

	return tguard_extension_known && entry && entry->relid == relid &&
		entry->valid && entry->mode == RELATION_UNGUARDED && !entry->below;
}

/* Error column_lost or link_lost where what ties rows to tenants is gone. */
extern void tguard_relation_demand_column(const GuardedRelation *relation);

/*
 * Does the mode filter rows by tenant?  Where only a child is guarded
 * ("below"), reads are filtered at the child, and writes through the parent
 * would pass by its checks.
 */
extern bool tguard_mode_filters(RelationMode mode);

/* Does it filter rows, or keep them from being written? */
extern bool tguard_mode_holds(RelationMode mode);

/* The mode that a word of guarded_relation.mode stands for. */
extern RelationMode tguard_mode_named(const char *name);

/*
 * Is a row of the relation's own in force?  Not before row security is enabled
 * on it; of kinds that cannot have any, the row alone decides.
 */
extern bool tguard_relation_in_force(Oid relid);

/* Forget entries that were invalidated, once there are many. */
extern void tguard_relations_transaction_ended(void);

extern void tguard_relations_init(void);

#endif							/* TGUARD_RELATIONS_CACHE_H */
