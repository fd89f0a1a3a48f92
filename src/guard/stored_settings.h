/*
 * stored_settings.h
 *	  Settings that are stored, and would open the guard for later sessions.
 */
#ifndef TGUARD_STORED_SETTINGS_H
#define TGUARD_STORED_SETTINGS_H

#include "nodes/parsenodes.h"

/*
 * Before ALTER SYSTEM, ALTER DATABASE, ALTER ROLE, CREATE or ALTER FUNCTION
 * with a SET or RESET, or a GRANT of a setting: error ddl_refused without a
 * bypass where it opens the guard.  In a database without the extension,
 * where nobody could declare a bypass, a WARNING.
 */
extern void tguard_stored_settings_before(Node *statement);

#endif							/* TGUARD_STORED_SETTINGS_H */
