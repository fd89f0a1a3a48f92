/*
 * leader.h
 *	  What a parallel worker has to know of its leader.
 */
#ifndef TGUARD_LEADER_H
#define TGUARD_LEADER_H

#include "datatype/timestamp.h"

/* Reserve and set up the shared slots; called while preloading only. */
extern void tguard_leader_init(void);

/*
 * Publish for my future workers: the transaction that my tenant was set in, and
 * whether my transaction is bound to another one.
 */
extern void tguard_leader_publish_tenant(LocalTransactionId lxid, bool other);

/*
 * Publish for my future workers: whether a bypass shows them every tenant,
 * for whose session, and until when (0: no limit of its own).
 */
extern void tguard_leader_publish_bypass(bool open, Oid user,
										 TimestampTz until);

/*
 * In a worker: does the leader's tenant count?  Where it counts for the
 * session it may have been set in any transaction, else only in this one.
 */
extern bool tguard_leader_has_tenant(bool for_session);

/* In a worker: tell the leader that guarded rows were reached. */
extern void tguard_leader_note_use(void);

/* In the leader: did a worker reach guarded rows in this transaction? */
extern bool tguard_leader_was_used(void);

/* In a worker: does the leader hold an open, unnarrowed bypass? */
extern bool tguard_leader_has_bypass(void);

#endif							/* TGUARD_LEADER_H */
