/*
 * registry.h
 *	  The user's own table of tenants.
 */
#ifndef TGUARD_REGISTRY_H
#define TGUARD_REGISTRY_H

#include "access/attnum.h"
#include "tenant/identity.h"

/* How the registry answered. */
typedef enum TenantStanding
{
	TENANT_ACTIVE,
	TENANT_UNKNOWN,
	TENANT_SUSPENDED
} TenantStanding;

/*
 * The kind of the registry's key, KEY_NONE where none was adopted.  Needs a
 * transaction.
 */
extern TenantKeyKind tguard_registry_key_kind(void);

/* The registry, InvalidOid where none was adopted. */
extern Oid	tguard_registry_relation(void);

/* Is this relation the registry? */
extern bool tguard_registry_is(Oid relid);

/* The key and status (0: none) columns, if this relation is the registry. */
extern bool tguard_registry_columns(Oid relid, AttrNumber *key,
									AttrNumber *status);

/* Is it the name of the registry's key or status column? */
extern bool tguard_registry_uses(const char *column);

/* Have every backend ask again, from this transaction's commit on. */
extern void tguard_registry_invalidate(void);

/* Forget a registry that is being dropped, but not that there was one. */
extern void tguard_registry_remove(Oid relid);

/* One was adopted again. */
extern void tguard_registry_found(void);

/*
 * Changes whenever an answer of the registry may have changed; an answer may
 * be kept as long as this number stays the same.
 */
extern uint32 tguard_registry_epoch(void);

/*
 * Ask the registry about a tenant; active where none was adopted.
 * "lasting" tells whether the answer may be kept: not for a tenant that this
 * transaction itself inserted or changed, which a rollback takes back.
 */
extern TenantStanding tguard_registry_ask(const TenantIdentity *identity,
										  bool *lasting);

extern void tguard_registry_init(void);

#endif							/* TGUARD_REGISTRY_H */
