/*
 * catalog.c
 *	  The table tenantguard.guarded_relation.
 *
 * Rows are read and written directly, without SPI: the cache reads them while
 * a statement is planned, and protect() is run by the owners of tables, who
 * have no privilege on this one.  Who may write is decided here.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/extension.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "relations/cache.h"
#include "relations/catalog.h"
#include "relations/links.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define Natts_guarded_relation					7
#define Anum_guarded_relation_relid				1
#define Anum_guarded_relation_mode				2
#define Anum_guarded_relation_tenant_column		3
#define Anum_guarded_relation_reason			4
#define Anum_guarded_relation_original_default	5
#define Anum_guarded_relation_since				6
#define Anum_guarded_relation_recorded_by		7

/* OID of the table, once this backend has read it. */
static Oid	catalog_seen = InvalidOid;

bool
tguard_catalog_is(Oid relid)
{
	return relid == catalog_seen;
}

/* Open the table and look for a relation's row; NULL tuple if there is none. */
static HeapTuple
open_row(Oid relid, LOCKMODE lockmode, Relation *table, SysScanDesc *scan)
{
	const TguardExtension *ext = tguard_extension();
	ScanKeyData key;

	catalog_seen = ext->guarded_relation;
	*table = table_open(ext->guarded_relation, lockmode);
	ScanKeyInit(&key, Anum_guarded_relation_relid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	*scan = systable_beginscan(*table, tguard_primary_key(*table), true, NULL,
							   1, &key);
	return systable_getnext(*scan);
}

static void
close_row(Relation table, SysScanDesc scan)
{
	systable_endscan(scan);
	table_close(table, NoLock);
}

static char *
text_column(HeapTuple tuple, Relation table, AttrNumber number)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, number, RelationGetDescr(table),
									 &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static char *
name_column(HeapTuple tuple, Relation table, AttrNumber number)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, number, RelationGetDescr(table),
									 &isnull);

	return isnull ? NULL : pstrdup(NameStr(*DatumGetName(value)));
}

bool
tguard_catalog_read(Oid relid, CatalogRow *row)
{
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple = open_row(relid, AccessShareLock, &table, &scan);
	bool		found = HeapTupleIsValid(tuple);

	if (found)
	{
		row->mode = text_column(tuple, table, Anum_guarded_relation_mode);
		row->column = name_column(tuple, table,
								  Anum_guarded_relation_tenant_column);
		if (row->column == NULL)
			row->column = "";
	}
	close_row(table, scan);
	return found;
}

List *
tguard_catalog_parents(Oid relid)
{
	List	   *result = NIL;
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = lappend_oid(result,
							 ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return result;
}

/* A relation and the TOAST relation behind it. */
static void
invalidate_one(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			toast;

	if (!HeapTupleIsValid(tuple))
		return;
	toast = ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid;
	ReleaseSysCache(tuple);
	CacheInvalidateRelcacheByRelid(relid);
	if (OidIsValid(toast))
		CacheInvalidateRelcacheByRelid(toast);
}

/* Parents know whether one of their children is guarded. */
static void
invalidate_ancestors(Oid relid)
{
	List	   *parents = tguard_catalog_parents(relid);
	ListCell   *lc;

	foreach(lc, parents)
	{
		CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
		invalidate_ancestors(lfirst_oid(lc));
	}
	list_free(parents);
}

/*
 * What is guarded through links to the relation.  Links make no circle, but
 * a record that was restored by hand may.
 */
static void
invalidate_dependents(Oid relid)
{
	static int	depth = 0;
	ListCell   *lc;

	if (depth >= LINKS_DEPTH || tguard_extension() == NULL)
		return;
	PG_TRY();
	{
		depth++;
		foreach(lc, tguard_links_dependents(relid))
			tguard_catalog_invalidate(lfirst_oid(lc));
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

void
tguard_catalog_invalidate(Oid relid)
{
	List	   *all;
	ListCell   *lc;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return;
	invalidate_ancestors(relid);
	all = find_all_inheritors(relid, NoLock, NULL);
	foreach(lc, all)
		invalidate_one(lfirst_oid(lc));
	list_free(all);
	invalidate_dependents(relid);
}

void
tguard_catalog_remove(Oid relid)
{
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (tguard_extension() == NULL)
		return;
	tuple = open_row(relid, RowExclusiveLock, &table, &scan);
	if (HeapTupleIsValid(tuple))
		CatalogTupleDelete(table, &tuple->t_self);
	close_row(table, scan);
}

char *
tguard_catalog_name_right_now(Oid relid, AttrNumber column)
{
	Relation	attributes = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *result = NULL;

	ScanKeyInit(&key[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(column));
	scan = systable_beginscan(attributes, AttributeRelidNumIndexId, true,
							  SnapshotSelf, 2, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = pstrdup(NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname));
	systable_endscan(scan);
	table_close(attributes, AccessShareLock);
	return result;
}

void
tguard_catalog_follow_column(Oid relid, AttrNumber column)
{
	char	   *new_name = tguard_catalog_name_right_now(relid, column);
	Datum		values[Natts_guarded_relation] = {0};
	bool		nulls[Natts_guarded_relation] = {0};
	bool		replace[Natts_guarded_relation] = {0};
	NameData	name;
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple = open_row(relid, RowExclusiveLock, &table, &scan);

	if (HeapTupleIsValid(tuple) && new_name &&
		strcmp(name_column(tuple, table, Anum_guarded_relation_tenant_column),
			   new_name) != 0)
	{
		namestrcpy(&name, new_name);
		values[Anum_guarded_relation_tenant_column - 1] = NameGetDatum(&name);
		replace[Anum_guarded_relation_tenant_column - 1] = true;
		tuple = heap_modify_tuple(tuple, RelationGetDescr(table), values,
								  nulls, replace);
		CatalogTupleUpdate(table, &tuple->t_self, tuple);
	}
	close_row(table, scan);
	tguard_catalog_invalidate(relid);
}

static bool
has_recorded_parent(Oid relid)
{
	CatalogRow	row;
	ListCell   *lc;

	foreach(lc, tguard_catalog_parents(relid))
	{
		if (tguard_catalog_read(lfirst_oid(lc), &row))
			return true;
	}
	return false;
}

List *
tguard_catalog_list(void)
{
	List	   *result = NIL;
	Relation	table = table_open(tguard_extension()->guarded_relation,
								   AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(heap_getattr(tuple,
														  Anum_guarded_relation_relid,
														  RelationGetDescr(table),
														  &isnull));

		if (get_rel_name(relid) && !has_recorded_parent(relid) &&
			name_column(tuple, table, Anum_guarded_relation_tenant_column))
			result = lappend(result,
							 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
														get_rel_name(relid)));
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return result;
}

/* Is the row the same declaration as the new values? */
static bool
is_same_declaration(Relation table, HeapTuple tuple, const Datum *values,
					const bool *nulls)
{
	char	   *mode = text_column(tuple, table, Anum_guarded_relation_mode);
	char	   *column = name_column(tuple, table,
									 Anum_guarded_relation_tenant_column);
	bool		has_column = !nulls[Anum_guarded_relation_tenant_column - 1];

	if (strcmp(mode, TextDatumGetCString(values[Anum_guarded_relation_mode - 1])) != 0 ||
		(column != NULL) != has_column)
		return false;
	return column == NULL ||
		strcmp(column, NameStr(*DatumGetName(values[Anum_guarded_relation_tenant_column - 1]))) == 0;
}

/*
 * What an earlier declaration noted (since when, by whom) stays when it is
 * merely repeated, but for a new reason, and for a default that the column got
 * meanwhile and is about to lose again.
 */
bool
tguard_catalog_write(Oid relid, const Datum *declared, const bool *absent,
					 bool may_change)
{
	Datum		values[Natts_guarded_relation];
	bool		nulls[Natts_guarded_relation] = {false};
	bool		replace[Natts_guarded_relation] =
	{false, true, true, true, true, true, true};
	NameData	recorded_by;
	Relation	table;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		done = true;

	memcpy(values, declared, sizeof(Datum) * CATALOG_DECLARED);
	memcpy(nulls, absent, sizeof(bool) * CATALOG_DECLARED);
	values[Anum_guarded_relation_since - 1] =
		TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	namestrcpy(&recorded_by, GetUserNameFromId(GetUserId(), false));
	values[Anum_guarded_relation_recorded_by - 1] = NameGetDatum(&recorded_by);

	tuple = open_row(relid, ShareRowExclusiveLock, &table, &scan);
	if (!HeapTupleIsValid(tuple))
		CatalogTupleInsert(table, heap_form_tuple(RelationGetDescr(table),
												  values, nulls));
	else if (!is_same_declaration(table, tuple, values, nulls))
	{
		done = may_change;
		tuple = heap_modify_tuple(tuple, RelationGetDescr(table), values,
								  nulls, replace);
		if (done)
			CatalogTupleUpdate(table, &tuple->t_self, tuple);
	}
	else if (!nulls[Anum_guarded_relation_reason - 1] ||
			 !nulls[Anum_guarded_relation_original_default - 1])
	{
		memset(replace, false, sizeof(replace));
		replace[Anum_guarded_relation_reason - 1] =
			!nulls[Anum_guarded_relation_reason - 1];
		replace[Anum_guarded_relation_original_default - 1] =
			!nulls[Anum_guarded_relation_original_default - 1];
		tuple = heap_modify_tuple(tuple, RelationGetDescr(table), values,
								  nulls, replace);
		CatalogTupleUpdate(table, &tuple->t_self, tuple);
	}
	close_row(table, scan);
	tguard_catalog_invalidate(relid);
	return done;
}
