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
 * Made in one piece of memory of tguard_identity_size() bytes.
 */
typedef struct TenantIdentity
{
	const char *text;			/* within "value", ends in a zero byte */
	bool		is_int8;
	bool		is_uuid;
	int64		int8;
	pg_uuid_t	uuid;
	struct varlena value;		/* the text as a datum; goes on beyond here */
} TenantIdentity;

/* Longest tenant key accepted, in bytes. */
#define TENANT_KEY_MAX 1000

/* Bytes that the identity of a text takes. */
extern Size tguard_identity_size(const char *text);

/* Fill in the identity of a text: which types it spells, never an error. */
extern void tguard_identity_parse(const char *text, TenantIdentity *identity);

/* Is it a canonical key of this kind? */
extern bool tguard_identity_fits(const TenantIdentity *identity,
								 TenantKeyKind kind);

/*
 * The key as a value of the kind's type; by-reference ones point into the
 * identity.  Error 22023 where the text is no key of that kind.
 */
extern Datum tguard_identity_datum(const TenantIdentity *identity,
								   TenantKeyKind kind);

/* Does a value of the kind's type name this tenant?  Allocates nothing. */
extern bool tguard_identity_matches(const TenantIdentity *identity,
									TenantKeyKind kind, Datum value);

/* A key of the kind's type as text, for messages. */
extern char *tguard_key_text(TenantKeyKind kind, Datum value);

#endif							/* TGUARD_IDENTITY_H */
