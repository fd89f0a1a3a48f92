/*
 * lookup.h
 *	  Reading a little before the tenant is known.
 */
#ifndef TGUARD_LOOKUP_H
#define TGUARD_LOOKUP_H

/* Is a look-up executing its own query right now? */
extern bool tguard_lookup_is_running(void);

#endif							/* TGUARD_LOOKUP_H */
