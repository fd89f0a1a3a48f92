/*
 * migrate.c
 *	  The verb migrate: asks for the steps that remain and runs them, until
 *	  nothing remains or nothing gets done any more.
 */
#include "postgres_fe.h"

#include "common/logging.h"
#include "fe_utils/simple_list.h"
#include "tool/tool.h"

static const char migrating[] = "tenantguard migrate";

typedef struct Outcome
{
	int			done;
	int			unsafe;
	int			failed;
	int			again;
} Outcome;

static Outcome
count_outcome(const StepList *list)
{
	Outcome		outcome = {0};

	for (int i = 0; i < list->count; i++)
	{
		switch (list->steps[i].state)
		{
			case STEP_DONE:
				outcome.done++;
				break;
			case STEP_UNSAFE:
				outcome.unsafe++;
				break;
			case STEP_FAILED:
				outcome.failed++;
				break;
			case STEP_AGAIN:
				outcome.again++;
				break;
			default:
				break;
		}
	}
	return outcome;
}

/* What failed in an earlier round is not tried again in this run. */
static int
leave_out(StepList *list, SimpleStringList *failed)
{
	int			left = list->count;

	for (int i = 0; i < list->count; i++)
	{
		if (simple_string_list_member(failed, list->steps[i].object))
		{
			list->steps[i].state = STEP_SKIPPED;
			left--;
		}
	}
	return left;
}

static void
remember_failed(const StepList *list, SimpleStringList *failed)
{
	for (int i = 0; i < list->count; i++)
	{
		const Step *step = &list->steps[i];

		if ((step->state == STEP_FAILED || step->state == STEP_UNSAFE) &&
			!simple_string_list_member(failed, step->object))
			simple_string_list_append(failed, step->object);
	}
}

/* What no step changes, and a person may want to. */
static void
tell_what_stays(PGconn * conn, const ToolOptions *options)
{
	const char *params[] = {options->schema, step_kinds(options)};
	PGresult   *result = must_query(conn,
									"SELECT s.line FROM tenantguard.conversion_script(pg_catalog.quote_ident($1)::pg_catalog.regnamespace, $2::text[]) AS s (line) "
									"WHERE s.line LIKE '-- TO DECIDE%'", 2, params);

	for (int i = 0; i < PQntuples(result); i++)
		pg_log_info("%s", PQgetvalue(result, i, 0) + strlen("-- "));
	PQclear(result);
}

/* A primary key is in the code of applications: what changes with each? */
static void
tell_primary_keys(PGconn * conn, const ToolOptions *options)
{
	const char *params[] = {options->schema};
	PGresult   *result = must_query(conn,
									"SELECT pg_catalog.format('primary key of %s becomes %s: %s of index now, %s, used %s times, %s', p.relation, p.becomes, pg_catalog.pg_size_pretty(p.bytes), "
									"CASE p.bytes_after WHEN 0 THEN 'none of its own then' ELSE 'about ' || pg_catalog.pg_size_pretty(p.bytes_after) || ' then' END, p.scans, "
									"COALESCE('relied on by ' || NULLIF(pg_catalog.array_to_string(p.consumers, ', '), ''), 'relied on by nothing known')) "
									"FROM tenantguard.primary_key_costs(pg_catalog.quote_ident($1)::pg_catalog.regnamespace) AS p", 1, params);

	for (int i = 0; i < PQntuples(result); i++)
		pg_log_info("%s", PQgetvalue(result, i, 0));
	PQclear(result);
}

static int
run_rounds(PGconn * conn, const ToolOptions *options)
{
	SimpleStringList failed = {NULL, NULL};
	Outcome		sum = {0};

	int			repeats = 0;
	bool		goes_on = true;

	while (goes_on)
	{
		StepList   *list = ask_steps(conn, options);
		Outcome		outcome;

		goes_on = leave_out(list, &failed) > 0 && run_steps(list, options);
		outcome = count_outcome(list);
		remember_failed(list, &failed);
		free_steps(list);
		sum.done += outcome.done;
		sum.unsafe += outcome.unsafe;
		sum.failed += outcome.failed;
		sum.again = outcome.again;
		if (outcome.again > 0 && ++repeats <= options->retries)
			pg_usleep(1000000L);
		else if (outcome.done == 0 || outcome.again > 0)
			goes_on = false;
	}
	if (options->key == NULL)
		tell_what_stays(conn, options);
	pg_log_info("%d steps done, %d failed, %d stopped by rows", sum.done, sum.failed + sum.again, sum.unsafe);
	if (sum.failed + sum.again > 0)
		return EXIT_ERROR;
	return sum.unsafe > 0 ? EXIT_FINDINGS : EXIT_CLEAN;
}

int
verb_migrate(const ToolOptions *options)
{
	PGconn	   *conn = open_session(options);
	int			code;

	if (strstr(step_kinds(options), "primary_keys") && options->key == NULL)
		tell_primary_keys(conn, options);
	if (options->dry_run)
	{
		StepList   *list = ask_steps(conn, options);

		print_steps(list);
		free_steps(list);
		PQfinish(conn);
		return EXIT_CLEAN;
	}
	if (!open_workers(options, conn))
		return EXIT_ERROR;
	open_bypass(conn, migrating);
	code = run_rounds(conn, options);
	close_workers();
	PQfinish(conn);
	return code;
}
