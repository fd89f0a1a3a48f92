/*
 * stored_settings.c
 *	  Settings that are stored, and would open the guard for later sessions.
 *
 * A setting of a session is judged where it has its effect.  One that is stored
 * with the server, a database, a role or a function is somebody else's later,
 * and does not show in what that one does.  So it is judged as it is stored,
 * before the command: ALTER SYSTEM writes a file, which no rollback undoes.
 *
 * What is strict passes.  RESET passes where nothing is stored, where what is
 * stored opens the guard, and where what would hold instead is strict too, as
 * far as this session can see.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/extension.h"
#include "base/settings.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "guard/stored_settings.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "tenant/bypass.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#define PRELOAD "shared_preload_libraries"
#define LIBRARY_PATH "dynamic_library_path"
#define OWN_LIBRARY "tenantguard"

/*
 * The settings, and the values that keep the guard.  Where a setting has none
 * it is judged below.  tenantguard.missing_context opens nothing, and
 * app.current_org_id cannot be stored (context.c).
 */
static const struct
{
	const char *name;
	const char *strict[2];
	const char *why;
}			watched[] =

{
	{"allow_system_table_mods", {"off"},
	"the catalogs say what is guarded."},
	{LIBRARY_PATH, {NULL},
	"the server would look for tenantguard elsewhere."},
	{"row_security", {"on"},
	"ordinary roles would get errors, and others every tenant's rows without the library."},
	{"session_replication_role", {"origin"},
	"foreign keys and triggers would not fire."},
	{PRELOAD, {NULL},
	"without tenantguard, or with a module newly in front of it, the guard does not hold everybody."},
	{"tenantguard.context_scope", {"transaction"},
	"a tenant that a connection was left with would count for the next client."},
	{"tenantguard.enforce", {"on"},
	"nothing would be filtered or refused."},
	{"tenantguard.new_table", {"protect", "refuse"},
	"new relations would not be guarded."},
};

/* Its place among the watched ones, or -1. */
static int
find_watched(const char *name)
{
	for (int i = 0; name && i < lengthof(watched); i++)
	{
		if (pg_strcasecmp(name, watched[i].name) == 0)
			return i;
	}
	return -1;
}

static bool
is_row_security(const char *name)
{
	return name && pg_strcasecmp(name, "row_security") == 0;
}

/* ---------------------------------------------------------------------
 * What a value means
 * ---------------------------------------------------------------------
 */

/* A library's own name: no directory, no ending. */
static char *
library_name(const char *spelled)
{
	const char *slash = last_dir_separator(spelled);
	char	   *name = pstrdup(slash ? slash + 1 : spelled);
	Size		length = strlen(name);
	Size		ending = strlen(DLSUFFIX);

	if (length > ending && strcmp(name + length - ending, DLSUFFIX) == 0)
		name[length - ending] = '\0';
	return name;
}

/* A file of the same name in another directory is not ours. */
static bool
is_own_library(const char *spelled)
{
	const char *slash = last_dir_separator(spelled);

	return strcmp(library_name(spelled), OWN_LIBRARY) == 0 &&
		(slash == NULL || strncmp(spelled, "$libdir/", slash + 1 - spelled) == 0);
}

/* The libraries in front of ours; "loaded" tells whether ours is there. */
static List *
libraries_in_front(const char *value, bool *loaded)
{
	List	   *names = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	*loaded = false;
	if (!SplitDirectoriesString(pstrdup(value), ',', &names))
		return NIL;
	foreach(lc, names)
	{
		if (is_own_library(lfirst(lc)))
		{
			*loaded = true;
			return result;
		}
		result = lappend(result, makeString(library_name(lfirst(lc))));
	}
	return result;
}

/* Is ours there, and nothing in front of it that is not there now? */
static bool
preloads(const char *value)
{
	bool		loaded;
	bool		running;
	List	   *now = libraries_in_front(shared_preload_libraries_string ?
										 shared_preload_libraries_string : "",
										 &running);
	List	   *then = libraries_in_front(value, &loaded);

	return loaded && list_difference(then, now) == NIL;
}

static bool
is_strict(int setting, const char *value)
{
	bool		wanted;
	bool		given;

	if (strcmp(watched[setting].name, PRELOAD) == 0)
		return preloads(value);
	if (strcmp(watched[setting].name, LIBRARY_PATH) == 0)
		return strcmp(value, "$libdir") == 0 ||
			strncmp(value, "$libdir:", strlen("$libdir:")) == 0;
	for (int i = 0; i < lengthof(watched[setting].strict); i++)
	{
		const char *strict = watched[setting].strict[i];

		if (strict && pg_strcasecmp(strict, value) == 0)
			return true;
		if (strict && strncmp(watched[setting].name, "tenantguard.", 12) != 0 &&
			parse_bool(strict, &wanted) && parse_bool(value, &given) &&
			wanted == given)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------------
 * What is stored
 * ---------------------------------------------------------------------
 */

/* The value of a setting in a stored list of name=value; NULL for none. */
static char *
find_value(ArrayType *settings, const char *name)
{
	Datum	   *values;
	int			count;

	deconstruct_array(settings, TEXTOID, -1, false, TYPALIGN_INT, &values,
					  NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *pair = TextDatumGetCString(values[i]);
		char	   *value = strchr(pair, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		if (pg_strcasecmp(pair, name) == 0)
			return value;
	}
	return NULL;
}

/*
 * The lists of one database and role, or of all of them: InvalidOid stands for
 * what holds for every one.
 */
static List *
stored_lists(bool all, Oid database, Oid role)
{
	Relation	catalog = table_open(DbRoleSettingRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key[0], Anum_pg_db_role_setting_setdatabase,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(database));
	ScanKeyInit(&key[1], Anum_pg_db_role_setting_setrole,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(catalog, DbRoleSettingDatidRolidIndexId, !all,
							  NULL, all ? 0 : 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		settings = heap_getattr(tuple,
											Anum_pg_db_role_setting_setconfig,
											RelationGetDescr(catalog), &isnull);

		if (!isnull)
			result = lappend(result, DatumGetArrayTypePCopy(settings));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

/*
 * Would a session without the stored value have a strict one?  What the server
 * says is known where nothing else has decided for this very session.
 */
static bool
falls_back_strictly(int setting)
{
	const char *name = watched[setting].name;
	struct config_generic *generic = tguard_find_setting(name);
	const char *value = GetConfigOptionResetString(name);
	ListCell   *lc;

	if (generic == NULL || generic->reset_source > PGC_S_ARGV ||
		value == NULL || !is_strict(setting, value))
		return false;
	foreach(lc, stored_lists(true, InvalidOid, InvalidOid))
	{
		value = find_value(lfirst(lc), name);
		if (value && !is_strict(setting, value))
			return false;
	}
	return true;
}

/*
 * A setting that is stored with a database or role, and hides something weaker,
 * or might: its number, or -1.  Only this one, or any where "only" is NULL.
 */
static int
hides_weaker(const char *only, Oid database, Oid role)
{
	ListCell   *lc;

	foreach(lc, stored_lists(false, database, role))
	{
		for (int i = 0; i < lengthof(watched); i++)
		{
			char	   *value = find_value(lfirst(lc), watched[i].name);

			if (value && is_strict(i, value) && !falls_back_strictly(i) &&
				(only == NULL || find_watched(only) == i))
				return i;
		}
	}
	return -1;
}

/*
 * The same of what ALTER SYSTEM has written, in front of a file that only the
 * operating system guards.
 */
static int
file_hides_weaker(const char *only)
{
	FILE	   *file = AllocateFile(PG_AUTOCONF_FILENAME, "r");
	ConfigVariable *first = NULL;
	ConfigVariable *last = NULL;
	int			result = -1;

	if (file == NULL)
		return -1;
	ParseConfigFp(file, PG_AUTOCONF_FILENAME, 0, LOG, &first, &last);
	FreeFile(file);
	for (ConfigVariable *item = first; item && result < 0; item = item->next)
	{
		int			setting = find_watched(item->name);

		if (setting >= 0 && is_strict(setting, item->value) &&
			(only == NULL || find_watched(only) == setting))
			result = setting;
	}
	FreeConfigVariables(first);
	return result;
}

/* ---------------------------------------------------------------------
 * The statements
 * ---------------------------------------------------------------------
 */

static void
refuse(int setting, const char *verb, Node *statement)
{
	const char *what = psprintf("%s \"%s\"", verb, watched[setting].name);

	if (tguard_extension() && IsA(statement, AlterSystemStmt))
		tguard_bypass_demand_session(REASON_DDL, what, watched[setting].why);
	else if (tguard_extension())
		tguard_bypass_demand(REASON_DDL, what, watched[setting].why);
	else
		ereport(WARNING,
				(errmsg("stored setting \"%s\" opens the guard",
						watched[setting].name),
				 errdetail("%s", watched[setting].why)));
}

/* RESET: what is stored, and would let something weaker through; or -1. */
static int
weaker_after_reset(VariableSetStmt *set, Node *statement)
{
	Oid			database = InvalidOid;
	Oid			role = InvalidOid;

	if (IsA(statement, AlterSystemStmt))
		return file_hides_weaker(set->name);
	if (IsA(statement, AlterDatabaseSetStmt))
		database = get_database_oid(((AlterDatabaseSetStmt *) statement)->dbname,
									true);
	else if (IsA(statement, AlterRoleSetStmt))
	{
		AlterRoleSetStmt *alter = (AlterRoleSetStmt *) statement;

		if (alter->database)
			database = get_database_oid(alter->database, true);
		if (alter->role)
			role = get_rolespec_oid(alter->role, true);
	}
	else
		return -1;				/* a function's own settings go with it */
	return hides_weaker(set->name, database, role);
}

static void
judge(VariableSetStmt *set, Node *statement)
{
	int			setting = find_watched(set->name);
	char	   *value = NULL;

	if (setting < 0 && set->kind != VAR_RESET_ALL)
		return;
	switch (set->kind)
	{
		case VAR_SET_VALUE:
			value = ExtractSetVariableArgs(set);
			break;
		case VAR_SET_CURRENT:
			value = GetConfigOptionByName(set->name, NULL, true);
			break;
		default:
			setting = weaker_after_reset(set, statement);
			if (setting >= 0)
				refuse(setting, "reset the stored setting", statement);
			return;
	}
	if (value && !is_strict(setting, value))
		refuse(setting, "store the setting", statement);
}

/*
 * Helpers of policies are often made with row_security = off, so as not to be
 * filtered themselves.  The guard holds them all the same.
 */
static void
judge_function(Node *statement, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "set") == 0 &&
			!is_row_security(((VariableSetStmt *) option->arg)->name))
			judge(castNode(VariableSetStmt, option->arg), statement);
	}
}

/* GRANT SET or ALTER SYSTEM ON PARAMETER. */
static void
judge_grant(GrantStmt *statement)
{
	ListCell   *lc;

	if (statement->objtype != OBJECT_PARAMETER_ACL || !statement->is_grant)
		return;
	foreach(lc, statement->objects)
	{
		int			setting = find_watched(strVal(lfirst(lc)));

		/* everybody may set that one in any case */
		if (setting >= 0 && !is_row_security(strVal(lfirst(lc))))
			refuse(setting, "grant the setting", (Node *) statement);
	}
}

void
tguard_stored_settings_before(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterSystemStmt:
			judge(((AlterSystemStmt *) statement)->setstmt, statement);
			break;
		case T_AlterDatabaseSetStmt:
			judge(((AlterDatabaseSetStmt *) statement)->setstmt, statement);
			break;
		case T_AlterRoleSetStmt:
			judge(((AlterRoleSetStmt *) statement)->setstmt, statement);
			break;
		case T_CreateFunctionStmt:
			judge_function(statement,
						   ((CreateFunctionStmt *) statement)->options);
			break;
		case T_AlterFunctionStmt:
			judge_function(statement,
						   ((AlterFunctionStmt *) statement)->actions);
			break;
		case T_GrantStmt:
			judge_grant((GrantStmt *) statement);
			break;
		default:
			break;
	}
}
