/*
 * run.c
 *	  Runs steps, several at a time where they block nobody.
 *
 * A step that blocks writers has a limit from the moment it asks for its lock
 * until it has committed: writers queue behind whoever waits for a strong lock,
 * so waiting is blocking.  lock_timeout and statement_timeout hold in the
 * server, also when this program is gone; they count for each statement, so the
 * limit of a whole step is kept here, by cancelling it.
 *
 * An index that is built CONCURRENTLY waits for older transactions without a
 * limit of its own: it blocks nobody, and lock_timeout would end it.
 */
#include "postgres_fe.h"

#include <poll.h>

#include "common/logging.h"
#include "common/pg_prng.h"
#include "fe_utils/cancel.h"
#include "pqexpbuffer.h"
#include "tool/tool.h"

/* Attempts are this far apart at first, then twice as far each time. */
#define FIRST_PAUSE		100
#define LONGEST_PAUSE	10000

#define REPORT_INTERVAL	5000

/* Sessions of one run, in the keys of pg_advisory_lock(int, int). */
#define LOCK_CLASS		"1952935013"	/* "tgre" */
#define LOCK_RUN		"1"
#define LOCK_WORKER		"2"

typedef struct Worker
{
	PGconn	   *conn;
	Step	   *step;			/* NULL: idle */
	PGresult   *result;			/* the first error, or the last result */
	int64		started;
	int64		deadline;		/* 0: none */
	int64		report;			/* when to say that it still runs */
	bool		cancelled;
} Worker;

static Worker *workers = NULL;
static int	worker_count = 0;
static PGconn * watcher = NULL; /* looks at the progress of the others */
static int	total = 0;
static int	begun = 0;

/* ---------------------------------------------------------------------
 * Sessions
 * ---------------------------------------------------------------------
 */

static bool
try_lock(PGconn * conn, const char *lock)
{
	const char *params[] = {lock};
	PGresult   *result = must_query(conn, "SELECT pg_catalog.pg_try_advisory_lock(" LOCK_CLASS ", $1)", 1, params);
	bool		taken = is_true(result, 0, 0);

	PQclear(result);
	return taken;
}

static char *
lock_holder(PGconn * conn, const char *lock)
{
	const char *params[] = {lock};
	PGresult   *result = must_query(conn,
									"SELECT COALESCE(pg_catalog.string_agg(l.pid::text, ', '), 'unknown') FROM pg_catalog.pg_locks AS l "
									"WHERE l.locktype = 'advisory' AND l.granted AND l.classid = " LOCK_CLASS " AND l.objid = $1::oid "
									"AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())",
									1, params);
	char	   *pids = pg_strdup(PQgetvalue(result, 0, 0));

	PQclear(result);
	return pids;
}

/*
 * One run at a time: an index that another one builds looks like one that a
 * failure left.  The server notices within a second that a program is gone, and
 * then ends what it was doing.
 */
static bool
exclude_others(PGconn * conn)
{
	bool		told = false;

	for (int i = 0; i < 50 && !try_lock(conn, LOCK_RUN); i++)
	{
		if (i == 49)
		{
			pg_log_error("another migration runs in this database (process %s)", lock_holder(conn, LOCK_RUN));
			return false;
		}
		pg_usleep(100000L);
	}
	while (!try_lock(conn, LOCK_WORKER))
	{
		if (CancelRequested)
			return false;
		if (!told)
			pg_log_info("waiting for the server to end what an earlier run began (process %s)", lock_holder(conn, LOCK_WORKER));
		told = true;
		pg_usleep(100000L);
	}
	PQclear(must_query(conn, "SELECT pg_catalog.pg_advisory_unlock(" LOCK_CLASS ", " LOCK_WORKER ")", 0, NULL));
	return true;
}

bool
open_workers(const ToolOptions *options, PGconn * control)
{
	if (!exclude_others(control))
		return false;
	watcher = control;
	workers = pg_malloc0(sizeof(Worker) * options->jobs);
	for (worker_count = 0; worker_count < options->jobs; worker_count++)
	{
		PGconn	   *conn = open_session(options);

		open_bypass(conn, "tenantguard migrate");
		PQclear(must_query(conn, "SELECT pg_catalog.pg_advisory_lock_shared(" LOCK_CLASS ", " LOCK_WORKER ")", 0, NULL));
		workers[worker_count].conn = conn;
	}
	pg_prng_seed(&pg_global_prng_state, (uint64) now_ms() ^ ((uint64) getpid() << 32));
	return true;
}

void
close_workers(void)
{
	for (int i = 0; i < worker_count; i++)
		PQfinish(workers[i].conn);
	worker_count = 0;
}

/* ---------------------------------------------------------------------
 * One step
 * ---------------------------------------------------------------------
 */

static void
set_limits(Worker *worker, const ToolOptions *options)
{
	char		command[128];
	int			lock = worker->step->kind == STEP_CONCURRENT ? 0 : options->lock_timeout;
	int			statement = worker->step->kind == STEP_SHORT ? options->lock_timeout : 0;

	snprintf(command, sizeof(command), "SET lock_timeout = %d; SET statement_timeout = %d", lock, statement);
	must_run(worker->conn, command);
}

static void
start_step(Worker *worker, Step *step, const ToolOptions *options)
{
	int64		limit = options->max_wait * INT64CONST(1000);

	worker->step = step;
	worker->result = NULL;
	worker->cancelled = false;
	step->state = STEP_RUNNING;
	if (step->attempts++ == 0)
	{
		begun++;
		pg_log_info("[%d/%d] %s: %s", begun, total, step->object, step->purpose);
	}
	set_limits(worker, options);

	worker->started = now_ms();
	if (step->first_start == 0)
		step->first_start = worker->started;
	worker->deadline = limit ? step->first_start + limit : 0;
	if (step->kind == STEP_SHORT &&
		(worker->deadline == 0 || worker->deadline > worker->started + options->lock_timeout))
		worker->deadline = worker->started + options->lock_timeout;
	worker->report = worker->started + REPORT_INTERVAL;
	if (!PQsendQuery(worker->conn, step->statement))
		pg_fatal("%s", PQerrorMessage(worker->conn));
}

static void
cancel_step(Worker *worker)
{
	PGcancel   *cancel = PQgetCancel(worker->conn);
	char		message[256];

	worker->cancelled = true;
	if (cancel && !PQcancel(cancel, message, sizeof(message)))
		pg_log_warning("%s", message);
	PQfreeCancel(cancel);
}

static bool
is_one_of(const char *sqlstate, const char *const *states)
{
	for (; *states; states++)
	{
		if (strcmp(sqlstate, *states) == 0)
			return true;
	}
	return false;
}

static int
pause_after(int attempts)
{
	int			pause = attempts > 7 ? LONGEST_PAUSE : Min(FIRST_PAUSE << (attempts - 1), LONGEST_PAUSE);

	/* so that two that disturb each other do not meet again */
	return pause / 2 + (int) (pg_prng_double(&pg_global_prng_state) * pause);
}

static void
log_failure(const Step *step, PGresult * result)
{
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	pg_log_error("%s: %s", step->object, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ?
				 PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : PQresultErrorMessage(result));
	if (detail)
		pg_log_error_detail("%s", detail);
	if (hint)
		pg_log_error_hint("%s", hint);
}

/* Did it find no lock, and is there time for another attempt? */
static bool
may_repeat(const Worker *worker, const ToolOptions *options, const char *sqlstate)
{
	/* lock_not_available, deadlock_detected, serialization_failure, canceled */
	static const char *const passing[] = {"55P03", "40P01", "40001", "57014", NULL};
	const Step *step = worker->step;

	if (CancelRequested || !is_one_of(sqlstate, passing) || step->attempts > options->retries)
		return false;
	if (strcmp(sqlstate, "57014") == 0 && step->kind != STEP_SHORT)
		return false;
	return options->max_wait == 0 ||
		now_ms() < step->first_start + options->max_wait * INT64CONST(1000);
}

static void
judge_failure(Worker *worker, const ToolOptions *options)
{
	/* foreign_key, not_null, check, unique and exclusion violations */
	static const char *const rows_forbid[] = {"23503", "23502", "23514", "23505", "23P01", NULL};
	const char *sqlstate = PQresultErrorField(worker->result, PG_DIAG_SQLSTATE);
	Step	   *step = worker->step;

	if (sqlstate == NULL)
		sqlstate = "";
	if (may_repeat(worker, options, sqlstate))
	{
		int			pause = pause_after(step->attempts);

		pg_log_info("%s: found no lock within %d ms, attempt %d in %.1f s", step->object,
					options->lock_timeout, step->attempts + 1, pause / 1000.0);
		/* what a failed build left is dropped first, if one asks again */
		step->state = step->kind == STEP_CONCURRENT ? STEP_AGAIN : STEP_READY;
		step->not_before = now_ms() + pause;
		return;
	}
	log_failure(step, worker->result);
	step->state = is_one_of(sqlstate, rows_forbid) ? STEP_UNSAFE : STEP_FAILED;
}

static void
finish_step(Worker *worker, const ToolOptions *options)
{
	ExecStatusType status = PQresultStatus(worker->result);

	if (PQstatus(worker->conn) == CONNECTION_BAD)
	{
		pg_log_error("%s: the connection is lost: %s", worker->step->object, PQerrorMessage(worker->conn));
		pg_log_error_hint("What is done stays done. Run the program again to go on.");
		exit(EXIT_ERROR);
	}
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
	{
		worker->step->state = STEP_DONE;
		pg_log_info("%s: done in %.1f s", worker->step->object, (now_ms() - worker->started) / 1000.0);
	}
	else
		judge_failure(worker, options);
	PQclear(worker->result);
	worker->step = NULL;
}

/* Take in what the server sent; is the step over? */
static bool
read_results(Worker *worker)
{
	PGresult   *result;

	if (!PQconsumeInput(worker->conn))
		return true;
	while (!PQisBusy(worker->conn))
	{
		result = PQgetResult(worker->conn);
		if (result == NULL)
			return true;
		/* after an error the server runs none of the statements that follow */
		PQclear(worker->result);
		worker->result = result;
	}
	return false;
}

/* How far is a build, and for whom does it wait? */
static void
report_progress(const Worker *worker)
{
	char		pid[16];
	const char *params[] = {pid};
	PGresult   *result;

	snprintf(pid, sizeof(pid), "%d", PQbackendPID(worker->conn));
	result = must_query(watcher,
						"SELECT COALESCE(p.phase, 'running'), CASE WHEN p.blocks_total > 0 THEN pg_catalog.format(', %s %% of its blocks', 100 * p.blocks_done / p.blocks_total) END, "
						"CASE WHEN p.current_locker_pid > 0 THEN pg_catalog.format(', behind process %s', p.current_locker_pid) "
						"WHEN pg_catalog.cardinality(b.pids) > 0 THEN pg_catalog.format(', behind process %s', pg_catalog.array_to_string(b.pids, ', ')) END "
						"FROM (SELECT pg_catalog.pg_blocking_pids($1::int) AS pids) AS b "
						"LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.pid = $1::int", 1, params);
	pg_log_info("%s: %s for %d s%s%s", worker->step->object, PQgetvalue(result, 0, 0),
				(int) ((now_ms() - worker->started) / 1000), PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
	PQclear(result);
}

/* ---------------------------------------------------------------------
 * Many steps
 * ---------------------------------------------------------------------
 */

static Step *
next_ready(StepList *list, int from, int to, int64 *soonest)
{
	int64		now = now_ms();

	for (int i = from; i < to; i++)
	{
		Step	   *step = &list->steps[i];

		if (step->state != STEP_READY)
			continue;
		if (step->not_before <= now)
			return step;
		*soonest = Min(*soonest, step->not_before);
	}
	return NULL;
}

static bool
is_any_ready(const StepList *list, int from, int to)
{
	for (int i = from; i < to; i++)
	{
		if (list->steps[i].state == STEP_READY)
			return true;
	}
	return false;
}

/* Wait until a server answers or something is due. */
static void
wait_for_any(int64 soonest)
{
	struct pollfd *fds = pg_malloc0(sizeof(struct pollfd) * worker_count);
	int			count = 0;

	for (int i = 0; i < worker_count; i++)
	{
		if (workers[i].step == NULL)
			continue;
		fds[count].fd = PQsocket(workers[i].conn);
		fds[count++].events = POLLIN;
		soonest = Min(soonest, workers[i].report);
		if (workers[i].deadline && !workers[i].cancelled)
			soonest = Min(soonest, workers[i].deadline);
	}
	/* an interrupt ends it early, which is as it should be */
	(void) poll(fds, count, (int) Max(0, Min(soonest - now_ms(), 1000)));
	pg_free(fds);
}

static void
look_after(Worker *worker, const ToolOptions *options)
{
	int64		now = now_ms();

	if (read_results(worker))
	{
		finish_step(worker, options);
		return;
	}
	if (!worker->cancelled && (CancelRequested || (worker->deadline && now >= worker->deadline)))
		cancel_step(worker);
	if (now >= worker->report)
	{
		report_progress(worker);
		worker->report = now + REPORT_INTERVAL;
	}
}

/* Steps of one phase. What blocks somebody runs alone. */
static void
run_phase(StepList *list, int from, int to, const ToolOptions *options)
{
	for (;;)
	{
		int64		soonest = now_ms() + REPORT_INTERVAL;
		int			busy = 0;

		for (int i = 0; i < worker_count; i++)
			busy += workers[i].step != NULL;
		for (int i = 0; i < worker_count && !CancelRequested; i++)
		{
			Step	   *step = workers[i].step ? NULL : next_ready(list, from, to, &soonest);

			if (step == NULL || (step->kind == STEP_SHORT && busy > 0))
				continue;
			start_step(&workers[i], step, options);
			busy++;
			if (step->kind == STEP_SHORT)
				break;
		}
		if (busy == 0 && (CancelRequested || !is_any_ready(list, from, to)))
			return;
		wait_for_any(soonest);
		for (int i = 0; i < worker_count; i++)
		{
			if (workers[i].step)
				look_after(&workers[i], options);
		}
	}
}

/*
 * Steps of an object whose earlier step failed.  Indexes are built all the
 * same: other objects may want them.
 */
static void
skip_failed(StepList *list, int upto, int from, const ToolOptions *options)
{
	for (int i = from; i < list->count; i++)
	{
		Step	   *step = &list->steps[i];

		if (step->state != STEP_READY || (options->key == NULL && step->phase % 100 < 50))
			continue;
		for (int k = 0; k < upto; k++)
		{
			const Step *earlier = &list->steps[k];

			if (earlier->state != STEP_DONE && strcmp(earlier->object, step->object) == 0)
				step->state = STEP_SKIPPED;
		}
	}
}

/* Returns false when the user ended it. */
bool
run_steps(StepList *list, const ToolOptions *options)
{
	int			from = 0;

	total = begun + list->count;
	while (from < list->count && !CancelRequested)
	{
		int			to = from + 1;

		while (to < list->count && list->steps[to].phase == list->steps[from].phase)
			to++;
		run_phase(list, from, to, options);
		skip_failed(list, to, to, options);
		from = to;
	}
	return !CancelRequested;
}
