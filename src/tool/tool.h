/*
 * tool.h
 *	  What the parts of the program "tenantguard" share.
 */
#ifndef TGUARD_TOOL_H
#define TGUARD_TOOL_H

#include "fe_utils/connect_utils.h"
#include "libpq-fe.h"

#define EXIT_CLEAN		0
#define EXIT_ERROR		1
#define EXIT_FINDINGS	2

typedef struct ToolOptions
{
	ConnParams	connection;
	const char *progname;
	const char *schema;			/* NULL: every schema */
	const char *only;			/* kind of steps; NULL: all */
	const char *relation;		/* with key: this one alone */
	const char *key;
	const char *severity;		/* the least that check prints */
	bool		consumers_ready;
	bool		dry_run;
	bool		primary_keys;	/* those of the schema as well */
	bool		rows;
	int			jobs;
	int			lock_timeout;	/* milliseconds */
	int			retries;
	int			max_wait;		/* seconds for one step; 0: no limit */
} ToolOptions;

/*
 * Who waits while a step runs or waits for its locks.  Only those that block
 * somebody have to be short.
 */
typedef enum StepKind
{
	STEP_SHORT,					/* blocks writers or everybody */
	STEP_LONG,					/* blocks nobody, in a transaction */
	STEP_CONCURRENT				/* blocks nobody, outside of a transaction */
} StepKind;

typedef enum StepState
{
	STEP_READY,
	STEP_RUNNING,
	STEP_DONE,
	STEP_AGAIN,					/* failed: the server has to be asked again */
	STEP_FAILED,				/* failed: a person has to look */
	STEP_UNSAFE,				/* failed: rows forbid it */
	STEP_SKIPPED				/* an earlier step of its object failed */
} StepState;

typedef struct Step
{
	int			phase;
	StepKind	kind;
	char	   *object;
	char	   *purpose;
	char	   *statement;
	StepState	state;
	int			attempts;
	int64		first_start;	/* milliseconds; 0: not started yet */
	int64		not_before;
} Step;

typedef struct StepList
{
	Step	   *steps;
	int			count;
} StepList;

/* session.c: connections, and queries that must succeed */
extern PGconn * open_session(const ToolOptions *options);
extern void open_bypass(PGconn * conn, const char *reason);
extern PGresult * must_query(PGconn * conn, const char *query, int nparams,
							 const char *const *params);
extern void must_run(PGconn * conn, const char *command);
extern bool is_true(PGresult * result, int row, int column);
extern int64 now_ms(void);

/* steps.c: what remains to be done */
extern const char *step_kinds(const ToolOptions *options);
extern StepList *ask_steps(PGconn * conn, const ToolOptions *options);
extern void free_steps(StepList *list);
extern void print_steps(const StepList *list);

/* run.c: runs steps; their states say what became of them */
extern bool open_workers(const ToolOptions *options, PGconn * control);
extern bool run_steps(StepList *list, const ToolOptions *options);
extern void close_workers(void);

/* the verbs */
extern int	verb_check(const ToolOptions *options);
extern int	verb_migrate(const ToolOptions *options);
extern int	verb_status(const ToolOptions *options);

#endif							/* TGUARD_TOOL_H */
