/*
 * doors.h
 *	  The doors into the server, each of which only dispatches.
 */
#ifndef TGUARD_DOORS_H
#define TGUARD_DOORS_H

extern void tguard_planner_door_open(void);
extern void tguard_executor_door_open(void);
extern void tguard_utility_door_open(void);
extern void tguard_object_access_door_open(void);

#endif							/* TGUARD_DOORS_H */
