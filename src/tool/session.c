/*
 * session.c
 *	  Connections, and the queries that must succeed.
 */
#include "postgres_fe.h"

#include <sys/time.h>

#include "common/logging.h"
#include "tool/tool.h"

/* A lease has to have an end; no run is meant to last longer. */
#define BYPASS_INTERVAL		"1 day"

PGconn *
open_session(const ToolOptions *options)
{
	ConnParams	params = options->connection;
	PGconn	   *conn;
	PGresult   *result;

	/* "" lets libpq ask the environment, as psql does */
	if (params.dbname == NULL)
		params.dbname = "";
	conn = connectDatabase(&params, options->progname, false, false, true);
	/* whoever ends the program ends what it had the server do */
	must_run(conn, "SET client_connection_check_interval = '1s'");
	must_run(conn, "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_session_timeout = 0; SET client_min_messages = warning");

	result = must_query(conn, "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'tenantguard'", 0, NULL);
	if (PQntuples(result) == 0)
	{
		pg_log_error("database \"%s\" has no extension tenantguard", PQdb(conn));
		pg_log_error_hint("Use CREATE EXTENSION tenantguard.");
		exit(EXIT_ERROR);
	}
	PQclear(result);
	return conn;
}

/*
 * A role with a standing grant has its bypass; others ask for one, which is
 * logged.  Without the library there is none, and only a superuser sees all.
 */
void
open_bypass(PGconn * conn, const char *reason)
{
	PGresult   *result = must_query(conn,
									"SELECT tenantguard.preloaded() AND tenantguard.current_bypass() IS NULL", 0, NULL);
	bool		needed = is_true(result, 0, 0);

	PQclear(result);
	if (needed)
		PQclear(must_query(conn, "SELECT tenantguard.begin_bypass($1, 'session', pg_catalog.now() + '" BYPASS_INTERVAL "')",
						   1, &reason));
}

PGresult *
must_query(PGconn * conn, const char *query, int nparams, const char *const *params)
{
	PGresult   *result = PQexecParams(conn, query, nparams, NULL, params, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		pg_log_error("%s", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ?
					 PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : PQerrorMessage(conn));
		if (PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL))
			pg_log_error_detail("%s", PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
		if (PQresultErrorField(result, PG_DIAG_MESSAGE_HINT))
			pg_log_error_hint("%s", PQresultErrorField(result, PG_DIAG_MESSAGE_HINT));
		exit(EXIT_ERROR);
	}
	return result;
}

void
must_run(PGconn * conn, const char *command)
{
	PGresult   *result = PQexec(conn, command);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		pg_fatal("%s", PQerrorMessage(conn));
	PQclear(result);
}

bool
is_true(PGresult * result, int row, int column)
{
	return strcmp(PQgetvalue(result, row, column), "t") == 0;
}

int64
now_ms(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return (int64) now.tv_sec * 1000 + now.tv_usec / 1000;
}
