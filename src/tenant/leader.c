/*
 * leader.c
 *	  What a parallel worker has to know of its leader.
 *
 * The setting app.current_org_id reaches a worker by itself, but not in which
 * transaction it was set: without that, a function that runs in a worker and
 * plans statements of its own would take yesterday's tenant, left behind in a
 * pooled session, for today's.  So each backend publishes that, and its
 * bypass, in a slot of shared memory, and a worker reads the slot of its lock
 * group's leader.  The other way round a worker notes that it reached guarded
 * rows, which binds the leader's transaction to the tenant.
 *
 * Locking: a slot is written by its owner and read by the workers that the
 * owner launches afterwards, which orders the accesses; only used_lxid is
 * written by workers, all with the same value, and read when they are done.
 * No lock is taken.
 * A slot that outlives its backend does no harm: it holds the process id, which
 * workers compare with their leader's.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "base/compat.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "tenant/leader.h"
#include "utils/timestamp.h"

typedef struct LeaderSlot
{
	int			pid;			/* whose facts these are */
	LocalTransactionId tenant_lxid;
	LocalTransactionId used_lxid;	/* written by workers */
	bool		other;
	bool		bypass;
	Oid			user;
	TimestampTz until;
} LeaderSlot;

static LeaderSlot *slots = NULL;
static int	slot_count = 0;
static bool claimed = false;

static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static Size
slots_size(void)
{
	return mul_size(MaxBackends, sizeof(LeaderSlot));
}

static void
request_slots(void)
{
	if (next_shmem_request)
		next_shmem_request();
	RequestAddinShmemSpace(slots_size());
}

static void
startup_slots(void)
{
	bool		found;

	if (next_shmem_startup)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	slot_count = MaxBackends;
	slots = ShmemInitStruct("tenantguard leaders", slots_size(), &found);
	if (!found)
		memset(slots, 0, slots_size());
	LWLockRelease(AddinShmemInitLock);
}

static LeaderSlot *
slot_of(PGPROC *proc)
{
	int			number;

	if (slots == NULL || proc == NULL)
		return NULL;
	number = tguard_proc_number(proc);
	return number < slot_count ? &slots[number] : NULL;
}

/* In a worker: the slot of the leader, if the leader has published anything. */
static LeaderSlot *
leader_slot(void)
{
	PGPROC	   *leader = MyProc->lockGroupLeader;
	LeaderSlot *slot = slot_of(leader);

	return slot && slot->pid == leader->pid ? slot : NULL;
}

static LeaderSlot *
own_slot(void)
{
	LeaderSlot *slot = slot_of(MyProc);

	if (slot == NULL || IsParallelWorker())
		return NULL;
	if (!claimed)
	{
		memset(slot, 0, sizeof(*slot));
		slot->pid = MyProcPid;
		claimed = true;
	}
	return slot;
}

void
tguard_leader_publish_tenant(LocalTransactionId lxid, bool other)
{
	LeaderSlot *slot = own_slot();

	if (slot == NULL)
		return;
	slot->tenant_lxid = lxid;
	slot->other = other;
}

void
tguard_leader_publish_bypass(bool open, Oid user, TimestampTz until)
{
	LeaderSlot *slot = own_slot();

	if (slot == NULL)
		return;
	slot->user = user;
	slot->until = until;
	slot->bypass = open;
}

void
tguard_leader_note_use(void)
{
	LeaderSlot *slot = leader_slot();

	if (slot)
		slot->used_lxid = tguard_lxid(MyProc->lockGroupLeader);
}

bool
tguard_leader_was_used(void)
{
	LeaderSlot *slot = own_slot();

	return slot && slot->used_lxid != InvalidLocalTransactionId &&
		slot->used_lxid == tguard_lxid(MyProc);
}

bool
tguard_leader_has_tenant(bool for_session)
{
	LeaderSlot *slot = leader_slot();

	if (slot == NULL || slot->other)
		return false;
	return for_session ||
		(slot->tenant_lxid != InvalidLocalTransactionId &&
		 slot->tenant_lxid == tguard_lxid(MyProc->lockGroupLeader));
}

bool
tguard_leader_has_bypass(void)
{
	LeaderSlot *slot = leader_slot();

	return slot && slot->bypass && slot->user == GetSessionUserId() &&
		(slot->until == 0 || slot->until > GetCurrentTimestamp());
}

void
tguard_leader_init(void)
{
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_slots;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_slots;
}
