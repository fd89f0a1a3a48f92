/*
 * bypass.c
 *	  The declared way out: who sees every tenant, why and how long.
 *
 * There are two kinds.  A lease is opened by begin_bypass() with a reason and
 * ends with its transaction or, for a session, at a stated time.  A standing
 * grant makes every transaction of a role a bypass in which no tenant is set,
 * for programs that cannot call a function: migrations, pg_dump, replication.
 * An open lease wins over a tenant that is set; a tenant that is set wins over
 * a standing grant; enter() inside a lease narrows it to one tenant.
 *
 * The session's user is judged, never the current one: a SECURITY DEFINER
 * helper of a privileged owner must not open a bypass for whoever calls it.
 *
 * A bypass is never part of a qual.  The plan is built without the filter and
 * carries the bypass's serial number, which the executor compares.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plancache.h"
#include "base/settings.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "tenant/bypass.h"
#include "tenant/context.h"
#include "tenant/grants.h"
#include "tenant/leader.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static struct
{
	bool		open;
	bool		session;		/* lasts beyond its transaction */
	bool		unborn;			/* the transaction that opened it still runs */
	bool		entered;		/* enter() limits it to the tenant set */
	LocalTransactionId lxid;
	SubTransactionId subid;
	Oid			user;			/* whose session opened it */
	TimestampTz until;			/* 0: no limit of its own */
	char	   *role;			/* who opened it, and why: for the log, also */
	char	   *reason;			/* when a transaction has just ended */
	char	   *stated;			/* the reason without the quotes */
}			lease;

/* What lease.entered was when a savepoint's first enter() changed it. */
typedef struct Visit
{
	struct Visit *up;
	int			level;			/* nesting level of the subtransaction */
	bool		entered;
} Visit;

/* The last transaction in which a lease was closed. */
static LocalTransactionId closed_lxid = InvalidLocalTransactionId;

static Visit *visits = NULL;	/* innermost first, in TopTransactionContext */
static uint32 serial = 1;

/* ---------------------------------------------------------------------
 * The lease
 * ---------------------------------------------------------------------
 */

/* What may be seen changed: no plan built before serves from here on. */
static void
mode_changed(void)
{
	tguard_leader_publish_bypass(lease.open && !lease.entered, lease.user,
								 lease.until);
	tguard_plans_forget();
}

static void
log_lease(const char *event)
{
	ereport(LOG_SERVER_ONLY,
			(errmsg("tenantguard: bypass %s: role=%s reason=%s", event,
					lease.role, lease.reason),
			 errhidestmt(true), errhidecontext(true)));
}

static void
close_lease(void)
{
	if (!lease.open)
		return;
	log_lease("closed");
	closed_lxid = MyProc ? tguard_lxid(MyProc) : InvalidLocalTransactionId;
	lease.open = false;
	lease.entered = false;
	serial++;
	mode_changed();
}

static bool
lease_is_open(void)
{
	if (!lease.open)
		return false;
	if (!lease.session && lease.lxid != tguard_lxid(MyProc))
		close_lease();
	else if (lease.user != GetSessionUserId())
		close_lease();
	else if (lease.until != 0 && lease.until <= GetCurrentTimestamp())
		close_lease();
	return lease.open;
}

TguardMode
tguard_mode(void)
{
	if (IsParallelWorker() && tguard_leader_has_bypass())
		return MODE_BYPASS;
	if (lease_is_open())
		return lease.entered && tguard_context_peek() ? MODE_GUARD : MODE_BYPASS;
	if (tguard_enforce == ENFORCE_LOG)
		return MODE_REPORT;
	if (tguard_context_peek() != NULL || tguard_context_is_pinned())
		return MODE_GUARD;
	return tguard_grants_standing() ? MODE_BYPASS : MODE_GUARD;
}

bool
tguard_tenant_binds(void)
{
	return (tguard_context_peek() != NULL || tguard_context_is_pinned()) &&
		tguard_mode() != MODE_BYPASS;
}

uint32
tguard_bypass_serial(void)
{
	return serial;
}

bool
tguard_bypass_stands(void)
{
	return tguard_grants_standing() != 0;
}

/* May enter() be called again and again in this transaction? */
static bool
allows_reentry(void)
{
	if (lease_is_open())
		return superuser_arg(GetSessionUserId()) ||
			(tguard_grants_purposes() & PURPOSES_REENTRY);
	return (tguard_grants_standing() & PURPOSES_REENTRY) != 0;
}

bool
tguard_bypass_is_held(void)
{
	return lease_is_open() || tguard_mode() == MODE_BYPASS ||
		allows_reentry();
}

bool
tguard_bypass_was_held(void)
{
	return closed_lxid == tguard_lxid(MyProc) || tguard_bypass_is_held();
}

void
tguard_bypass_log(const char *statement)
{
	bool		leased = lease_is_open();

	ereport(LOG_SERVER_ONLY,
			(errmsg("tenantguard: bypass used: role=%s reason=%s statement=%s",
					GetUserNameFromId(GetSessionUserId(), true),
					leased ? lease.reason :
					tguard_grants_name(tguard_grants_standing()),
					statement ? statement : "(none)"),
			 errhidestmt(true), errhidecontext(true)));
}

void
tguard_bypass_report(const char *what, const char *statement)
{
	const TenantIdentity *identity = tguard_context_peek();

	ereport(LOG_SERVER_ONLY,
			(errmsg("tenantguard: would %s: role=%s tenant=%s statement=%s",
					what, GetUserNameFromId(GetSessionUserId(), true),
					identity ? identity->text : "(none)",
					statement ? statement : "(none)"),
			 errhidestmt(true), errhidecontext(true)));
}

static void
demand(const char *reason, const char *what, const char *why, const char *hint)
{
	switch (tguard_mode())
	{
		case MODE_BYPASS:
			tguard_bypass_log(debug_query_string);
			return;
		case MODE_REPORT:
			tguard_bypass_report(psprintf("refuse (%s)", reason),
								 debug_query_string);
			return;
		case MODE_GUARD:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot %s", what),
			 errdetail("%s: %s", reason, why),
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME,
								psprintf("tenantguard_%s", reason)),
			 errhint("Declare a bypass first: %s", hint)));
}

void
tguard_bypass_demand(const char *reason, const char *what, const char *why)
{
	demand(reason, what, why,
		   "BEGIN; SELECT tenantguard.begin_bypass('reason');");
}

void
tguard_bypass_demand_session(const char *reason, const char *what,
							 const char *why)
{
	demand(reason, what, why,
		   "SELECT tenantguard.begin_bypass('reason', scope => 'session', until => now() + interval '10 minutes');");
}

void
tguard_bypass_discard(void)
{
	close_lease();
}

void
tguard_bypass_transaction_ended(bool aborted)
{
	visits = NULL;
	if (!lease.open)
		return;
	if (!lease.session || (lease.unborn && aborted))
	{
		close_lease();
		return;
	}
	lease.unborn = false;
	lease.subid = InvalidSubTransactionId;
	if (lease.entered)
	{
		lease.entered = false;	/* the tenant ended with its SET LOCAL */
		mode_changed();
	}
}

/* Does this session go from tenant to tenant, as far as is known? */
static bool
visits_tenants(void)
{
	return lease.open || tguard_grants_visit_tenants();
}

static void
note_visit(void)
{
	int			level = GetCurrentTransactionNestLevel();
	Visit	   *visit;

	if (visits && visits->level >= level)
		return;
	visit = MemoryContextAlloc(TopTransactionContext, sizeof(Visit));
	visit->up = visits;
	visit->level = level;
	visit->entered = lease.entered;
	visits = visit;
}

/* The setting goes back to what it was, and so does what it means. */
static void
take_back_visits(int level)
{
	while (visits && visits->level >= level)
	{
		lease.entered = visits->entered;
		visits = visits->up;
	}
	mode_changed();
}

static void
keep_visits(int level)
{
	if (visits == NULL || visits->level < level)
		return;
	if (visits->up && visits->up->level == level - 1)
		visits = visits->up;
	else
		visits->level = level - 1;
}

/*
 * A lease that was opened in a savepoint ends when that is rolled back.  So
 * does a visit to a tenant: the setting goes back to the tenant before, or to
 * none, and whoever may enter() again is not bound to the tenant visited.
 */
void
tguard_bypass_subtransaction_aborted(SubTransactionId subid)
{
	if (visits_tenants())
	{
		tguard_context_unpin();
		tguard_plans_forget();
	}
	if (!lease.open)
		return;
	take_back_visits(GetCurrentTransactionNestLevel());
	if (lease.subid == subid)
		close_lease();
}

void
tguard_bypass_subtransaction_committed(SubTransactionId subid,
									   SubTransactionId parent)
{
	if (!lease.open)
		return;
	keep_visits(GetCurrentTransactionNestLevel());
	if (lease.subid == subid)
		lease.subid = parent;
}

/* ---------------------------------------------------------------------
 * SQL functions
 * ---------------------------------------------------------------------
 */

static void
deny_bypass(const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("bypass denied to role \"%s\"",
					GetUserNameFromId(GetSessionUserId(), true)),
			 errdetail(REASON_BYPASS_DENIED ": %s", why),
			 tguard_reason(REASON_BYPASS_DENIED),
			 errhint("%s", hint)));
}

/* Decides alone who may open a lease, and where. */
static void
check_may_begin(void)
{
	if (!tguard_preloaded)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("tenantguard is not preloaded"),
				 errdetail(REASON_NOT_PRELOADED ": without its library the server can neither bound nor log a bypass."),
				 tguard_reason(REASON_NOT_PRELOADED),
				 errhint("Add tenantguard to shared_preload_libraries and restart the server.")));
	if (IsParallelWorker() || InLocalUserIdChange() ||
		InSecurityRestrictedOperation())
		deny_bypass("begin_bypass() was called in a SECURITY DEFINER function or a restricted operation.",
					"Call it as a statement of its own.");
	if (!superuser_arg(GetSessionUserId()) && tguard_grants_purposes() == 0)
		deny_bypass("the session's user has no grant.",
					"A superuser may call tenantguard.grant_bypass(role, purpose).");
	if (tguard_context_is_pinned() && !lease_is_open())
		deny_bypass("this transaction has worked for a tenant.",
					"End it, and begin the bypass in a transaction of its own.");
}

/* A text argument; NULL and blank are one. */
static char *
text_argument(FunctionCallInfo fcinfo, int number)
{
	char	   *argument;

	if (PG_ARGISNULL(number))
		return NULL;
	argument = text_to_cstring(PG_GETARG_TEXT_PP(number));
	return strspn(argument, " \t\r\n") == strlen(argument) ? NULL : argument;
}

/* Is it for the session?  Anything but the two scopes is an error. */
static bool
scope_argument(const char *scope, TimestampTz until)
{
	if (scope && strcmp(scope, "transaction") == 0)
	{
		if (!IsTransactionBlock())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("a bypass of scope \"transaction\" needs a transaction block"),
					 errdetail(REASON_BYPASS_SCOPE ": it would end with this statement."),
					 tguard_reason(REASON_BYPASS_SCOPE),
					 errhint("Use BEGIN first, or scope => 'session' with until => now() + interval '10 minutes'.")));
		return false;
	}
	if (scope == NULL || strcmp(scope, "session") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown scope of a bypass: \"%s\"", scope ? scope : ""),
				 errhint("The scopes are \"transaction\" and \"session\".")));
	if (until == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a bypass of scope \"session\" needs an end"),
				 errdetail(REASON_BYPASS_SCOPE ": no time was given at which it ends."),
				 tguard_reason(REASON_BYPASS_SCOPE),
				 errhint("Add until => now() + interval '10 minutes'.")));
	return true;
}

static void
keep_text(char **where, const char *what)
{
	char	   *kept = MemoryContextStrdup(TopMemoryContext, what);

	if (*where)
		pfree(*where);
	*where = kept;
}

TGUARD_SQL_FUNCTION(tenantguard_begin_bypass);

/* begin_bypass(reason text, scope text, until timestamptz) RETURNS void */
Datum
tenantguard_begin_bypass(PG_FUNCTION_ARGS)
{
	char	   *reason = text_argument(fcinfo, 0);
	char	   *scope = text_argument(fcinfo, 1);
	TimestampTz until = PG_ARGISNULL(2) ? 0 : PG_GETARG_TIMESTAMPTZ(2);
	bool		session;

	check_may_begin();
	if (reason == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a bypass needs a reason"),
				 errhint("Say why, for whoever reads the log: tenantguard.begin_bypass('ticket 4711: move invoices').")));
	session = scope_argument(scope, until);
	if (until != 0 && until <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the end of a bypass must be in the future")));

	keep_text(&lease.role, GetUserNameFromId(GetSessionUserId(), false));
	keep_text(&lease.reason, quote_literal_cstr(reason));
	keep_text(&lease.stated, reason);
	lease.session = session;
	lease.unborn = true;
	lease.entered = false;
	lease.user = GetSessionUserId();
	lease.until = until;
	lease.lxid = tguard_lxid(MyProc);
	lease.subid = GetCurrentSubTransactionId();
	lease.open = true;
	visits = NULL;
	serial++;
	mode_changed();
	log_lease("opened");
	PG_RETURN_VOID();
}

TGUARD_SQL_FUNCTION(tenantguard_end_bypass);

/* end_bypass() RETURNS boolean: whether one was open */
Datum
tenantguard_end_bypass(PG_FUNCTION_ARGS)
{
	bool		was_open = lease_is_open();

	close_lease();
	PG_RETURN_BOOL(was_open);
}

TGUARD_SQL_FUNCTION(tenantguard_current_bypass);

/* current_bypass() RETURNS text: the reason, a standing purpose, or NULL */
Datum
tenantguard_current_bypass(PG_FUNCTION_ARGS)
{
	if (!tguard_preloaded || tguard_mode() != MODE_BYPASS)
		PG_RETURN_NULL();
	if (lease_is_open())
		PG_RETURN_TEXT_P(cstring_to_text(lease.stated));
	PG_RETURN_TEXT_P(cstring_to_text(tguard_grants_name(tguard_grants_standing())));
}

TGUARD_SQL_FUNCTION(tenantguard_enter);

/*
 * enter(tenant text) RETURNS void: SET LOCAL to a tenant.  Inside a bypass of
 * a purpose that visits many tenants it may be called again and again, and
 * NULL returns to the whole bypass.
 */
Datum
tenantguard_enter(PG_FUNCTION_ARGS)
{
	char	   *tenant = text_argument(fcinfo, 0);
	bool		reentry = tguard_preloaded && allows_reentry();

	if (tenant == NULL && !reentry)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot enter the tenant NULL"),
				 errdetail(REASON_MALFORMED ": no tenant was given, and no bypass is open to return to."),
				 tguard_reason(REASON_MALFORMED),
				 errhint("Name a tenant: SELECT tenantguard.enter('42').")));
	tguard_context_enter(tenant, reentry);
	if (lease_is_open())
	{
		note_visit();
		lease.entered = tenant != NULL;
		mode_changed();
	}
	PG_RETURN_VOID();
}
