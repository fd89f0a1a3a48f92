/*
 * context.c
 *	  Which tenant the current transaction works for.
 *
 * The tenant is the value of app.current_org_id.  What the value is worth is
 * decided here, by three rules:
 *
 * It counts for one transaction.  The check hook stores the local transaction
 * id beside the parsed value, in the setting's "extra", so that it follows
 * the value through savepoints, rollbacks and the end of SET LOCAL.  A value
 * from another transaction is inert: a pooled connection that still carries
 * yesterday's tenant has none today.
 *
 * It is frozen by its first use.  The tenant is pinned when guarded rows are
 * first reached and compared on every later use.  RESET and rollbacks change
 * a setting without asking the check hook; the comparison catches them.
 *
 * It is verified.  The registry must know the tenant as active, asked again
 * whenever the registry's epoch changed.
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
#include "tenant/context.h"
#include "tenant/leader.h"
#include "tenant/registry.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* What the check hook leaves in the setting's "extra". */
typedef struct ContextValue
{
	LocalTransactionId lxid;	/* in which transaction it was set */
	GucSource	source;
	uint32		verified;		/* registry epoch of the verification, or 0 */
	TenantIdentity identity;	/* goes on beyond here */
} ContextValue;

/* The value in force: the setting's own "extra", or NULL for no tenant. */
static ContextValue *live = NULL;
static uint32 live_serial = 0;
static uint32 last_serial = 0;

/*
 * The tenant that this transaction is bound to.  Statements that run point to
 * its identity, so one that is replaced, under a bypass, is kept until the
 * transaction ends.
 */
static LocalTransactionId pinned_lxid = InvalidLocalTransactionId;
static uint32 pinned_serial = 0;
static TenantIdentity *pinned = NULL;
static List *replaced = NIL;

/* see tguard_context_note_guess */
static bool guessed = false;
static bool guessed_mode = false;

static bool repinning = false;	/* inside tguard_context_enter(_, true) */
static struct config_generic *setting = NULL;

static LocalTransactionId
current_lxid(void)
{
	return MyProc ? tguard_lxid(MyProc) : InvalidLocalTransactionId;
}

bool
tguard_context_is_pinned(void)
{
	return pinned_lxid != InvalidLocalTransactionId &&
		pinned_lxid == current_lxid();
}

uint32
tguard_context_serial(void)
{
	return live_serial;
}

void
tguard_context_note_guess(bool any_plan)
{
	guessed = true;
	guessed_mode |= any_plan;
}

static void
forget_guesses(void)
{
	if (guessed_mode)
		tguard_plans_forget();
	else if (guessed)
		tguard_plans_forget_guesses();
	guessed = guessed_mode = false;
}

/* ---------------------------------------------------------------------
 * The setting
 * ---------------------------------------------------------------------
 */

/* A clause that stores a value for later, where no transaction can own it. */
static void
refuse_stored_value(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("app.current_org_id cannot be stored with a function, role or database"),
			 errdetail(REASON_CONTEXT_SOURCE ": a tenant belongs to one transaction."),
			 tguard_reason(REASON_CONTEXT_SOURCE),
			 errhint("Set it in the transaction: SET LOCAL app.current_org_id = '...';")));
}

/* Can it be a key of the registry?  What cannot is refused as it is set. */
static bool
has_shape(const TenantIdentity *identity)
{
	TenantKeyKind kind = tguard_registry_key_kind();

	return strlen(identity->text) <= TENANT_KEY_MAX &&
		(kind == KEY_NONE || tguard_identity_fits(identity, kind));
}

static void
refuse_shape(const char *text)
{
	TenantKeyKind kind = tguard_registry_key_kind();

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for parameter \"%s\": \"%s\"",
					TGUARD_CONTEXT_SETTING, text),
			 kind == KEY_NONE || strlen(text) > TENANT_KEY_MAX ?
			 errdetail(REASON_MALFORMED ": a tenant's key has at most %d bytes.",
					   TENANT_KEY_MAX) :
			 errdetail(REASON_MALFORMED ": the registry's key is of type %s.",
					   format_type_be(tguard_key_type(kind))),
			 tguard_reason(REASON_MALFORMED),
			 errhint("Write the key in its canonical spelling, such as 42, without signs, blanks or leading zeros, or as a lower-case uuid.")));
}

/* "asked" is the tenant that is asked for, '' for none. */
static void
refuse_other_tenant(const char *asked)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the tenant of this transaction is fixed"),
			 *asked ?
			 errdetail(REASON_TENANT_FIXED ": this transaction has worked for tenant \"%s\"; it cannot change to \"%s\".",
					   pinned->text, asked) :
			 errdetail(REASON_TENANT_FIXED ": this transaction has worked for tenant \"%s\"; it cannot go on without.",
					   pinned->text),
			 tguard_reason(REASON_TENANT_FIXED),
			 errhint("End the transaction and begin one for the other tenant.")));
}

/*
 * Check hook.  Values of configuration files, startup packets, roles and
 * databases are accepted whatever they are, since refusing them would refuse
 * the connection; they count for nothing in transaction scope.
 */
bool
tguard_context_check(char **newval, void **extra, GucSource source)
{
	const char *text = *newval ? *newval : "";
	bool		asked = (source == PGC_S_SESSION && IsTransactionState() &&
						 !InitializingParallelWorker);
	ContextValue *value;

	if (source == PGC_S_TEST)
		refuse_stored_value();
	if (asked && !repinning && tguard_context_is_pinned() &&
		strcmp(text, pinned->text) != 0)
		refuse_other_tenant(text);
	if (*text == '\0')
		return true;			/* '' and unset are one state */
	value = tguard_guc_malloc(offsetof(ContextValue, identity) +
							  tguard_identity_size(text));
	if (value == NULL)
		return false;
	value->lxid = current_lxid();
	value->source = source;
	value->verified = 0;
	tguard_identity_parse(text, &value->identity);
	if (asked && !has_shape(&value->identity))
	{
		tguard_guc_free(value);
		refuse_shape(text);
	}
	*extra = value;
	return true;
}

/* Workers get the tenant only if it is the one the transaction is bound to. */
static void
publish_to_workers(void)
{
	bool		other = tguard_context_is_pinned() &&
	live_serial != pinned_serial;

	tguard_leader_publish_tenant(live ? live->lxid :
								 InvalidLocalTransactionId, other);
}

static void
pin(const ContextValue *value)
{
	const char *text = value->identity.text;
	MemoryContext old;

	if (pinned == NULL || strcmp(pinned->text, text) != 0)
	{
		old = MemoryContextSwitchTo(TopMemoryContext);
		pinned_lxid = InvalidLocalTransactionId;
		if (pinned)
			replaced = lappend(replaced, pinned);
		pinned = NULL;
		pinned = palloc(tguard_identity_size(text));
		tguard_identity_parse(text, pinned);
		MemoryContextSwitchTo(old);
	}
	pinned_serial = live_serial;
	pinned_lxid = current_lxid();
	publish_to_workers();
}

/*
 * Assign hook: runs in aborts too, so it moves pointers and flags.  What a
 * parallel worker read under the old value binds the transaction to it.
 */
void
tguard_context_assign(const char *newval, void *extra)
{
	ContextValue *value = extra;
	bool		same = live && value &&
	strcmp(live->identity.text, value->identity.text) == 0;

	if (live && !same && !tguard_context_is_pinned() &&
		tguard_leader_was_used())
		pin(live);
	live = value;
	if (!same)
	{
		if (value && tguard_context_is_pinned() &&
			strcmp(value->identity.text, pinned->text) == 0)
			live_serial = pinned_serial;
		else
			live_serial = value ? ++last_serial : 0;
	}
	publish_to_workers();
	if (!same)
		forget_guesses();
}

/* ---------------------------------------------------------------------
 * What the value is worth
 * ---------------------------------------------------------------------
 */

/* Did the session, and not a role, database or file, state this value? */
static bool
stated_by_session(const ContextValue *value)
{
	return value->source == PGC_S_SESSION || value->source == PGC_S_CLIENT;
}

static bool
counts_now(const ContextValue *value)
{
	bool		for_session = (tguard_context_scope == SCOPE_SESSION);

	if (for_session && !stated_by_session(value))
		return false;
	if (IsParallelWorker())
		return tguard_leader_has_tenant(for_session);
	return for_session ||
		(value->source == PGC_S_SESSION &&
		 value->lxid != InvalidLocalTransactionId &&
		 value->lxid == current_lxid());
}

const TenantIdentity *
tguard_context_peek(void)
{
	return live && counts_now(live) ? &live->identity : NULL;
}

const TenantIdentity *
tguard_context_bound(void)
{
	return tguard_context_is_pinned() ? pinned : tguard_context_peek();
}

void
tguard_context_complain(void)
{
	if (live)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("no tenant is set in this transaction"),
				 errdetail(REASON_STALE_CONTEXT ": app.current_org_id is \"%s\", but it was not set in this transaction and does not count.",
						   live->identity.text),
				 tguard_reason(REASON_STALE_CONTEXT),
				 errhint("Begin with: BEGIN; SET LOCAL app.current_org_id = '...';")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("no tenant is set in this transaction"),
			 errdetail(REASON_NO_CONTEXT ": the statement reaches a guarded relation and app.current_org_id is not set."),
			 tguard_reason(REASON_NO_CONTEXT),
			 errhint("Begin with: BEGIN; SET LOCAL app.current_org_id = '...'; or declare a bypass with tenantguard.begin_bypass().")));
}

/*
 * A function's SET clause, written before this library knew the setting,
 * changes the tenant behind the transaction's back.  Its value reads as the
 * session's own; the setting's stack tells.
 */
static void
refuse_function_value(void)
{
	if (setting && setting->stack && setting->stack->state == GUC_SAVE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a function's SET clause cannot choose the tenant"),
				 errdetail(REASON_CONTEXT_SOURCE ": app.current_org_id was set by the definition of a function."),
				 tguard_reason(REASON_CONTEXT_SOURCE),
				 errhint("ALTER FUNCTION ... RESET app.current_org_id, and set the tenant in the transaction.")));
}

static void
verify(ContextValue *value)
{
	bool		lasting;
	TenantStanding standing;

	if (value->verified == tguard_registry_epoch())
		return;
	value->verified = 0;
	standing = tguard_registry_ask(&value->identity, &lasting);
	if (standing == TENANT_UNKNOWN)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("tenant \"%s\" is not known", value->identity.text),
				 errdetail(REASON_UNKNOWN_TENANT ": the registry has no such row."),
				 tguard_reason(REASON_UNKNOWN_TENANT),
				 errhint("Set app.current_org_id to a key of the registry; a new tenant's row comes first.")));
	if (standing == TENANT_SUSPENDED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("tenant \"%s\" is not active", value->identity.text),
				 errdetail(REASON_SUSPENDED ": the registry's status of this tenant is none of the active ones."),
				 tguard_reason(REASON_SUSPENDED),
				 errhint("An administrator changes the status under tenantguard.begin_bypass().")));
	if (lasting)
		value->verified = tguard_registry_epoch();
}

const TenantIdentity *
tguard_context_require(void)
{
	bool		bound = tguard_context_is_pinned();

	if (live == NULL || !counts_now(live))
	{
		if (bound)
			refuse_other_tenant(live ? live->identity.text : "");
		if (tguard_missing_context == MISSING_EMPTY)
			return NULL;
		tguard_context_complain();
	}
	refuse_function_value();
	if (bound && pinned_serial != live_serial)
		refuse_other_tenant(live ? live->identity.text : "");
	verify(live);
	if (IsParallelWorker())
	{
		tguard_leader_note_use();
		return &live->identity; /* settings do not change in a worker */
	}
	if (!bound)
		pin(live);
	return pinned;
}

void
tguard_context_enter(const char *tenant, bool repin)
{
	PG_TRY();
	{
		repinning = repin;
		(void) set_config_option(TGUARD_CONTEXT_SETTING, tenant ? tenant : "",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
								 true, 0, false);
	}
	PG_FINALLY();
	{
		repinning = false;
	}
	PG_END_TRY();
	if (repin)
		tguard_context_unpin();
}

void
tguard_context_unpin(void)
{
	pinned_lxid = InvalidLocalTransactionId;
	publish_to_workers();
}

/* What this transaction set itself has an entry in the setting's stack. */
bool
tguard_context_is_left_over(void)
{
	struct config_generic *present = tguard_find_setting(TGUARD_CONTEXT_SETTING);

	return present && present->stack == NULL;
}

void
tguard_context_expire(void)
{
	if (live)
		live->lxid = InvalidLocalTransactionId;
}

/* A value that stays behind counts no more: what was guessed on it is void. */
void
tguard_context_transaction_ended(void)
{
	if (replaced == NIL && !guessed)
		return;
	list_free_deep(replaced);
	replaced = NIL;
	forget_guesses();
}

/* The setting's own record shows how its value came about. */
void
tguard_context_init(void)
{
	setting = tguard_find_setting(TGUARD_CONTEXT_SETTING);
}
