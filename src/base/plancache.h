/*
 * plancache.h
 *	  How cached plans that carry our stamp are invalidated.
 */
#ifndef TGUARD_PLANCACHE_H
#define TGUARD_PLANCACHE_H

#include "utils/syscache.h"

/*
 * Every plan that reaches a guarded relation carries a PlanInvalItem of this
 * syscache and hash value, which no real function has to own: a collision
 * costs a replan.
 */
#define TGUARD_PLAN_CACHE	PROCOID
#define TGUARD_PLAN_HASH	0x7467a4d1U

/* Carried besides by plans that hold for one tenant only, on a guess. */
#define TGUARD_GUESS_HASH	0x7467a4d2U

/*
 * Mark every cached plan that carries the stamp, or the guess, for replanning.
 * Safe at any time, also while a transaction aborts: the callbacks only set
 * flags.
 */
extern void tguard_plans_forget(void);
extern void tguard_plans_forget_guesses(void);

#endif							/* TGUARD_PLANCACHE_H */
