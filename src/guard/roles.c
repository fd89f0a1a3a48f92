/*
 * roles.c
 *	  Roles that get what reaches past the guard.
 *
 * The guard holds superusers, BYPASSRLS roles, owners and whoever reads or
 * writes "all data".  Past it gets who may declare a bypass (superusers, and
 * members of a role with a grant), who decodes the log of changes or copies the
 * files of the server (REPLICATION), and who reads, writes or runs what the
 * server's files hold.
 *
 * Whoever could not declare a bypass must not hand out what replaces one: that
 * is refused.  On 15 a role with CREATEROLE makes itself a member of almost any
 * other, or sets the password of a role with a grant and logs in as it.  A
 * superuser could declare one, and provisioning scripts are run by superusers:
 * these are told.  Roles belong to the server: in a database without the
 * extension nothing is said.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "base/errors.h"
#include "catalog/pg_authid.h"
#include "commands/defrem.h"
#include "guard/roles.h"
#include "miscadmin.h"
#include "tenant/bypass.h"
#include "tenant/grants.h"
#include "utils/acl.h"
#include "utils/syscache.h"

static void
meet(const char *role, const char *gets)
{
	if (superuser() && tguard_mode() == MODE_GUARD && !tguard_tenant_binds())
		ereport(WARNING,
				(errmsg("role \"%s\" gets past the guard", role),
				 errdetail("%s", gets),
				 errhint("Give it to no role that an application logs in as.")));
	else
		tguard_bypass_demand(REASON_DDL,
							 psprintf("let role \"%s\" past the guard", role),
							 gets);
}

/* ---------------------------------------------------------------------
 * Membership
 * ---------------------------------------------------------------------
 */

static bool
reaches_files(Oid role)
{
	return is_member_of_role_nosuper(role, ROLE_PG_READ_SERVER_FILES) ||
		is_member_of_role_nosuper(role, ROLE_PG_WRITE_SERVER_FILES) ||
		is_member_of_role_nosuper(role, ROLE_PG_EXECUTE_SERVER_PROGRAM);
}

/* What members of a role get that is past the guard; NULL for nothing. */
static const char *
past_the_guard(Oid role)
{
	if (superuser_arg(role))
		return "it can become a superuser, who may declare a bypass.";
	if (tguard_grants_holds(role))
		return "it may declare a bypass, as a member of a role with a grant.";
	if (reaches_files(role))
		return "the files of the server hold the rows of every tenant, and its settings.";
	return NULL;
}

static void
judge_membership(Oid role, RoleSpec *member)
{
	Oid			member_oid = get_rolespec_oid(member, true);
	const char *gets;

	if (!OidIsValid(role) ||
		(OidIsValid(member_oid) &&
		 (superuser_arg(member_oid) ||
		  is_member_of_role_nosuper(member_oid, role))))
		return;
	gets = past_the_guard(role);
	if (gets)
		meet(OidIsValid(member_oid) ? GetUserNameFromId(member_oid, false) :
			 member->rolename, gets);
}

static void
judge_members(Oid role, List *members)
{
	ListCell   *lc;

	foreach(lc, members)
		judge_membership(role, lfirst_node(RoleSpec, lc));
}

static void
grant_role(GrantRoleStmt *statement)
{
	ListCell   *lc;

	if (!statement->is_grant)
		return;
	foreach(lc, statement->granted_roles)
		judge_members(get_role_oid(lfirst_node(AccessPriv, lc)->priv_name, true),
					  statement->grantee_roles);
}

/* ---------------------------------------------------------------------
 * CREATE ROLE, ALTER ROLE
 * ---------------------------------------------------------------------
 */

static bool
has_attribute(Oid role, const char *attribute)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	Form_pg_authid form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_authid) GETSTRUCT(tuple);
	result = form->rolsuper ||
		(form->rolreplication && strcmp(attribute, "isreplication") == 0);
	ReleaseSysCache(tuple);
	return result;
}

/* "role" is InvalidOid for one that is to be created. */
static void
judge_options(RoleSpec *spec, Oid role, List *options)
{
	char	   *name = OidIsValid(role) ? GetUserNameFromId(role, false) :
	spec->rolename;
	ListCell   *lc;
	ListCell   *above;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "addroleto") == 0)
		{
			foreach(above, (List *) option->arg)
				judge_membership(get_rolespec_oid(lfirst(above), true), spec);
		}
		else if (strcmp(option->defname, "rolemembers") == 0 ||
				 strcmp(option->defname, "adminmembers") == 0)
			judge_members(role, (List *) option->arg);
		else if (has_attribute(role, option->defname))
			continue;
		else if (strcmp(option->defname, "superuser") == 0 &&
				 boolVal(option->arg))
			meet(name, "a superuser may declare a bypass, and switch the guard off.");
		else if (strcmp(option->defname, "isreplication") == 0 &&
				 boolVal(option->arg))
			meet(name, "with REPLICATION it decodes the changes of every tenant, and copies the files of the server.");
	}
}

/* A password, a login, a search_path: who sets them can become the role. */
static void
judge_takeover(RoleSpec *spec)
{
	Oid			role = get_rolespec_oid(spec, true);

	if (OidIsValid(role) && role != GetUserId() && !superuser() &&
		tguard_grants_holds(role))
		tguard_bypass_demand(REASON_DDL,
							 psprintf("change role \"%s\"",
									  GetUserNameFromId(role, false)),
							 "it holds the grant of a bypass.");
}

static void
create_role(CreateRoleStmt *statement)
{
	RoleSpec   *spec = makeNode(RoleSpec);

	spec->roletype = ROLESPEC_CSTRING;
	spec->rolename = statement->role;
	spec->location = -1;
	judge_options(spec, InvalidOid, statement->options);
}

/* ALTER GROUP ... DROP USER has the action -1. */
static void
alter_role(AlterRoleStmt *statement)
{
	if (statement->action < 0)
		return;
	judge_takeover(statement->role);
	judge_options(statement->role, get_rolespec_oid(statement->role, true),
				  statement->options);
}

void
tguard_roles_before(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterRoleSetStmt:
			if (((AlterRoleSetStmt *) statement)->role)
				judge_takeover(((AlterRoleSetStmt *) statement)->role);
			break;
		case T_AlterRoleStmt:
			alter_role((AlterRoleStmt *) statement);
			break;
		case T_CreateRoleStmt:
			create_role((CreateRoleStmt *) statement);
			break;
		case T_GrantRoleStmt:
			grant_role((GrantRoleStmt *) statement);
			break;
		default:
			break;
	}
}
