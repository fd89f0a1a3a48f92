/*
 * own_objects.c
 *	  The extension's own objects, and its end.
 *
 * The guard rests on a few tables and functions.  A superuser can drop the
 * extension, which says what is open from then on; renaming or detaching
 * single objects, by mistake, takes a bypass.
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/extension.h"
#include "commands/extension.h"
#include "guard/own_objects.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "relations/catalog.h"
#include "tenant/bypass.h"
#include "utils/lsyscache.h"

/* Is the object that a RENAME or SET SCHEMA names one of our functions? */
static bool
names_own_function(Node *object)
{
	Oid			function;

	if (object == NULL || !IsA(object, ObjectWithArgs))
		return false;
	function = LookupFuncWithArgs(OBJECT_ROUTINE, (ObjectWithArgs *) object,
								  true);
	return OidIsValid(function) &&
		get_func_namespace(function) == tguard_extension()->schema;
}

bool
tguard_own_relation(Oid relid)
{
	return OidIsValid(relid) &&
		get_rel_namespace(relid) == tguard_extension()->schema;
}

/* The extension's own objects stay what and where they are. */
static bool
changes_own_objects(Node *statement, Oid relid)
{
	RenameStmt *rename = (RenameStmt *) statement;

	switch (nodeTag(statement))
	{
		case T_AlterExtensionContentsStmt:
			return strcmp(((AlterExtensionContentsStmt *) statement)->extname,
						  "tenantguard") == 0;
		case T_AlterObjectSchemaStmt:
			if (names_own_function(((AlterObjectSchemaStmt *) statement)->object))
				return true;
			break;
		case T_RenameStmt:
			if (rename->renameType == OBJECT_SCHEMA)
				return strcmp(rename->subname, "tenantguard") == 0;
			if (names_own_function(rename->object))
				return true;
			break;
		default:
			break;
	}
	return tguard_own_relation(relid);
}

void
tguard_own_protect(Node *statement, Oid relid)
{
	if (creating_extension &&
		CurrentExtensionObject == tguard_extension()->extension)
		return;					/* its own script */
	if (changes_own_objects(statement, relid))
		tguard_bypass_demand(REASON_DDL, "change the objects of tenantguard",
							 "nothing would be guarded without them.");
}

bool
tguard_own_is_dropped(DropStmt *drop)
{
	ListCell   *lc;

	if (drop->removeType != OBJECT_EXTENSION &&
		drop->removeType != OBJECT_SCHEMA)
		return false;
	foreach(lc, drop->objects)
	{
		if (strcmp(strVal(lfirst(lc)), "tenantguard") == 0)
			return true;
	}
	return false;
}

char *
tguard_own_last_words(Node *statement)
{
	ListCell   *lc;
	StringInfoData text;

	if (!IsA(statement, DropStmt) ||
		!tguard_own_is_dropped((DropStmt *) statement) ||
		tguard_extension() == NULL)
		return NULL;
	initStringInfo(&text);
	foreach(lc, tguard_catalog_list())
		appendStringInfo(&text, "%s%s", text.len ? ", " : "",
						 (char *) lfirst(lc));
	return text.len ? text.data : NULL;
}

/* Said once the extension is gone. */
void
tguard_own_farewell(const char *names)
{
	ereport(LOG_SERVER_ONLY,
			(errmsg("tenantguard: extension dropped: role=%s no longer guarded=%s",
					GetUserNameFromId(GetSessionUserId(), true), names),
			 errhidestmt(true), errhidecontext(true)));
	ereport(WARNING,
			(errmsg("relations are no longer guarded: %s", names),
			 errdetail("Superusers and roles with BYPASSRLS see every tenant in them."),
			 errhint("Row security stays enabled on them without a policy of ours: other roles see nothing until you disable it or write policies.")));
}
