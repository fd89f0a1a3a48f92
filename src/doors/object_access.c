/*
 * object_access.c
 *	  The object door: what happens to an object, whatever the statement was.
 *
 * The server calls here by OID for every relation a command reaches, so
 * TRUNCATE ... CASCADE, DROP SCHEMA and DROP OWNED are covered without
 * parsing names.
 */
#include "postgres.h"

#include "base/errors.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "doors/doors.h"
#include "guard/ddl_rules.h"
#include "tenant/grants.h"

static object_access_hook_type next_object_access = NULL;

static pg_noinline void
guard_change(ObjectAccessType access, Oid classId, Oid objectId, int subId,
			 void *arg)
{
	if (next_object_access)
		next_object_access(access, classId, objectId, subId, arg);

	if (access == OAT_DROP && classId == AuthIdRelationId)
		tguard_grants_drop_role(objectId);
	if (classId != RelationRelationId)
		return;
	if (access == OAT_TRUNCATE)
		tguard_rule_truncate(objectId);
	else if (access == OAT_DROP && subId == 0)
		tguard_rule_drop_relation(objectId);
	else if (access == OAT_DROP)
		tguard_rule_drop_column(objectId, subId);
	else if (access == OAT_POST_ALTER && subId != 0)
		tguard_rule_alter_column(objectId, subId);
}

static void
guard_object_access(ObjectAccessType access, Oid classId, Oid objectId,
					int subId, void *arg)
{
	/* these two change nothing, and come with every statement */
	if (access != OAT_FUNCTION_EXECUTE && access != OAT_NAMESPACE_SEARCH)
		guard_change(access, classId, objectId, subId, arg);
	else if (next_object_access)
		next_object_access(access, classId, objectId, subId, arg);
}

void
tguard_object_access_door_open(void)
{
	next_object_access = object_access_hook;
	object_access_hook = guard_object_access;
}
