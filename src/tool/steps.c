/*
 * steps.c
 *	  What remains to be done, as the server computes it from its catalogs.
 *
 * Nothing is remembered between two runs: whatever ended the last one, the
 * answer begins where it stopped.
 */
#include "postgres_fe.h"

#include "common/logging.h"
#include "tool/tool.h"

#define STEP_COLUMNS "object, purpose, statement, in_transaction, blocks"

/* As an array of the server's; primary keys only for those who ask for them. */
const char *
step_kinds(const ToolOptions *options)
{
	static char only[64];

	if (options->only)
	{
		snprintf(only, sizeof(only), "{%s}", options->only);
		return only;
	}
	return options->primary_keys ? "{foreign_keys,unique_keys,primary_keys,indexes}" :
		"{foreign_keys,unique_keys,indexes}";
}

static PGresult *
ask_schema(PGconn * conn, const ToolOptions *options)
{
	const char *params[] = {options->schema, step_kinds(options)};

	return must_query(conn,
					  "SELECT phase, " STEP_COLUMNS " FROM tenantguard.conversion_steps(pg_catalog.quote_ident($1)::pg_catalog.regnamespace, $2::text[]) ORDER BY step",
					  2, params);
}

/* A foreign key if the relation has one of that name, else a unique one. */
static PGresult *
ask_key(PGconn * conn, const ToolOptions *options)
{
	const char *params[] = {options->relation, options->key, options->consumers_ready ? "t" : "f"};
	PGresult   *result = must_query(conn,
									"SELECT 1 FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conrelid = $1::pg_catalog.regclass AND conname = $2",
									2, params);
	bool		foreign = PQntuples(result) > 0;

	PQclear(result);
	if (foreign)
		return must_query(conn,
						  "SELECT step, " STEP_COLUMNS " FROM tenantguard.convert_foreign_key($1, $2) ORDER BY step", 2, params);
	return must_query(conn,
					  "SELECT s.step, " STEP_COLUMNS " FROM pg_catalog.pg_class AS c "
					  "CROSS JOIN LATERAL tenantguard.convert_unique_key((SELECT i.indexrelid FROM pg_catalog.pg_index AS i "
					  "JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND x.relname = $2), $3) AS s "
					  "WHERE c.oid = $1::pg_catalog.regclass ORDER BY s.step", 3, params);
}

static StepKind
kind_of(PGresult * result, int row)
{
	if (!is_true(result, row, 4))
		return STEP_CONCURRENT;
	return strcmp(PQgetvalue(result, row, 5), "nobody") == 0 ? STEP_LONG : STEP_SHORT;
}

StepList *
ask_steps(PGconn * conn, const ToolOptions *options)
{
	PGresult   *result = options->key ? ask_key(conn, options) : ask_schema(conn, options);
	StepList   *list = pg_malloc0(sizeof(StepList));

	list->count = PQntuples(result);
	list->steps = pg_malloc0(sizeof(Step) * (list->count + 1));
	for (int i = 0; i < list->count; i++)
	{
		Step	   *step = &list->steps[i];

		step->phase = atoi(PQgetvalue(result, i, 0));
		step->kind = kind_of(result, i);
		step->object = pg_strdup(PQgetvalue(result, i, 1));
		step->purpose = pg_strdup(PQgetvalue(result, i, 2));
		step->statement = pg_strdup(PQgetvalue(result, i, 3));
	}
	PQclear(result);
	return list;
}

void
free_steps(StepList *list)
{
	for (int i = 0; i < list->count; i++)
	{
		pg_free(list->steps[i].object);
		pg_free(list->steps[i].purpose);
		pg_free(list->steps[i].statement);
	}
	pg_free(list->steps);
	pg_free(list);
}

/* For --dry-run: to be read, or run by psql. */
void
print_steps(const StepList *list)
{
	for (int i = 0; i < list->count; i++)
	{
		const Step *step = &list->steps[i];
		bool		several = strstr(step->statement, "; ") != NULL;

		printf("-- %s: %s\n%s%s;%s\n", step->object, step->purpose,
			   several ? "BEGIN; " : "", step->statement, several ? " COMMIT;" : "");
	}
}
