/*
 * reference.h
 *	  The queries of foreign keys, which see every tenant.
 */
#ifndef TGUARD_REFERENCE_H
#define TGUARD_REFERENCE_H

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/elog.h"

/*
 * The executor and utility calls that run, noted by the doors: where each
 * began, as the top of the error context stack at that moment.  An executor
 * call names its plan, a utility call says whether it validates keys.  enter
 * returns the depth to leave with; after an error the frames of what failed
 * are gone.
 */
extern int	tguard_reference_enter_executor(const PlannedStmt *plan);
extern int	tguard_reference_enter_utility(bool validates);
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

/* Is the query that is about to be planned a foreign key's own? */
extern bool tguard_reference_is_planning(Query *query);

/* May a plan that was built for a foreign key run now? */
extern bool tguard_reference_is_running(void);

#endif							/* TGUARD_REFERENCE_H */
