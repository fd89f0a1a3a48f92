/*
 * check.c
 *	  The verbs check and status: what the server says, for a terminal and
 *	  for the exit status of a pipeline.
 */
#include "postgres_fe.h"

#include "common/logging.h"
#include "tool/tool.h"

static int
print_findings(PGconn * conn, const ToolOptions *options)
{
	const char *params[] = {options->schema, options->severity};
	PGresult   *result = must_query(conn,
									"SELECT c.code, c.severity, c.object, c.detail, c.fix "
									"FROM tenantguard.check(pg_catalog.quote_ident($1)::pg_catalog.regnamespace) WITH ORDINALITY AS c (code, severity, object, detail, fix, n) "
									"WHERE pg_catalog.array_position('{critical,warning,notice}', c.severity) <= pg_catalog.array_position('{critical,warning,notice}', $2) ORDER BY c.n",
									2, params);
	int			count = PQntuples(result);

	for (int i = 0; i < count; i++)
	{
		printf("%s %s %s: %s\n", PQgetvalue(result, i, 1), PQgetvalue(result, i, 0),
			   PQgetvalue(result, i, 2), PQgetvalue(result, i, 3));
		if (!PQgetisnull(result, i, 4))
			printf("    %s\n", PQgetvalue(result, i, 4));
	}
	PQclear(result);
	return count;
}

/*
 * Every constraint of guarded relations, one at a time: one that the server
 * validated over the rows that a policy let it see is found so.
 */
static int
print_violating_rows(PGconn * conn, const ToolOptions *options)
{
	const char *params[] = {options->schema};
	PGresult   *keys;
	int			count = 0;

	open_bypass(conn, "tenantguard check --rows");
	keys = must_query(conn,
					  "SELECT c.object, c.relid::pg_catalog.regclass, c.conname FROM tenantguard.checked_constraints(pg_catalog.quote_ident($1)::pg_catalog.regnamespace) AS c "
					  "ORDER BY 1", 1, params);
	for (int i = 0; i < PQntuples(keys); i++)
	{
		const char *key[] = {PQgetvalue(keys, i, 1), PQgetvalue(keys, i, 2)};
		PGresult   *rows = must_query(conn,
									  "SELECT pg_catalog.format('row %s %s', v.row_key, v.problem) "
									  "FROM tenantguard.violating_rows($1::pg_catalog.regclass, $2) AS v", 2, key);

		for (int k = 0; k < PQntuples(rows); k++)
			printf("rows %s: %s\n", PQgetvalue(keys, i, 0), PQgetvalue(rows, k, 0));
		count += PQntuples(rows);
		PQclear(rows);
	}
	PQclear(keys);
	return count;
}

int
verb_check(const ToolOptions *options)
{
	PGconn	   *conn = open_session(options);
	int			count = print_findings(conn, options);

	if (options->rows)
		count += print_violating_rows(conn, options);
	PQfinish(conn);
	return count > 0 ? EXIT_FINDINGS : EXIT_CLEAN;
}

int
verb_status(const ToolOptions *options)
{
	PGconn	   *conn = open_session(options);
	PGresult   *result = must_query(conn,
									"SELECT 'version', e.extversion FROM pg_catalog.pg_extension AS e WHERE e.extname = 'tenantguard' "
									"UNION ALL SELECT 'library', CASE WHEN tenantguard.preloaded() THEN 'loaded' ELSE 'not loaded: superusers see every tenant' END "
									"UNION ALL SELECT 'registry', COALESCE((SELECT pg_catalog.format('%s (%I)', r.registry, r.key_column) FROM tenantguard.registry AS r), 'none') "
									"UNION ALL SELECT 'relations, ' || m.mode, (SELECT pg_catalog.count(*)::text FROM tenantguard.guarded_relation AS g WHERE g.mode = m.mode) "
									"FROM pg_catalog.unnest('{tenant,tenant_or_shared,shared,exempt}'::text[]) AS m (mode) "
									"UNION ALL SELECT 'foreign keys that cross', pg_catalog.count(*)::text FROM tenantguard.foreign_keys AS f WHERE f.crosses "
									"UNION ALL SELECT 'and cannot be converted', pg_catalog.count(*)::text FROM tenantguard.foreign_keys AS f WHERE f.crosses AND f.replaced_by IS NULL "
									"UNION ALL SELECT 'global unique keys', pg_catalog.count(*)::text FROM tenantguard.unique_key_facts(NULL) AS u WHERE u.global AND NOT u.generated AND u.reason IS NULL "
									"UNION ALL SELECT 'indexes, ' || p.problem, (SELECT pg_catalog.count(*)::text FROM tenantguard.indexes AS i WHERE i.problem = p.problem) "
									"FROM pg_catalog.unnest('{missing,invalid,redundant,prefix of another}'::text[]) AS p (problem)",
									0, NULL);

	for (int i = 0; i < PQntuples(result); i++)
		printf("%s: %s\n", PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
	PQclear(result);
	PQfinish(conn);
	return EXIT_CLEAN;
}
