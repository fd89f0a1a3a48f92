/*
 * bypass.h
 *	  The declared way out: who sees every tenant, why and how long.
 */
#ifndef TGUARD_BYPASS_H
#define TGUARD_BYPASS_H

/* What a statement that reaches guarded relations is planned and run under. */
typedef enum TguardMode
{
	MODE_GUARD,					/* one tenant's rows */
	MODE_BYPASS,				/* every tenant's rows, declared and logged */
	MODE_REPORT					/* tenantguard.enforce = log */
} TguardMode;

/* Decide the mode of a statement that starts now.  Needs a transaction. */
extern TguardMode tguard_mode(void);

/*
 * Does a tenant bind this transaction?  It is set, or rows were reached under
 * it and it was RESET since; and no bypass is open.  Also in MODE_REPORT.
 */
extern bool tguard_tenant_binds(void);

/* Names the bypass in force; a plan built under another one must not run. */
extern uint32 tguard_bypass_serial(void);

/* Does this session's user hold a standing grant? */
extern bool tguard_bypass_stands(void);

/*
 * Does the session hold its bypass, be it that it visits one tenant right now?
 * What it opened before, such as the cursor of a loop over tenants, goes on.
 */
extern bool tguard_bypass_is_held(void);

/* Was it so at any moment of this transaction? */
extern bool tguard_bypass_was_held(void);

/* Write a statement that runs under the bypass to the server log. */
extern void tguard_bypass_log(const char *statement);

/*
 * For a command that only a bypass permits: logs it under one, reports it in
 * MODE_REPORT, and is an error otherwise.  "what" names the command and the
 * object ("truncate guarded relation \"x\""), "why" what it would do.
 */
extern void tguard_bypass_demand(const char *reason, const char *what,
								 const char *why);

/* The same for a command that no transaction block may hold. */
extern void tguard_bypass_demand_session(const char *reason, const char *what,
										 const char *why);

/* MODE_REPORT: write to the server log what the guard would do. */
extern void tguard_bypass_report(const char *what, const char *statement);

/* DISCARD ALL: the session goes to somebody else. */
extern void tguard_bypass_discard(void);

/* What (sub)transactions end; the first is called for all ends but of workers. */
extern void tguard_bypass_transaction_ended(bool aborted);
extern void tguard_bypass_subtransaction_aborted(SubTransactionId subid);
extern void tguard_bypass_subtransaction_committed(SubTransactionId subid,
												   SubTransactionId parent);

#endif							/* TGUARD_BYPASS_H */
