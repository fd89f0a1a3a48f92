/*
 * settings.h
 *	  The extension's settings.
 */
#ifndef TGUARD_SETTINGS_H
#define TGUARD_SETTINGS_H

#include "utils/guc.h"

#define TGUARD_CONTEXT_SETTING "app.current_org_id"

typedef enum TguardScope
{
	SCOPE_TRANSACTION,			/* a tenant counts for one transaction */
	SCOPE_SESSION				/* the session is one tenant's */
} TguardScope;

typedef enum TguardEnforce
{
	ENFORCE_ON,
	ENFORCE_LOG					/* run as before, report what would be refused */
} TguardEnforce;

typedef enum TguardMissing
{
	MISSING_ERROR,
	MISSING_EMPTY				/* without a tenant guarded relations are
								 * empty */
} TguardMissing;

typedef enum TguardNewTable
{
	NEW_TABLE_PROTECT,			/* where it is certain what it is, else warn */
	NEW_TABLE_REFUSE,			/* ... else the transaction does not commit */
	NEW_TABLE_WARN,				/* always warn */
	NEW_TABLE_IGNORE			/* leave it to check() */
} TguardNewTable;

extern int	tguard_context_scope;
extern int	tguard_enforce;
extern int	tguard_missing_context;
extern int	tguard_new_table;

/* Was the library preloaded, so that every hook is in place? */
extern bool tguard_preloaded;

/*
 * Define the settings.  The hooks of app.current_org_id belong to the room
 * that understands tenants and are handed in by the front door.
 */
extern void tguard_settings_init(GucStringCheckHook check_context,
								 GucStringAssignHook assign_context);

#endif							/* TGUARD_SETTINGS_H */
