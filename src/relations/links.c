/*
 * links.c
 *	  The table tenantguard.link: how a row without a tenant column is tied to
 *	  its tenant.
 *
 * Links are stated by the names of columns, which a dump keeps, and read by
 * their numbers.  A foreign key over the same columns tells what equality
 * means, that the parent's key is unique, and that new rows are checked; a
 * link that no foreign key states takes the type's own equality.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "base/compat.h"
#include "base/extension.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "relations/catalog.h"
#include "relations/links.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#define Natts_link					6
#define Anum_link_relid				1
#define Anum_link_columns			2
#define Anum_link_parent			3
#define Anum_link_parent_columns	4
#define Anum_link_type_column		5
#define Anum_link_type_value		6

/* OID of the table, once this backend has read it. */
static Oid	table_seen = InvalidOid;

bool
tguard_links_is(Oid relid)
{
	return relid == table_seen;
}

/* The links whose column "number" (relid or parent) is this relation. */
static SysScanDesc
open_links(AttrNumber number, Oid relid, LOCKMODE lockmode, Relation *table)
{
	const TguardExtension *ext = tguard_extension();
	Oid			index = get_relname_relid(number == Anum_link_relid ?
										  "link_key" : "link_parent",
										  ext->schema);
	ScanKeyData key;

	table_seen = ext->link;
	*table = table_open(ext->link, lockmode);
	ScanKeyInit(&key, number, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	return systable_beginscan(*table, index, OidIsValid(index), NULL, 1, &key);
}

static void
close_links(Relation table, SysScanDesc scan)
{
	systable_endscan(scan);
	table_close(table, NoLock);
}

static Datum
get_column(HeapTuple tuple, Relation table, AttrNumber number, bool *isnull)
{
	return heap_getattr(tuple, number, RelationGetDescr(table), isnull);
}

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

/* An array of names as column numbers; NIL where one is gone. */
static List *
column_numbers(Oid relid, Datum names)
{
	Datum	   *elements;
	int			count;
	List	   *result = NIL;

	deconstruct_array(DatumGetArrayTypeP(names), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		AttrNumber	number = get_attnum(relid,
										NameStr(*DatumGetName(elements[i])));

		if (number <= 0)
			return NIL;
		result = lappend_int(result, number);
	}
	return result;
}

/* Does the foreign key state this link, in whatever order of columns? */
static bool
states_link(const ForeignKeyCacheInfo *key, const RelationLink *link)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (key->confrelid != link->parent ||
		key->nkeys != list_length(link->columns))
		return false;
	forboth(lc, link->columns, lc2, link->parent_columns)
	{
		int			i = 0;

		while (i < key->nkeys && (key->conkey[i] != lfirst_int(lc) ||
								  key->confkey[i] != lfirst_int(lc2)))
			i++;
		if (i == key->nkeys)
			return false;
	}
	return true;
}

static Oid
key_operator(const ForeignKeyCacheInfo *key, AttrNumber column)
{
	for (int i = 0; i < key->nkeys; i++)
	{
		if (key->conkey[i] == column)
			return key->conpfeqop[i];
	}
	return InvalidOid;
}

/* The default equality of the parent's type with the column's. */
static Oid
type_operator(Oid parent_type, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(getBaseType(parent_type),
											  TYPECACHE_BTREE_OPFAMILY);
	Oid			operator;

	if (!OidIsValid(entry->btree_opf))
		return InvalidOid;

	operator = get_opfamily_member(entry->btree_opf, entry->btree_opintype,
								   getBaseType(type), BTEqualStrategyNumber);
	if (!OidIsValid(operator) && getBaseType(parent_type) == getBaseType(type))
		operator = get_opfamily_member(entry->btree_opf,
									   entry->btree_opintype,
									   entry->btree_opintype,
									   BTEqualStrategyNumber);
	return operator;
}

TGUARD_SQL_FUNCTION(tenantguard_link_operator);

/*
 * link_operator(parent_type regtype, type regtype) RETURNS regoperator: what
 * compares the two in a link that no foreign key states; NULL where nothing.
 */
Datum
tenantguard_link_operator(PG_FUNCTION_ARGS)
{
	Oid			operator = type_operator(PG_GETARG_OID(0), PG_GETARG_OID(1));

	if (!OidIsValid(operator))
		PG_RETURN_NULL();
	PG_RETURN_OID(operator);
}

/* Find the foreign key that states a link, and what equality means. */
static bool
find_operators(Relation relation, RelationLink *link)
{
	const ForeignKeyCacheInfo *stated = NULL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, RelationGetFKeyList(relation))
	{
		if (states_link(lfirst(lc), link))
			stated = lfirst(lc);
	}
	link->constraint = stated ? stated->conoid : InvalidOid;
	forboth(lc, link->columns, lc2, link->parent_columns)
	{
		Oid			operator = stated ? key_operator(stated, lfirst_int(lc)) :
		type_operator(get_atttype(link->parent, lfirst_int(lc2)),
					  get_atttype(RelationGetRelid(relation), lfirst_int(lc)));

		if (!OidIsValid(operator))
			return false;
		link->operators = lappend_oid(link->operators, operator);
	}
	return true;
}

static bool
never_null(Relation relation, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (!TupleDescAttr(RelationGetDescr(relation),
						   lfirst_int(lc) - 1)->attnotnull)
			return false;
	}
	return true;
}

/* Describe one link; false where something of it is gone. */
static bool
read_link(Relation relation, HeapTuple tuple, Relation table,
		  RelationLink *link)
{
	Oid			relid = RelationGetRelid(relation);
	bool		isnull;
	Datum		type_column = get_column(tuple, table, Anum_link_type_column,
										 &isnull);

	if (!isnull)
	{
		link->type_column = get_attnum(relid, NameStr(*DatumGetName(type_column)));
		link->type_value = TextDatumGetCString(get_column(tuple, table,
														  Anum_link_type_value,
														  &isnull));
		if (link->type_column <= 0)
			return false;
	}
	link->parent = DatumGetObjectId(get_column(tuple, table, Anum_link_parent,
											   &isnull));
	link->columns = column_numbers(relid, get_column(tuple, table,
													 Anum_link_columns,
													 &isnull));
	link->parent_columns =
		column_numbers(link->parent, get_column(tuple, table,
												Anum_link_parent_columns,
												&isnull));
	if (link->columns == NIL ||
		list_length(link->columns) != list_length(link->parent_columns))
		return false;
	link->never_null = link->type_column == 0 &&
		never_null(relation, link->columns);
	return find_operators(relation, link);
}

/* The links that are recorded for "source", as columns of the relation. */
static List *
read_links_of(Relation relation, Oid source, bool *whole)
{
	List	   *result = NIL;
	Relation	table;
	SysScanDesc scan = open_links(Anum_link_relid, source, AccessShareLock,
								  &table);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		RelationLink *link = palloc0(sizeof(RelationLink));

		*whole &= read_link(relation, tuple, table, link);
		result = lappend(result, link);
	}
	close_links(table, scan);
	return result;
}

static List *
read_nearest(Relation relation, Oid source, bool *whole)
{
	List	   *result = read_links_of(relation, source, whole);
	ListCell   *lc;

	foreach(lc, result == NIL ? tguard_catalog_parents(source) : NIL)
	{
		result = read_nearest(relation, lfirst_oid(lc), whole);
		if (result != NIL)
			break;
	}
	return result;
}

List *
tguard_links_read(Oid relid, bool *whole)
{
	Relation	relation = RelationIdGetRelation(relid);
	List	   *result = NIL;

	*whole = true;
	if (!RelationIsValid(relation))
		return NIL;
	result = read_nearest(relation, relid, whole);
	RelationClose(relation);
	return *whole ? result : NIL;
}

/* The same columns by name, leading to the same parent? */
static bool
is_same_link(Oid relid, const RelationLink *link, Oid other_relid,
			 const RelationLink *other)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (link->parent != other->parent ||
		list_length(link->columns) != list_length(other->columns) ||
		!equal(link->parent_columns, other->parent_columns) ||
		(link->type_column > 0) != (other->type_column > 0))
		return false;
	forboth(lc, link->columns, lc2, other->columns)
	{
		if (strcmp(get_attname(relid, lfirst_int(lc), false),
				   get_attname(other_relid, lfirst_int(lc2), false)) != 0)
			return false;
	}
	return link->type_column == 0 ||
		(strcmp(link->type_value, other->type_value) == 0 &&
		 strcmp(get_attname(relid, link->type_column, false),
				get_attname(other_relid, other->type_column, false)) == 0);
}

bool
tguard_links_same(Oid relid, const List *links, Oid other_relid,
				  const List *others)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (list_length(links) != list_length(others))
		return false;
	foreach(lc, links)
	{
		bool		found = false;

		foreach(lc2, others)
			found |= is_same_link(relid, lfirst(lc), other_relid, lfirst(lc2));
		if (!found)
			return false;
	}
	return true;
}

bool
tguard_links_use(const List *links, AttrNumber column)
{
	ListCell   *lc;

	foreach(lc, links)
	{
		RelationLink *link = lfirst(lc);

		if (link->type_column == column ||
			list_member_int(link->columns, column))
			return true;
	}
	return false;
}

/*
 * Are rows that the link takes for the same parent the same to the index too?
 * Of text they may not be: an index may have another collation than its
 * column, and what one of them tells apart another takes for equal.
 */
bool
tguard_link_agrees(Relation relation, Relation index, int position,
				   Oid operator)
{
	AttrNumber	column = index->rd_index->indkey.values[position];
	Oid			collation;

	if (column <= 0)
		return false;
	collation = TupleDescAttr(RelationGetDescr(relation),
							  column - 1)->attcollation;
	if (OidIsValid(collation) && collation != index->rd_indcollation[position] &&
		!get_collation_isdeterministic(collation))
		return false;
	return get_op_opfamily_strategy(operator, index->rd_opfamily[position]) ==
		BTEqualStrategyNumber;
}

bool
tguard_link_may_use(Relation index, int columns)
{
	Form_pg_index form = index->rd_index;

	return form->indisunique && form->indisvalid && form->indimmediate &&
		index->rd_rel->relam == BTREE_AM_OID && form->indnkeyatts == columns &&
		RelationGetIndexPredicate(index) == NIL;
}

/* The operator of the link for a column of the parent. */
static Oid
parent_operator(const RelationLink *link, AttrNumber column)
{
	ListCell   *lc;
	ListCell   *lc2;

	forboth(lc, link->parent_columns, lc2, link->operators)
	{
		if (lfirst_int(lc) == column)
			return lfirst_oid(lc2);
	}
	return InvalidOid;
}

/* Does the index hold the link's columns, and no others, to one row each? */
static bool
makes_unique(Relation parent, Relation index, const RelationLink *link)
{
	if (!tguard_link_may_use(index, list_length(link->parent_columns)))
		return false;
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		Oid			operator = parent_operator(link,
											   index->rd_index->indkey.values[i]);

		if (!OidIsValid(operator) ||
			!tguard_link_agrees(parent, index, i, operator))
			return false;
	}
	return true;
}

bool
tguard_link_is_unique(const RelationLink *link)
{
	Relation	parent = RelationIdGetRelation(link->parent);
	bool		result = false;
	ListCell   *lc;

	if (!RelationIsValid(parent))
		return false;
	foreach(lc, RelationGetIndexList(parent))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		result |= makes_unique(parent, index, link);
		index_close(index, NoLock);
	}
	RelationClose(parent);
	return result;
}

/* Will the constraint's trigger of this function run for ordinary writes? */
static bool
has_trigger(Relation relation, Oid constraint, Oid function)
{
	TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (trigger->tgconstraint == constraint &&
			trigger->tgfoid == function)
			return trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
				trigger->tgenabled == TRIGGER_FIRES_ALWAYS;
	}
	return false;
}

/* Inheritance children do not have the foreign keys of their parents. */
static bool
may_have_children(Relation relation)
{
	return relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE &&
		relation->rd_rel->relhassubclass;
}

bool
tguard_link_is_checked(Oid relid, const RelationLink *link)
{
	Relation	relation;
	bool		result;

	if (!OidIsValid(link->constraint))
		return false;
	relation = RelationIdGetRelation(relid);
	if (!RelationIsValid(relation))
		return false;
	result = !may_have_children(relation) &&
		has_trigger(relation, link->constraint, F_RI_FKEY_CHECK_INS) &&
		has_trigger(relation, link->constraint, F_RI_FKEY_CHECK_UPD);
	RelationClose(relation);
	return result;
}

Oid
tguard_links_by_type(Oid type)
{
	Relation	table = table_open(tguard_extension()->link, AccessShareLock);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		name = get_column(tuple, table, Anum_link_type_column,
									  &isnull);
		Oid			relid;
		AttrNumber	column;

		if (isnull)
			continue;
		relid = DatumGetObjectId(get_column(tuple, table, Anum_link_relid,
											&isnull));
		column = get_attnum(relid, NameStr(*DatumGetName(name)));
		if (column > 0 && getBaseType(get_atttype(relid, column)) == type)
			result = relid;
	}
	close_links(table, scan);
	return result;
}

List *
tguard_links_dependents(Oid relid)
{
	List	   *result = NIL;
	Relation	table;
	SysScanDesc scan = open_links(Anum_link_parent, relid, AccessShareLock,
								  &table);
	HeapTuple	tuple;
	bool		isnull;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = list_append_unique_oid(result,
										DatumGetObjectId(get_column(tuple, table,
																	Anum_link_relid,
																	&isnull)));
	close_links(table, scan);
	return result;
}

/* ---------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------
 */

static bool
is_same(Relation table, HeapTuple tuple, const Datum *declared,
		const bool *absent)
{
	for (AttrNumber number = 1; number <= LINK_DECLARED; number++)
	{
		bool		isnull;
		Datum		value = get_column(tuple, table, number, &isnull);
		Form_pg_attribute attribute =
		TupleDescAttr(RelationGetDescr(table), number - 1);

		if (isnull != absent[number - 1])
			return false;
		if (!isnull && !datum_image_eq(value, declared[number - 1],
									   attribute->attbyval, attribute->attlen))
			return false;
	}
	return true;
}

bool
tguard_link_exists(const Datum *declared, const bool *absent)
{
	Oid			relid = DatumGetObjectId(declared[Anum_link_relid - 1]);
	Relation	table;
	SysScanDesc scan = open_links(Anum_link_relid, relid,
								  ShareRowExclusiveLock, &table);
	HeapTuple	tuple;
	bool		found = false;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		found |= is_same(table, tuple, declared, absent);
	close_links(table, scan);
	return found;
}

void
tguard_link_insert(Datum *declared, bool *absent)
{
	Relation	table = table_open(tguard_extension()->link,
								   ShareRowExclusiveLock);

	CatalogTupleInsert(table, heap_form_tuple(RelationGetDescr(table),
											  declared, absent));
	table_close(table, NoLock);
	tguard_catalog_invalidate(DatumGetObjectId(declared[Anum_link_relid - 1]));
}

/* Copy the links of one relation to another; false where there are none. */
static bool
copy_links(Oid source, Oid target)
{
	Relation	table;
	SysScanDesc scan = open_links(Anum_link_relid, source,
								  ShareRowExclusiveLock, &table);
	HeapTuple	tuple;
	bool		found = false;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[Natts_link];
		bool		nulls[Natts_link];

		heap_deform_tuple(tuple, RelationGetDescr(table), values, nulls);
		values[Anum_link_relid - 1] = ObjectIdGetDatum(target);
		found = true;
		if (source != target)
			CatalogTupleInsert(table, heap_form_tuple(RelationGetDescr(table),
													  values, nulls));
	}
	close_links(table, scan);
	return found;
}

static bool
inherit_from(Oid source, Oid target)
{
	ListCell   *lc;

	if (copy_links(source, target))
		return true;
	foreach(lc, tguard_catalog_parents(source))
	{
		if (inherit_from(lfirst_oid(lc), target))
			return true;
	}
	return false;
}

void
tguard_links_inherit(Oid relid)
{
	if (inherit_from(relid, relid))
		tguard_catalog_invalidate(relid);
}

static void
remove_links(AttrNumber number, Oid relid)
{
	Relation	table;
	SysScanDesc scan = open_links(number, relid, RowExclusiveLock, &table);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		CatalogTupleDelete(table, &tuple->t_self);
	close_links(table, scan);
}

void
tguard_links_remove(Oid relid, bool as_parent)
{
	List	   *dependents;
	ListCell   *lc;

	if (tguard_extension() == NULL)
		return;
	dependents = as_parent ? tguard_links_dependents(relid) : NIL;
	remove_links(Anum_link_relid, relid);
	if (as_parent)
		remove_links(Anum_link_parent, relid);
	foreach(lc, dependents)
		tguard_catalog_invalidate(lfirst_oid(lc));
}

/* The array of names with one of them replaced; false where it is not in. */
static bool
replace_name(Datum *names, const char *old_name, const char *new_name)
{
	Datum	   *elements;
	int			count;
	bool		found = false;

	deconstruct_array(DatumGetArrayTypeP(*names), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (strcmp(NameStr(*DatumGetName(elements[i])), old_name) != 0)
			continue;
		namestrcpy(DatumGetName(elements[i]), new_name);
		found = true;
	}
	*names = PointerGetDatum(construct_array(elements, count, NAMEOID,
											 NAMEDATALEN, false,
											 TYPALIGN_CHAR));
	return found;
}

/* Follow a name in the links of a relation, or in those that lead to it. */
static void
follow_name(AttrNumber side, Oid relid, const char *old_name,
			const char *new_name)
{
	AttrNumber	names = side == Anum_link_relid ? Anum_link_columns :
	Anum_link_parent_columns;
	Relation	table;
	SysScanDesc scan = open_links(side, relid, RowExclusiveLock, &table);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[Natts_link];
		bool		nulls[Natts_link];
		bool		changed;
		Name		type_column;

		heap_deform_tuple(tuple, RelationGetDescr(table), values, nulls);
		type_column = DatumGetName(values[Anum_link_type_column - 1]);
		values[names - 1] = PointerGetDatum(DatumGetArrayTypePCopy(values[names - 1]));
		changed = replace_name(&values[names - 1], old_name, new_name);
		if (side == Anum_link_relid && !nulls[Anum_link_type_column - 1] &&
			strcmp(NameStr(*type_column), old_name) == 0)
		{
			type_column = palloc(NAMEDATALEN);
			namestrcpy(type_column, new_name);
			values[Anum_link_type_column - 1] = NameGetDatum(type_column);
			changed = true;
		}
		if (changed)
			CatalogTupleUpdate(table, &tuple->t_self,
							   heap_form_tuple(RelationGetDescr(table),
											   values, nulls));
	}
	close_links(table, scan);
}

void
tguard_links_follow_column(Oid relid, AttrNumber column)
{
	char	   *old_name = get_attname(relid, column, true);
	char	   *new_name = tguard_catalog_name_right_now(relid, column);

	if (old_name == NULL || new_name == NULL ||
		strcmp(old_name, new_name) == 0)
		return;
	follow_name(Anum_link_relid, relid, old_name, new_name);
	follow_name(Anum_link_parent, relid, old_name, new_name);
	tguard_catalog_invalidate(relid);
}
