/*
 * leader.c
 *	  What a parallel worker has to know of its leader.
 *
 * The setting app.current_org_id reaches a worker by itself, but not in which
 * transaction it was set: without that, a function that runs in a worker and
 * plans statements of its own would take yesterday's tenant, left behind in a
 * pooled session, for today's.  So each backend publishes two facts in a slot
 * of shared memory, and a worker reads the slot of its lock group's leader.
 *
 * Locking: a slot is written by its owner only and read by the workers that
 * the owner launches afterwards, which orders the accesses; no lock is taken.
 * A slot that outlives its backend does no harm: the local transaction id that
 * it holds is compared with the one that the leader's PGPROC shows now, and a
 * new backend clears the slot before it may launch a worker.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "base/compat.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "tenant/leader.h"

typedef struct LeaderSlot
{
	LocalTransactionId tenant_lxid;
	bool		bypass;
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

static LeaderSlot *
own_slot(void)
{
	LeaderSlot *slot = slot_of(MyProc);

	if (slot == NULL || IsParallelWorker())
		return NULL;
	if (!claimed)
	{
		memset(slot, 0, sizeof(*slot));
		claimed = true;
	}
	return slot;
}

void
tguard_leader_publish_tenant(LocalTransactionId lxid)
{
	LeaderSlot *slot = own_slot();

	if (slot)
		slot->tenant_lxid = lxid;
}

void
tguard_leader_publish_bypass(bool open)
{
	LeaderSlot *slot = own_slot();

	if (slot)
		slot->bypass = open;
}

bool
tguard_leader_has_tenant(void)
{
	PGPROC	   *leader = MyProc->lockGroupLeader;
	LeaderSlot *slot = slot_of(leader);

	return slot && slot->tenant_lxid != InvalidLocalTransactionId &&
		slot->tenant_lxid == tguard_lxid(leader);
}

bool
tguard_leader_has_bypass(void)
{
	LeaderSlot *slot = slot_of(MyProc->lockGroupLeader);

	return slot && slot->bypass;
}

void
tguard_leader_init(void)
{
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_slots;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_slots;
}
