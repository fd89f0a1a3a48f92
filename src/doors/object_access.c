/*
 * object_access.c
 *	  The object door: what happens to an object, whatever the statement was.
 *
 * The server calls here by OID for every relation a command reaches, so
 * TRUNCATE ... CASCADE, DROP SCHEMA and DROP OWNED are covered without
 * parsing names.  It also calls for every function that an expression is made
 * ready to run, which is the only thing here on the path of a query.
 */
#include "postgres.h"

#include "access/transam.h"
#include "base/extension.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_largeobject.h"
#include "commands/extension.h"
#include "doors/doors.h"
#include "guard/ddl_rules.h"
#include "guard/functions.h"
#include "guard/new_relation.h"
#include "guard/own_code.h"
#include "guard/under_tenant.h"
#include "miscadmin.h"
#include "tenant/bypass.h"
#include "tenant/grants.h"

static object_access_hook_type next_object_access = NULL;

/*
 * Nothing is looked up for a DROP without a tenant: while the extension is
 * being dropped its objects go one by one, and what is left looks like damage.
 */
static void
guard_object(ObjectAccessType access, Oid classId, Oid objectId, int subId)
{
	if (IsBinaryUpgrade || creating_extension)
		return;
	if (tguard_tenant_binds() && tguard_extension())
		tguard_tenant_object(access, classId, objectId);
	if (access != OAT_DROP && tguard_extension())
		tguard_own_code_object(access, classId, objectId, subId);
}

static pg_noinline void
guard_change(ObjectAccessType access, Oid classId, Oid objectId, int subId,
			 void *arg)
{
	if (next_object_access)
		next_object_access(access, classId, objectId, subId, arg);

	if (access != OAT_TRUNCATE)
		guard_object(access, classId, objectId, subId);
	if (access == OAT_DROP && classId == LargeObjectRelationId)
		tguard_rule_large_object();
	if (access == OAT_DROP && classId == AuthIdRelationId)
		tguard_grants_drop_role(objectId);
	if (classId != RelationRelationId)
		return;
	if (access == OAT_POST_CREATE && subId == 0 &&
		!((ObjectAccessPostCreate *) arg)->is_internal)
		tguard_new_relation_note(objectId);
	if (access == OAT_TRUNCATE)
		tguard_rule_truncate(objectId);
	else if (access == OAT_DROP && subId == 0)
		tguard_rule_drop_relation(objectId);
	else if (access == OAT_DROP)
		tguard_rule_drop_column(objectId, subId);
	else if (access == OAT_POST_ALTER && subId != 0)
		tguard_rule_alter_column(objectId, subId);
}

static pg_noinline void
guard_function(ObjectAccessType access, Oid classId, Oid objectId, int subId,
			   void *arg)
{
	if (next_object_access)
		next_object_access(access, classId, objectId, subId, arg);
	if (objectId < FirstNormalObjectId)
		tguard_rule_function(objectId);
	else
		tguard_own_code_function(objectId);
}

/* Does it come with every statement, and change nothing? */
static inline bool
is_free(ObjectAccessType access, Oid objectId)
{
	if (access == OAT_NAMESPACE_SEARCH)
		return true;
	if (access != OAT_FUNCTION_EXECUTE)
		return false;
	return objectId < FirstNormalObjectId ?
		!tguard_function_is_ruled(objectId) : !tguard_own_code_watched;
}

static void
guard_object_access(ObjectAccessType access, Oid classId, Oid objectId,
					int subId, void *arg)
{
	if (is_free(access, objectId))
	{
		if (next_object_access)
			next_object_access(access, classId, objectId, subId, arg);
	}
	else if (access == OAT_FUNCTION_EXECUTE)
		guard_function(access, classId, objectId, subId, arg);
	else
		guard_change(access, classId, objectId, subId, arg);
}

void
tguard_object_access_door_open(void)
{
	tguard_functions_init();
	next_object_access = object_access_hook;
	object_access_hook = guard_object_access;
}
