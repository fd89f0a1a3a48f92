/*
 * identity.h
 *	  A tenant's key: spelled once, compared typed.
 */
#ifndef TGUARD_IDENTITY_H
#define TGUARD_IDENTITY_H

#include "base/extension.h"
#include "utils/uuid.h"

/*
 * A tenant as its canonical text, with whatever typed values that text spells.
 * "text" belongs to whoever made the identity.
 */
typedef struct TenantIdentity
{
	const char *text;
	bool		is_int8;
	bool		is_uuid;
	int64		int8;
	pg_uuid_t	uuid;
} TenantIdentity;

/* Longest tenant key accepted, in bytes. */
#define TENANT_KEY_MAX 1000

/* Fill in an identity for a text; which types it spells, never an error. */
extern void tguard_identity_parse(const char *text, TenantIdentity *identity);

/* Is it a canonical key of this kind? */
extern bool tguard_identity_fits(const TenantIdentity *identity,
								 TenantKeyKind kind);

/*
 * The key as a value of the kind's type (by-reference ones in the current
 * memory context).  Error 22023 where the text is no key of that kind.
 */
extern Datum tguard_identity_datum(const TenantIdentity *identity,
								   TenantKeyKind kind);

/* Does a value of the kind's type name this tenant?  Allocates nothing. */
extern bool tguard_identity_matches(const TenantIdentity *identity,
									TenantKeyKind kind, Datum value);

/* A key of the kind's type as text, for messages. */
extern char *tguard_key_text(TenantKeyKind kind, Datum value);

#endif							/* TGUARD_IDENTITY_H */
