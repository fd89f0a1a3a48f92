/*
 * reference.h
 *	  The queries of foreign keys, which see every tenant.
 */
#ifndef TGUARD_REFERENCE_H
#define TGUARD_REFERENCE_H

#include "base/extension.h"
#include "guard/visible.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/elog.h"

/*
 * The executor and utility calls that run, noted by the doors: where each
 * began, as the top of the error context stack at that moment.  An executor
 * call names its plan, a utility call its statement.  enter returns the depth
 * to leave with; after an error the frames of what failed are gone.
 */
extern int	tguard_reference_enter_executor(const PlannedStmt *plan);
extern int	tguard_reference_enter_utility(Node *statement);
extern void tguard_reference_leave(int depth);

/* Errors end the calls that began in what is rolled back. */
extern void tguard_reference_transaction_aborted(void);
extern void tguard_reference_subtransaction_aborted(SubTransactionId subid);

/*
 * A foreign key's query starts: what it changes counts as changed by the
 * statement that it is run for, whose triggers go on with the next level.
 */
extern void tguard_reference_note_start(const PlannedStmt *plan);

/* Is this a statement that validates foreign keys and runs no user's code? */
extern bool tguard_reference_validates(Node *statement);

/* Can a foreign key's query be planned at all now?  Cheap. */
extern bool tguard_reference_is_likely(void);

/*
 * Is the query that is about to be planned a foreign key's own?  Then it gets
 * the condition on rows of other tenants.
 */
extern bool tguard_reference_prepare(Query *query);

/* The condition, on what a foreign key looks up or changes. */
extern void tguard_reference_hold(Query *query, Oid constraint,
								  bool on_parent);

/*
 * May a foreign key's query meet a row, whose tenant column holds this value?
 * "object" is the relation that is referred to, or the constraint of a cascade.
 * A cascade is never told no: errors foreign_reference (23503), no_context.
 */
extern bool tguard_reference_admits(TenantKeyKind kind, bool isnull,
									Datum value, Oid object, RowCheck what);

/*
 * A row is about to be inserted into the registry, perhaps with no tenant: in
 * this transaction nothing that is tenants' may be referred to without one.
 */
extern void tguard_reference_note_sign_up(void);

/* Is a check that runs now that of a statement, and not left to a later time? */
extern bool tguard_reference_is_immediate(void);

/* May a plan that was built for a foreign key run now? */
extern bool tguard_reference_is_running(void);

#endif							/* TGUARD_REFERENCE_H */
