/*
 * lookup.c
 *	  Reading a little before the tenant is known.
 *
 * Log-in, the organization switcher and sign-up have to find a user by e-mail
 * or an organization by host when no tenant can be set yet.  A look-up that an
 * administrator registered reads named columns of one relation by an exact
 * key, at most so many rows.  Only its own query is exempt, only from the
 * filter of that relation, and with the privileges of whoever calls it:
 * whatever a policy or a function of a user runs meanwhile is guarded.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/extension.h"
#include "base/settings.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "guard/lookup.h"
#include "guard/plan.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

/* columns of tenantguard.lookup_definition */
#define Natts_lookup				5
#define Anum_lookup_name			1
#define Anum_lookup_relid			2
#define Anum_lookup_key_columns		3
#define Anum_lookup_returned		4
#define Anum_lookup_max_rows		5

typedef struct LookupDefinition
{
	Oid			relid;
	int			key_count;
	char	  **keys;
	int			returned_count;
	char	  **returned;
	int			max_rows;
} LookupDefinition;

static int	running = 0;

bool
tguard_lookup_is_running(void)
{
	return running > 0;
}

static void
refuse_lookup(const char *name, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("look-up \"%s\" refused", name),
			 errdetail(REASON_LOOKUP ": %s", why),
			 tguard_reason(REASON_LOOKUP),
			 errhint("Look-ups are registered by tenantguard.register_lookup(name, relation, key_columns, returned_columns, max_rows).")));
}

static char **
names_of_array(Datum array, int *count)
{
	Datum	   *elements;
	char	  **names;

	deconstruct_array(DatumGetArrayTypeP(array), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &elements, NULL, count);
	names = palloc(sizeof(char *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		names[i] = pstrdup(NameStr(*DatumGetName(elements[i])));
	return names;
}

static bool
read_definition(const char *name, LookupDefinition *definition)
{
	Relation	table = table_open(tguard_extension()->lookup_definition,
								   AccessShareLock);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[Natts_lookup];
		bool		nulls[Natts_lookup];

		heap_deform_tuple(tuple, RelationGetDescr(table), values, nulls);
		if (strcmp(TextDatumGetCString(values[Anum_lookup_name - 1]), name) != 0)
			continue;
		definition->relid = DatumGetObjectId(values[Anum_lookup_relid - 1]);
		definition->keys = names_of_array(values[Anum_lookup_key_columns - 1],
										  &definition->key_count);
		definition->returned = names_of_array(values[Anum_lookup_returned - 1],
											  &definition->returned_count);
		definition->max_rows = DatumGetInt32(values[Anum_lookup_max_rows - 1]);
		found = true;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return found;
}

/* The type's own equality, by its qualified name: no search_path is asked. */
static char *
equality_operator(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	HeapTuple	tuple = SearchSysCache1(OPEROID,
										ObjectIdGetDatum(entry->eq_opr));
	Form_pg_operator form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("type %s has no equality operator",
						format_type_be(type))));
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

static char *
build_query(const LookupDefinition *definition, const Oid *types)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.jsonb_build_object(");
	for (int i = 0; i < definition->returned_count; i++)
		appendStringInfo(&sql, "%s%s, %s", i ? ", " : "",
						 quote_literal_cstr(definition->returned[i]),
						 quote_identifier(definition->returned[i]));
	appendStringInfo(&sql, ") FROM %s WHERE ",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(definition->relid)),
												get_rel_name(definition->relid)));
	for (int i = 0; i < definition->key_count; i++)
		appendStringInfo(&sql, "%s%s %s $%d", i ? " AND " : "",
						 quote_identifier(definition->keys[i]),
						 equality_operator(types[i]), i + 1);
	appendStringInfo(&sql, " LIMIT %d", definition->max_rows);
	return sql.data;
}

/* The caller's keys as values of the key columns' types. */
static void
convert_keys(const char *name, const LookupDefinition *definition,
			 ArrayType *array, Oid *types, Datum *values)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	if (count != definition->key_count)
		refuse_lookup(name, psprintf("it takes %d keys, %d were given.",
									 definition->key_count, count));
	for (int i = 0; i < count; i++)
	{
		AttrNumber	column = get_attnum(definition->relid,
										definition->keys[i]);
		Oid			input;
		Oid			ioparam;

		if (column <= 0)
			refuse_lookup(name, psprintf("its column \"%s\" is gone.",
										 definition->keys[i]));
		if (nulls[i])
			refuse_lookup(name, "a key is NULL.");
		types[i] = getBaseType(get_atttype(definition->relid, column));
		getTypeInputInfo(types[i], &input, &ioparam);
		values[i] = OidInputFunctionCall(input,
										 TextDatumGetCString(elements[i]),
										 ioparam, -1);
	}
}

/* Only the query's own planning is exempt, so the mark is set just for it. */
static pg_noinline void
run_query(const LookupDefinition *definition, const char *sql, Oid *types,
		  Datum *values)
{
	PG_TRY();
	{
		tguard_plan_lookup(definition->relid);
		running++;
		if (SPI_execute_with_args(sql, definition->key_count, types, values,
								  NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "look-up query failed: %s", sql);
	}
	PG_FINALLY();
	{
		running--;
		tguard_plan_lookup(InvalidOid);
	}
	PG_END_TRY();
}

TGUARD_SQL_FUNCTION(tenantguard_lookup);

/*
 * lookup(name text, VARIADIC keys text[]) RETURNS SETOF jsonb
 *
 * One object of the returned columns for each row whose key columns equal the
 * keys.  Neither needs nor pins a tenant.  Error lookup_refused where nothing
 * is registered under the name or the keys do not fit.
 */
Datum
tenantguard_lookup(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LookupDefinition definition;
	Oid			types[INDEX_MAX_KEYS];
	Datum		values[INDEX_MAX_KEYS];

	if (!tguard_preloaded || tguard_extension() == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("tenantguard is not preloaded"),
				 errdetail(REASON_NOT_PRELOADED ": a look-up needs the library's hooks."),
				 tguard_reason(REASON_NOT_PRELOADED),
				 errhint("Add tenantguard to shared_preload_libraries and restart the server.")));
	if (!read_definition(name, &definition) ||
		definition.key_count > INDEX_MAX_KEYS)
		refuse_lookup(name, "no look-up is registered under this name.");

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	convert_keys(name, &definition, PG_GETARG_ARRAYTYPE_P(1), types, values);
	SPI_connect();
	run_query(&definition, build_query(&definition, types), types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		row = SPI_getbinval(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1, &isnull);

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &row, &isnull);
	}
	SPI_finish();
	PG_RETURN_NULL();
}
