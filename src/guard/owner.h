/*
 * owner.h
 *	  Whose is a row, by the links that lead from it to its tenant?
 */
#ifndef TGUARD_OWNER_H
#define TGUARD_OWNER_H

#include "executor/tuptable.h"
#include "relations/links.h"
#include "tenant/identity.h"

/* A table that holds parents, and the index that finds them. */
typedef struct ProbeTarget
{
	Oid			relid;
	Oid			index;			/* InvalidOid where there is none */
	int			places[INDEX_MAX_KEYS]; /* which column of the link is the
										 * index's i-th */
} ProbeTarget;

/* A link made ready to look for parents. */
typedef struct CarriedLink
{
	RelationLink *link;
	int			key_count;
	int16		key_length;		/* of the type of its first column */
	bool		key_byval;
	bool		checked;		/* the server checks a foreign key, ... */
	bool		deferrable;		/* ... perhaps only at the transaction's end */
	List	   *targets;		/* of ProbeTarget */
} CarriedLink;

/* What is known of a relation that has links. */
typedef struct CarriedRelation
{
	Oid			relid;			/* hash key */
	bool		valid;
	List	   *links;			/* of CarriedLink */
	bool		whole;			/* no link has lost a column */
	AttrNumber	column;			/* its own tenant column; 0: it has none */
	TenantKeyKind kind;
	List	   *depends;		/* OIDs whose change makes this invalid */
	MemoryContext context;
} CarriedRelation;

/*
 * The links of a relation, and the column that add_tenant_column() gave it.
 * Never NULL, valid until the transaction ends.
 */
extern const CarriedRelation *tguard_carried(Oid relid);

/* Remove the record of a dropped relation's column, if it has one. */
extern void tguard_carried_remove(Oid relid);

/* A column of a relation was altered: follow its name. */
extern void tguard_carried_follow_column(Oid relid, AttrNumber column);

/* What the links of a row say. */
typedef struct RowOwner
{
	int			links;			/* how many speak: no column is NULL */
	bool		missing;		/* one leads to no row, or to nobody's */
	bool		shared;			/* one leads to a row that all tenants read */
	bool		several;		/* they lead to different tenants */
	bool		known;			/* the first tenant found, ... */
	TenantKeyKind kind;
	Datum		value;			/* ... in the current memory context */
	bool		collect;		/* wanted: every tenant as text, once */
	List	   *tenants;
} RowOwner;

/* How the rows of parents are looked at. */
typedef enum OwnerLook
{
	OWNER_LATEST,				/* as they are for whoever begins now */
	OWNER_SEEN,					/* as the query sees them that asks */
	OWNER_LOCKED				/* as they will be until the transaction ends */
} OwnerLook;

/*
 * Ask one link, or all links of a relation's row, and add what they say.  The
 * parents are read as they are: neither filter nor privilege applies, so
 * callers show nothing of it to a tenant.
 */
extern bool tguard_owner_ask(const CarriedLink *link, TupleTableSlot *row,
							 OwnerLook look, RowOwner *owner);
extern void tguard_owner_ask_all(const CarriedRelation *relation,
								 TupleTableSlot *row, OwnerLook look,
								 RowOwner *owner);

/* The same for a row that may have a tenant column of its own. */
extern void tguard_owner_of_row(Oid relid, TupleTableSlot *row, OwnerLook look,
								RowOwner *owner);

/*
 * Something may have changed: forget what was found about parents.  To be
 * called when a statement that writes begins and ends.
 */
extern void tguard_owner_forget(void);

/* Can all parents, up to the tenant, be found by one probe each? */
extern bool tguard_owner_is_probed(Oid relid);

/* Add a tenant to what is known. */
extern void tguard_owner_add(RowOwner *owner, TenantKeyKind kind, Datum value);

/* Are two keys, perhaps of different types, one tenant's? */
extern bool tguard_owner_same(TenantKeyKind kind, Datum value,
							  TenantKeyKind other_kind, Datum other);

/* A key as one of another type.  Error 22023 where it spells none. */
extern Datum tguard_owner_convert(TenantKeyKind kind, Datum value,
								  TenantKeyKind to);

/* A relation and those that it is a partition or a child of, itself first. */
extern List *tguard_owner_ancestors(Oid relid);

extern void tguard_owner_init(void);

#endif							/* TGUARD_OWNER_H */
