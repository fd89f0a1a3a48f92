/*
 * grants.c
 *	  Which roles may work across tenants, and for what.
 *
 * The grants of the session's user are read once and kept until the table, a
 * membership or the user changes, or one of them ends.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "base/extension.h"
#include "base/plancache.h"
#include "catalog/indexing.h"
#include "miscadmin.h"
#include "tenant/grants.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* columns of tenantguard.bypass_grant */
#define Natts_bypass_grant			5
#define Anum_bypass_grant_grantee	1
#define Anum_bypass_grant_purpose	2
#define Anum_bypass_grant_until		3

static const struct
{
	const char *name;
	int			bit;
}			purposes[] =

{
	{"migration", PURPOSE_MIGRATION},
	{"backup", PURPOSE_BACKUP},
	{"replication", PURPOSE_REPLICATION},
	{"test", PURPOSE_TEST},
	{"support", PURPOSE_SUPPORT},
	{"analytics", PURPOSE_ANALYTICS},
	{"job", PURPOSE_JOB},
};

/* What the grants say about this session's user. */
static struct
{
	bool		known;
	Oid			table;			/* tenantguard.bypass_grant, once read */
	Oid			user;
	int			purposes;		/* granted to the user or a role it is in */
	int			standing;		/* granted to the user by name, and standing */
	TimestampTz until;			/* read again from here on; 0: never */
}			grants;

static int
purpose_bit(const char *name)
{
	for (int i = 0; i < lengthof(purposes); i++)
	{
		if (strcmp(name, purposes[i].name) == 0)
			return purposes[i].bit;
	}
	return 0;
}

const char *
tguard_grants_name(int bits)
{
	for (int i = 0; i < lengthof(purposes); i++)
	{
		if (bits & purposes[i].bit)
			return purposes[i].name;
	}
	return "none";
}

/*
 * A member of the grantee may open a bypass.  It stands for nobody but the
 * grantee itself: a membership, given for other reasons, must not open the
 * guard without a word.
 */
static void
read_grant(TupleDesc desc, HeapTuple tuple, TimestampTz now)
{
	Datum		values[Natts_bypass_grant];
	bool		nulls[Natts_bypass_grant];
	Oid			grantee;
	int			bit;

	heap_deform_tuple(tuple, desc, values, nulls);
	grantee = DatumGetObjectId(values[Anum_bypass_grant_grantee - 1]);
	if (!is_member_of_role_nosuper(grants.user, grantee))
		return;
	if (!nulls[Anum_bypass_grant_until - 1])
	{
		TimestampTz until =
		DatumGetTimestampTz(values[Anum_bypass_grant_until - 1]);

		if (until <= now)
			return;
		if (grants.until == 0 || until < grants.until)
			grants.until = until;
	}
	bit = purpose_bit(TextDatumGetCString(values[Anum_bypass_grant_purpose - 1]));
	grants.purposes |= bit;
	if (grantee == grants.user)
		grants.standing |= bit & PURPOSES_STANDING;
}

static void
read_grants(Oid table_oid)
{
	TimestampTz now = GetCurrentTimestamp();
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple;

	grants.purposes = 0;
	grants.standing = 0;
	grants.until = 0;
	grants.user = GetSessionUserId();
	grants.table = table_oid;
	table = table_open(table_oid, AccessShareLock);
	grants.known = true;		/* an invalidation from here on clears it */
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		read_grant(RelationGetDescr(table), tuple, now);
	systable_endscan(scan);
	table_close(table, AccessShareLock);
}

/* Have what the grants say about this session's user right now at hand. */
static void
know_grants(void)
{
	const TguardExtension *ext = tguard_extension();

	if (ext == NULL)
	{
		grants.known = false;
		grants.purposes = 0;
		grants.standing = 0;
		return;
	}
	if (!grants.known || grants.table != ext->bypass_grant ||
		grants.user != GetSessionUserId() ||
		(grants.until != 0 && grants.until <= GetCurrentTimestamp()))
		read_grants(ext->bypass_grant);
}

bool
tguard_grants_visit_tenants(void)
{
	return grants.known && (grants.standing & PURPOSES_REENTRY);
}

int
tguard_grants_purposes(void)
{
	know_grants();
	return grants.purposes;
}

int
tguard_grants_standing(void)
{
	know_grants();
	return grants.standing;
}

/* Does a row of the table let this role declare a bypass? */
static bool
row_serves(TupleDesc desc, HeapTuple tuple, Oid role)
{
	Datum		values[Natts_bypass_grant];
	bool		nulls[Natts_bypass_grant];

	heap_deform_tuple(tuple, desc, values, nulls);
	return (nulls[Anum_bypass_grant_until - 1] ||
			DatumGetTimestampTz(values[Anum_bypass_grant_until - 1]) >
			GetCurrentTimestamp()) &&
		is_member_of_role_nosuper(role,
								  DatumGetObjectId(values[Anum_bypass_grant_grantee - 1]));
}

bool
tguard_grants_holds(Oid role)
{
	const TguardExtension *ext = tguard_extension();
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result = false;

	if (ext == NULL)
		return false;
	table = table_open(ext->bypass_grant, AccessShareLock);
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (!result && HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = row_serves(RelationGetDescr(table), tuple, role);
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return result;
}

static void
grants_invalidated(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && relid != grants.table)
		return;
	grants.known = false;
	if (OidIsValid(relid))
		tguard_plans_forget();	/* the mode may be another from here on */
}

static void
membership_invalidated(Datum arg, int cacheid, uint32 hashvalue)
{
	grants.known = false;
}

void
tguard_grants_drop_role(Oid role)
{
	const TguardExtension *ext = tguard_extension();
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	if (ext == NULL)
		return;
	table = table_open(ext->bypass_grant, RowExclusiveLock);
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (DatumGetObjectId(heap_getattr(tuple, Anum_bypass_grant_grantee,
										  RelationGetDescr(table),
										  &isnull)) == role)
			CatalogTupleDelete(table, &tuple->t_self);
	}
	systable_endscan(scan);
	table_close(table, NoLock);
}

void
tguard_grants_init(void)
{
	CacheRegisterRelcacheCallback(grants_invalidated, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, membership_invalidated,
								  (Datum) 0);
}
