/*
 * privileges.c
 *	  Privileges on guarded relations that are the owner's alone.
 *
 * Whoever holds TRIGGER may run a function of his own on every tenant's rows,
 * with REFERENCES he asks which keys exist, TRUNCATE removes all rows, and
 * MAINTAIN runs over all of them.  protect() revokes them, and a later GRANT
 * must not bring them back.
 *
 * GRANT ALL ON ALL TABLES is in every deployment script, and is not refused:
 * the server grants, and what is too much is revoked in the same command.  The
 * access control lists before and after are compared, so that what was granted
 * under a bypass stays, whoever the grantor and whatever the spelling.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/extension.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "guard/privileges.h"
#include "guard/under_tenant.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "storage/lmgr.h"
#include "tenant/bypass.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Named in a message; the others are counted. */
#define NAMES_MAX 5

static const struct
{
	const char *name;
	AclMode		bit;
}			owners_own[] =

{
	{"trigger", ACL_TRIGGER},
	{"references", ACL_REFERENCES},
	{"truncate", ACL_TRUNCATE},
	{"maintain", TGUARD_ACL_MAINTAIN},
};

/* What one role holds of these on one relation, or on one of its columns. */
typedef struct Holding
{
	Oid			relid;
	AttrNumber	column;			/* 0: the relation */
	Oid			grantor;
	Oid			grantee;
	AclMode		bits;			/* with grant options, as in an AclItem */
} Holding;

static AclMode
bit_of(const char *privilege)
{
	for (int i = 0; i < lengthof(owners_own); i++)
	{
		if (strcmp(privilege, owners_own[i].name) == 0)
			return owners_own[i].bit;
	}
	return ACL_NO_RIGHTS;
}

static AclMode
all_bits(void)
{
	AclMode		bits = ACL_NO_RIGHTS;

	for (int i = 0; i < lengthof(owners_own); i++)
		bits |= owners_own[i].bit;
	return bits;
}

/* ---------------------------------------------------------------------
 * The statement
 * ---------------------------------------------------------------------
 */

/* GRANT ALL has no list; GRANT ALL (column) a privilege without a name. */
static bool
grants_all(GrantStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->privileges)
	{
		if (lfirst_node(AccessPriv, lc)->priv_name == NULL)
			return true;
	}
	return statement->privileges == NIL;
}

/* Which of the owner's privileges does it ask for by name? */
static AclMode
bits_named(GrantStmt *statement, bool *others)
{
	AclMode		bits = ACL_NO_RIGHTS;
	ListCell   *lc;

	*others = grants_all(statement);
	foreach(lc, statement->privileges)
	{
		char	   *name = lfirst_node(AccessPriv, lc)->priv_name;
		AclMode		bit = name ? bit_of(name) : ACL_NO_RIGHTS;

		bits |= bit;
		*others |= bit == ACL_NO_RIGHTS;
	}
	return bits;
}

static bool
is_of_interest(Node *statement)
{
	GrantStmt  *grant = (GrantStmt *) statement;
	bool		others;

	return IsA(statement, GrantStmt) && grant->is_grant &&
		grant->objtype == OBJECT_TABLE &&
		grant->targtype != ACL_TARGET_DEFAULTS &&
		(grants_all(grant) || bits_named(grant, &others) != ACL_NO_RIGHTS);
}

/* All that a schema holds; what is not guarded is left out later. */
static List *
add_schema(List *relids, Oid schema)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relids = lappend_oid(relids, ((Form_pg_class) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relids;
}

/* The guarded relations that the statement names, in whatever way. */
static List *
targets_of(GrantStmt *statement)
{
	List	   *named = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, statement->objects)
	{
		if (statement->targtype == ACL_TARGET_ALL_IN_SCHEMA)
			named = add_schema(named, get_namespace_oid(strVal(lfirst(lc)), true));
		else
			named = lappend_oid(named,
								RangeVarGetRelid(lfirst_node(RangeVar, lc),
												 NoLock, true));
	}
	foreach(lc, named)
	{
		if (tguard_touches_guarded(lfirst_oid(lc)))
			result = list_append_unique_oid(result, lfirst_oid(lc));
	}
	list_sort(result, list_oid_cmp);
	return result;
}

/* ---------------------------------------------------------------------
 * Who holds what
 * ---------------------------------------------------------------------
 */

/* An access control list has one item for each grantor and grantee. */
static List *
add_acl(List *holdings, Oid relid, AttrNumber column, Oid owner, Datum list)
{
	Acl		   *acl = DatumGetAclPCopy(list);
	AclMode		mask = all_bits() | ACL_GRANT_OPTION_FOR(all_bits());

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		AclItem    *item = &ACL_DAT(acl)[i];
		AclMode		bits = ACLITEM_GET_RIGHTS(*item) & mask;
		Holding    *holding;

		if (bits == ACL_NO_RIGHTS || item->ai_grantee == owner)
			continue;
		holding = palloc(sizeof(Holding));
		holding->relid = relid;
		holding->column = column;
		holding->grantor = item->ai_grantor;
		holding->grantee = item->ai_grantee;
		holding->bits = bits;
		holdings = lappend(holdings, holding);
	}
	return holdings;
}

/* Those of the columns, which have REFERENCES of their own. */
static List *
add_columns(List *holdings, Oid relid, Oid owner)
{
	Relation	catalog = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, AttributeRelidNumIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		list = heap_getattr(tuple, Anum_pg_attribute_attacl,
										RelationGetDescr(catalog), &isnull);

		if (!isnull)
			holdings = add_acl(holdings, relid,
							   ((Form_pg_attribute) GETSTRUCT(tuple))->attnum,
							   owner, list);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return holdings;
}

static List *
holdings_of(List *relids)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
		Oid			owner;
		Datum		list;
		bool		isnull;
		List	   *found = NIL;

		if (!HeapTupleIsValid(tuple))
			continue;			/* dropped meanwhile */
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		list = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
		if (!isnull)
			found = add_acl(found, relid, 0, owner, list);
		ReleaseSysCache(tuple);
		result = list_concat(result, add_columns(found, relid, owner));
	}
	return result;
}

static Holding *
find_same(List *holdings, const Holding *wanted)
{
	ListCell   *lc;

	foreach(lc, holdings)
	{
		Holding    *holding = lfirst(lc);

		if (holding->relid == wanted->relid &&
			holding->column == wanted->column &&
			holding->grantor == wanted->grantor &&
			holding->grantee == wanted->grantee)
			return holding;
	}
	return NULL;
}

/* What is held now and was not before. */
static List *
news(List *before, List *after)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, after)
	{
		Holding    *now = lfirst(lc);
		Holding    *then = find_same(before, now);

		if (then)
			now->bits &= ~then->bits;
		if (now->bits != ACL_NO_RIGHTS)
			result = lappend(result, now);
	}
	return result;
}

/* ---------------------------------------------------------------------
 * What becomes of it
 * ---------------------------------------------------------------------
 */

static void
append_word(StringInfo words, const char *word)
{
	appendStringInfo(words, "%s%s", words->len ? ", " : "", word);
}

static char *
privilege_words(AclMode bits)
{
	StringInfoData words;

	initStringInfo(&words);
	for (int i = 0; i < lengthof(owners_own); i++)
	{
		if (bits & owners_own[i].bit)
			append_word(&words, asc_toupper(owners_own[i].name,
											strlen(owners_own[i].name)));
	}
	return words.data;
}

static char *
role_word(Oid role)
{
	return OidIsValid(role) ? GetUserNameFromId(role, true) : "PUBLIC";
}

static RoleSpec *
role_spec(Oid role)
{
	RoleSpec   *spec = makeNode(RoleSpec);

	spec->roletype = OidIsValid(role) ? ROLESPEC_CSTRING : ROLESPEC_PUBLIC;
	spec->rolename = OidIsValid(role) ? GetUserNameFromId(role, false) : NULL;
	spec->location = -1;
	return spec;
}

static AccessPriv *
make_privilege(const char *name, const Holding *holding)
{
	AccessPriv *privilege = makeNode(AccessPriv);

	privilege->priv_name = pstrdup(name);
	if (holding->column != 0)
		privilege->cols = list_make1(makeString(get_attname(holding->relid,
															holding->column,
															false)));
	return privilege;
}

/* As the grantor: the server looks for the one whose grant it takes back. */
static void
run_revoke(const Holding *holding, AclMode bits, bool option)
{
	GrantStmt  *statement = makeNode(GrantStmt);
	Oid			user;
	int			context;

	if (bits == ACL_NO_RIGHTS)
		return;
	statement->grant_option = option;
	statement->is_grant = false;
	statement->targtype = ACL_TARGET_OBJECT;
	statement->objtype = OBJECT_TABLE;
	statement->objects =
		list_make1(makeRangeVar(get_namespace_name(get_rel_namespace(holding->relid)),
								get_rel_name(holding->relid), -1));
	for (int i = 0; i < lengthof(owners_own); i++)
	{
		if (bits & owners_own[i].bit)
			statement->privileges = lappend(statement->privileges,
											make_privilege(owners_own[i].name,
														   holding));
	}
	statement->grantees = list_make1(role_spec(holding->grantee));
	statement->behavior = DROP_CASCADE;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(holding->grantor,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	ExecuteGrantStmt(statement);
	SetUserIdAndSecContext(user, context);
	CommandCounterIncrement();
}

/* A privilege that was there before keeps what it was; the option goes. */
static void
take_back(const Holding *holding)
{
	AclMode		privileges = holding->bits & all_bits();
	AclMode		options = ACL_OPTION_TO_PRIVS(holding->bits) & all_bits();

	run_revoke(holding, privileges, false);
	run_revoke(holding, options & ~privileges, true);
}

/* One message for the statement, which may have named thousands. */
static void
tell(List *revoked, bool asked)
{
	AclMode		bits = ACL_NO_RIGHTS;
	List	   *roles = NIL;
	List	   *relids = NIL;
	StringInfoData role_words;
	StringInfoData relation_words;
	ListCell   *lc;

	initStringInfo(&role_words);
	initStringInfo(&relation_words);
	foreach(lc, revoked)
	{
		Holding    *holding = lfirst(lc);

		bits |= holding->bits | ACL_OPTION_TO_PRIVS(holding->bits);
		if (!list_member_oid(roles, holding->grantee))
			append_word(&role_words, role_word(holding->grantee));
		roles = list_append_unique_oid(roles, holding->grantee);
		if (!list_member_oid(relids, holding->relid) &&
			list_length(relids) < NAMES_MAX)
			append_word(&relation_words, get_rel_name(holding->relid));
		relids = list_append_unique_oid(relids, holding->relid);
	}
	if (list_length(relids) > NAMES_MAX)
		append_word(&relation_words,
					psprintf("and %d more", list_length(relids) - NAMES_MAX));
	ereport(asked ? WARNING : NOTICE,
			(errcode(ERRCODE_WARNING_PRIVILEGE_NOT_GRANTED),
			 errmsg("some privileges on guarded relations are not granted"),
			 errdetail("%s on %s to %s: it would reach the rows of every tenant.",
					   privilege_words(bits), relation_words.data,
					   role_words.data),
			 errhint("Where it is meant, declare a bypass first: BEGIN; SELECT tenantguard.begin_bypass('reason');")));
}

/*
 * A relation that another session is about to guard is waited for, and the
 * other way round (lock_relation()): the server takes no lock for a GRANT, and
 * neither would see what the other is doing.
 */
List *
tguard_privileges_before(Node *statement)
{
	if (!is_of_interest(statement))
		return NIL;
	LockRelationOid(tguard_extension()->guarded_relation, RowExclusiveLock);
	return holdings_of(targets_of((GrantStmt *) statement));
}

/*
 * pg_restore sends all GRANTs of a relation at once, or all there is in one
 * transaction: an error would take the rest back as well.
 */
void
tguard_privileges_after(Node *statement, List *before, bool alone)
{
	GrantStmt  *grant = (GrantStmt *) statement;
	List	   *fresh;
	AclMode		named;
	bool		others;
	ListCell   *lc;

	if (!is_of_interest(statement))
		return;
	CommandCounterIncrement();
	fresh = news(before, holdings_of(targets_of(grant)));
	if (fresh == NIL)
		return;
	named = bits_named(grant, &others);
	if ((!others && alone) || tguard_mode() != MODE_GUARD)
	{
		Holding    *first = linitial(fresh);

		tguard_bypass_demand(REASON_DDL,
							 psprintf("grant %s on guarded relation \"%s\"",
									  privilege_words(first->bits |
													  ACL_OPTION_TO_PRIVS(first->bits)),
									  get_rel_name(first->relid)),
							 "it reaches the rows of every tenant.");
		return;
	}
	foreach(lc, fresh)
		take_back(lfirst(lc));
	tell(fresh, named != ACL_NO_RIGHTS);
}
