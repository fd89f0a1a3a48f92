/*
 * settings.c
 *	  All settings, alphabetical.
 *
 * Whatever weakens the guard is superuser-only.  app.current_org_id is the
 * exception by design: it is what applications set, and its check hook and
 * the executor decide what a value is worth.
 */
#include "postgres.h"

#include <limits.h>

#include "base/plancache.h"
#include "base/settings.h"

int			tguard_context_scope = SCOPE_TRANSACTION;
int			tguard_enforce = ENFORCE_ON;
int			tguard_missing_context = MISSING_ERROR;
int			tguard_new_table = NEW_TABLE_PROTECT;
bool		tguard_preloaded = false;

static char *context_value;

static const struct config_enum_entry scope_options[] = {
	{"transaction", SCOPE_TRANSACTION, false},
	{"session", SCOPE_SESSION, false},
	{NULL, 0, false}
};

static const struct config_enum_entry enforce_options[] = {
	{"on", ENFORCE_ON, false},
	{"log", ENFORCE_LOG, false},
	{NULL, 0, false}
};

static const struct config_enum_entry missing_options[] = {
	{"error", MISSING_ERROR, false},
	{"empty", MISSING_EMPTY, false},
	{NULL, 0, false}
};

static const struct config_enum_entry new_table_options[] = {
	{"protect", NEW_TABLE_PROTECT, false},
	{"refuse", NEW_TABLE_REFUSE, false},
	{"warn", NEW_TABLE_WARN, false},
	{"ignore", NEW_TABLE_IGNORE, false},
	{NULL, 0, false}
};

/* Plans were built for the old value: have them built again. */
static void
assign_enforce(int newval, void *extra)
{
	if (newval != tguard_enforce)
		tguard_plans_forget();
}

/*
 * app.current_org_id is reported to the client (GUC_REPORT), so that
 * PgBouncer's track_extra_parameters keeps it apart for each client.  It is
 * hidden from SHOW ALL and pg_settings, which closes UPDATE pg_settings.
 * RESET ALL does reset it: DISCARD ALL must leave no tenant behind in
 * sessions of scope "session", and a frozen tenant does not depend on it.
 */
void
tguard_settings_init(GucStringCheckHook check_context,
					 GucStringAssignHook assign_context)
{
	DefineCustomStringVariable(TGUARD_CONTEXT_SETTING,
							   "The tenant that the current transaction works for.",
							   "Set it with SET LOCAL or set_config(name, value, true); the empty string means no tenant.",
							   &context_value, "", PGC_USERSET,
							   GUC_REPORT | GUC_NO_SHOW_ALL |
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_context, assign_context, NULL);

	DefineCustomEnumVariable("tenantguard.context_scope",
							 "How long a tenant counts once it is set.",
							 "\"transaction\": until the transaction ends. \"session\": until it is set again, for sessions that belong to one tenant.",
							 &tguard_context_scope, SCOPE_TRANSACTION,
							 scope_options, PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomEnumVariable("tenantguard.enforce",
							 "Whether isolation is enforced or only reported.",
							 "\"log\" runs statements as if nothing were guarded and writes to the server log what would be refused or filtered.",
							 &tguard_enforce, ENFORCE_ON,
							 enforce_options, PGC_SUSET, 0,
							 NULL, assign_enforce, NULL);

	DefineCustomEnumVariable("tenantguard.missing_context",
							 "What a statement meets that reaches a guarded relation without a tenant.",
							 "\"error\" refuses it, \"empty\" shows it no rows.",
							 &tguard_missing_context, MISSING_ERROR,
							 missing_options, PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomEnumVariable("tenantguard.new_table",
							 "What becomes of a new relation in a database with a registry.",
							 "\"protect\" guards it where a foreign key or its origin says how, and warns otherwise; \"refuse\" commits no transaction that leaves one unclassified; \"warn\" warns of each; \"ignore\" leaves it to check().",
							 &tguard_new_table, NEW_TABLE_PROTECT,
							 new_table_options, PGC_SUSET, 0,
							 NULL, NULL, NULL);

	MarkGUCPrefixReserved("tenantguard");
}
