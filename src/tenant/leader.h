/*
 * leader.h
 *	  What a parallel worker has to know of its leader.
 */
#ifndef TGUARD_LEADER_H
#define TGUARD_LEADER_H

#include "c.h"

/* Reserve and set up the shared slots; called while preloading only. */
extern void tguard_leader_init(void);

/* Publish for my future workers: the transaction my tenant counts in. */
extern void tguard_leader_publish_tenant(LocalTransactionId lxid);

/* Publish for my future workers: whether a bypass shows them every tenant. */
extern void tguard_leader_publish_bypass(bool open);

/* In a worker: was the leader's tenant set in the leader's transaction? */
extern bool tguard_leader_has_tenant(void);

/* In a worker: does the leader hold an open, unnarrowed bypass? */
extern bool tguard_leader_has_bypass(void);

#endif							/* TGUARD_LEADER_H */
