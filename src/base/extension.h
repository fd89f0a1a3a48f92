/*
 * extension.h
 *	  Where the extension's own objects are in this database.
 */
#ifndef TGUARD_EXTENSION_H
#define TGUARD_EXTENSION_H

/* The kinds of tenant keys; also the index of the per-type functions below. */
typedef enum TenantKeyKind
{
	KEY_INT4,
	KEY_INT8,
	KEY_UUID,
	KEY_TEXT,					/* text, varchar */
	KEY_KINDS,
	KEY_NONE = KEY_KINDS
} TenantKeyKind;

typedef struct TguardExtension
{
	Oid			extension;
	Oid			schema;
	Oid			guarded_relation;
	Oid			link;
	Oid			registry;
	Oid			lookup_definition;
	Oid			bypass_grant;
	Oid			any_row;
	Oid			visible[KEY_KINDS];
	Oid			visible_or_shared[KEY_KINDS];
	Oid			check_tenant[KEY_KINDS];
	Oid			observe[KEY_KINDS];
	Oid			current_tenant[KEY_KINDS];
	Oid			visible_by_links;
	Oid			check_links;
	Oid			leads_to_tenant;
	Oid			check_partition;
} TguardExtension;

/*
 * The extension's objects, or NULL where it is not created in this database
 * or not yet complete.  Needs a transaction.
 */
extern const TguardExtension *tguard_extension_search(void);

/*
 * Error where the extension is created but some of its objects are gone:
 * nothing can be said about any relation then.
 */
extern void tguard_extension_demand_whole(void);

/* Known objects, NULL while they have to be searched. */
extern const TguardExtension *tguard_extension_known;

static inline const TguardExtension *
tguard_extension(void)
{
	return tguard_extension_known ? tguard_extension_known :
		tguard_extension_search();
}

/* The type that tenant keys of a kind are compared in. */
extern Oid	tguard_key_type(TenantKeyKind kind);

/* The kind of a column's type, domains looked through; KEY_NONE if unfit. */
extern TenantKeyKind tguard_key_kind(Oid type);

extern void tguard_extension_init(void);

#endif							/* TGUARD_EXTENSION_H */
