/*
 * copy.c
 *	  The COPY door: a COPY FROM that we run, and what others say to it.
 *
 * Where the server cannot load into a guarded relation, guard/copy_from.c
 * does, and the statement never reaches the server.  Modules that
 * shared_preload_libraries names before us stand between us and the server:
 * they would not see it either.  But one of them may have a "no" to say
 * (set_user, to programs), another one writes down who touches what, and
 * crashes if permissions are checked outside of a statement that it has seen
 * (pgaudit).
 *
 * So they are asked first.  The statement goes down to them in a
 * subtransaction, as far as the server's check of permissions, which comes
 * before it opens the source or reads a row.  There we end it by an error of
 * our own.  Whatever error they raise stands.  Permissions are checked once
 * more as the rows are loaded, and that check they are spared.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "doors/doors.h"
#include "executor/executor.h"
#include "guard/copy_from.h"
#include "guard/neutral.h"
#include "guard/reference.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"

/* Ends the statement that goes down; nobody else raises it. */
#define ERRCODE_ANSWERED MAKE_SQLSTATE('T', 'G', 'C', '0', '1')

static ProcessUtility_hook_type next_utility = NULL;
static ExecutorCheckPerms_hook_type next_perms = NULL;

/* The relation whose permission to be copied into is expected to be checked */
static Oid	asked = InvalidOid;
static bool answered = false;

static bool
is_asked(List *perms)
{
	TguardPerms *only;

	if (!OidIsValid(asked) || list_length(perms) != 1)
		return false;
	only = linitial(perms);
	return only->relid == asked && only->requiredPerms == ACL_INSERT;
}

static bool
guard_perms(TGUARD_PERMS_ARGS)
{
	bool		expected = is_asked(TGUARD_PERMS_LIST);
	bool		allowed;

	if (expected && answered)
	{
		asked = InvalidOid;
		return true;
	}
	allowed = next_perms ? next_perms(TGUARD_PERMS_PASS) : true;
	if (expected && allowed)
	{
		answered = true;
		ereport(ERROR,
				(errcode(ERRCODE_ANSWERED),
				 errmsg("nothing speaks against this COPY FROM")));
	}
	return allowed;
}

/* Send the statement down; returns the error that ended it. */
static ErrorData *
send_down(PlannedStmt *pstmt, const char *queryString,
		  ProcessUtilityContext context, QueryEnvironment *queryEnv)
{
	MemoryContext memory = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	QueryCompletion qc;

	InitializeQueryCompletion(&qc);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(memory);
	PG_TRY();
	{
		next_utility(pstmt, queryString, true, context, NULL, queryEnv,
					 None_Receiver, &qc);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(memory);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(memory);
	CurrentResourceOwner = owner;
	return error;
}

static void
ask_others(PlannedStmt *pstmt, const char *queryString,
		   ProcessUtilityContext context, QueryEnvironment *queryEnv)
{
	ErrorData  *error = send_down(pstmt, queryString, context, queryEnv);

	if (error && error->sqlerrcode != ERRCODE_ANSWERED)
		ReThrowError(error);
	if (error == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot copy into guarded relation \"%s\"",
						get_rel_name(asked)),
				 errdetail(REASON_COPY ": another module ran the statement by itself, and would not have held it to the tenant."),
				 tguard_reason(REASON_COPY),
				 errhint("Use INSERT, or name tenantguard before the other modules in shared_preload_libraries.")));
	FreeErrorData(error);
}

static uint64
copy_from(Oid relid, CopyStmt *statement, const char *queryString,
		  QueryEnvironment *queryEnv)
{
	ErrorContextCallback callback;
	int			depth;
	ParseState *pstate = make_parsestate(NULL);
	uint64		processed;

	tguard_neutral_begin(&callback);
	depth = tguard_reference_enter_utility((Node *) statement);
	pstate->p_sourcetext = queryString;
	pstate->p_queryEnv = queryEnv;
	processed = tguard_copy_from(pstate, relid, copyObject(statement));
	free_parsestate(pstate);
	tguard_reference_leave(depth);
	tguard_neutral_end(&callback);
	return processed;
}

bool
tguard_copy_door(PlannedStmt *pstmt, const char *queryString,
				 ProcessUtilityContext context, QueryEnvironment *queryEnv,
				 QueryCompletion *qc)
{
	CopyStmt   *statement = (CopyStmt *) pstmt->utilityStmt;
	Oid			relid;
	volatile uint64 processed = 0;

	if (!statement->is_from)
		return false;
	relid = tguard_copy_from_relation(statement);
	if (!OidIsValid(relid))
		return false;
	PG_TRY();
	{
		if (next_utility != standard_ProcessUtility)
		{
			asked = relid;
			answered = false;
			ask_others(pstmt, queryString, context, queryEnv);
		}
		processed = copy_from(relid, statement, queryString, queryEnv);
	}
	PG_FINALLY();
	{
		asked = InvalidOid;
	}
	PG_END_TRY();
	if (qc)
		SetQueryCompletion(qc, CMDTAG_COPY, processed);
	return true;
}

/* Modules before us are asked; with none, nobody's permissions pass here. */
void
tguard_copy_door_open(ProcessUtility_hook_type next)
{
	next_utility = next;
	if (next_utility == standard_ProcessUtility)
		return;
	next_perms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = guard_perms;
}
