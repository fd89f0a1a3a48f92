/*
 * doors.h
 *	  The doors into the server, each of which only dispatches.
 */
#ifndef TGUARD_DOORS_H
#define TGUARD_DOORS_H

#include "tcop/utility.h"

extern void tguard_planner_door_open(void);
extern void tguard_executor_door_open(void);
extern void tguard_utility_door_open(void);
extern void tguard_object_access_door_open(void);
extern void tguard_transaction_door_open(void);

/* The utility door's own: what it calls for COPY FROM, see copy.c. */
extern void tguard_copy_door_open(ProcessUtility_hook_type next);
extern bool tguard_copy_door(PlannedStmt *pstmt, const char *queryString,
							 ProcessUtilityContext context,
							 QueryEnvironment *queryEnv, QueryCompletion *qc);

#endif							/* TGUARD_DOORS_H */
