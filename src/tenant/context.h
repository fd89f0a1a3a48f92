/*
 * context.h
 *	  Which tenant the current transaction works for.
 */
#ifndef TGUARD_CONTEXT_H
#define TGUARD_CONTEXT_H

#include "tenant/identity.h"
#include "utils/guc.h"

/* The hooks of the setting app.current_org_id. */
extern bool tguard_context_check(char **newval, void **extra,
								 GucSource source);
extern void tguard_context_assign(const char *newval, void *extra);

/*
 * The tenant that counts right now, or NULL: not set, or left over from an
 * earlier transaction.  Neither verified nor pinned; never an error.
 */
extern const TenantIdentity *tguard_context_peek(void);

/*
 * The tenant that this transaction has worked for, or else the one that counts
 * right now, or NULL; never an error.
 */
extern const TenantIdentity *tguard_context_bound(void);

/*
 * The tenant for an access to guarded rows.  Verifies it with the registry
 * and pins it: from here on the transaction can have no other.  Returns NULL
 * only where tenantguard.missing_context = empty and no tenant is set.
 *
 * Errors (42501): no_context, stale_context, context_source, tenant_fixed,
 * unknown_tenant, suspended_tenant.
 */
extern const TenantIdentity *tguard_context_require(void);

/* Why there is no tenant, as an error like tguard_context_require's. */
extern void tguard_context_complain(void);

/* Was guarded data read or written in this transaction under a tenant? */
extern bool tguard_context_is_pinned(void);

/*
 * A number that names the tenant in force within this backend: two equal
 * numbers are one tenant.  Plans and cursors built for a tenant carry it.
 */
extern uint32 tguard_context_serial(void);

/*
 * A plan was built that might be cached and holds for this tenant only (a
 * guess), or for this mode, which the tenant decides (a standing grant): have
 * such plans built again once the tenant changes or the transaction ends.
 */
extern void tguard_context_note_guess(bool any_plan);

/*
 * SET LOCAL to a tenant (NULL: none).  "repin" lets a transaction that holds
 * a bypass go from tenant to tenant.
 */
extern void tguard_context_enter(const char *tenant, bool repin);

/* Lift the pin: whoever holds a bypass may visit another tenant. */
extern void tguard_context_unpin(void);

/*
 * To be called around the definition of the setting, for a library that is
 * loaded late: a value left from an earlier transaction must not count in the
 * one that happens to load it.
 */
extern bool tguard_context_is_left_over(void);
extern void tguard_context_expire(void);

/* Any transaction of the session itself has ended. */
extern void tguard_context_transaction_ended(void);

extern void tguard_context_init(void);

#endif							/* TGUARD_CONTEXT_H */
