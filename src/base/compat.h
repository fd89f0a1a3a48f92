/*
 * compat.h
 *	  The one place that knows server versions, newest first.
 */
#ifndef TGUARD_COMPAT_H
#define TGUARD_COMPAT_H

#include "commands/copyfrom_internal.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "parser/parse_node.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#if PG_VERSION_NUM < 150000
#error "tenantguard needs PostgreSQL 15 or later"
#endif

/*
 * 18: ExecutorRun lost execute_once, and the primary key of a relation is
 * asked for together with whether a deferrable one will do.
 */
#if PG_VERSION_NUM >= 180000
#define TGUARD_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define TGUARD_RUN_PASS queryDesc, direction, count
#define tguard_primary_key(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define TGUARD_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define TGUARD_RUN_PASS queryDesc, direction, count, execute_once
#define tguard_primary_key(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/* 17: the local transaction id moved into PGPROC.vxid, pgprocno went away. */
#if PG_VERSION_NUM >= 170000
#define tguard_lxid(proc) ((proc)->vxid.lxid)
#define tguard_proc_number(proc) GetNumberFromPGProc(proc)
#else
#define tguard_lxid(proc) ((proc)->lxid)
#define tguard_proc_number(proc) ((proc)->pgprocno)
#endif

/*
 * 16: check hooks allocate their extra data with guc_malloc, settings live in
 * a hash table, ownership is asked by catalog, PG_FUNCTION_INFO_V1 exports the
 * function itself, and varlena macros have a header of their own.
 */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_class.h"
#include "varatt.h"
#define tguard_guc_malloc(size) guc_malloc(LOG, size)
#define tguard_guc_free(extra) guc_free(extra)
#define tguard_owns_relation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#define TGUARD_SQL_FUNCTION(name) PG_FUNCTION_INFO_V1(name)
#else
#define tguard_guc_malloc(size) malloc(size)
#define tguard_guc_free(extra) free(extra)
#define tguard_owns_relation(relid, role) pg_class_ownercheck(relid, role)
#define TGUARD_SQL_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)
#endif

/* 16: permissions left the range table, and the hook that checks them. */
#if PG_VERSION_NUM >= 160000
#define TGUARD_PERMS_ARGS List *rangeTable, List *permInfos, bool ereport_on_violation
#define TGUARD_PERMS_PASS rangeTable, permInfos, ereport_on_violation
#define TGUARD_PERMS_LIST permInfos
typedef RTEPermissionInfo TguardPerms;
#else
#define TGUARD_PERMS_ARGS List *rangeTable, bool ereport_on_violation
#define TGUARD_PERMS_PASS rangeTable, ereport_on_violation
#define TGUARD_PERMS_LIST rangeTable
typedef RangeTblEntry TguardPerms;
#endif

/*
 * 16: permissions left the range table, and the default expressions of COPY
 * are found by attribute number.
 */
static inline void
tguard_demand_insert(ParseState *pstate, ParseNamespaceItem *nsitem,
					 Bitmapset *columns)
{
#if PG_VERSION_NUM >= 160000
	nsitem->p_perminfo->requiredPerms = ACL_INSERT;
	nsitem->p_perminfo->insertedCols = columns;
	ExecCheckPermissions(pstate->p_rtable, list_make1(nsitem->p_perminfo),
						 true);
#else
	nsitem->p_rte->requiredPerms = ACL_INSERT;
	nsitem->p_rte->insertedCols = columns;
	ExecCheckRTPerms(pstate->p_rtable, true);
#endif
}

/* The value of a column that COPY FROM does not read, whatever its default. */
static inline void
tguard_copy_set_default(CopyFromState copy, AttrNumber column,
						ExprState *value)
{
	int			slot = 0;

	while (slot < copy->num_defaults && copy->defmap[slot] != column - 1)
		slot++;
	if (slot == copy->num_defaults)
		copy->num_defaults++;
	copy->defmap[slot] = column - 1;
#if PG_VERSION_NUM >= 160000
	copy->defexprs[column - 1] = value;
#else
	copy->defexprs[slot] = value;
#endif
}

static inline struct config_generic *
tguard_find_setting(const char *name)
{
	struct config_generic **all;
	int			count;

#if PG_VERSION_NUM >= 160000
	all = get_guc_variables(&count);
#else
	all = get_guc_variables();
	count = GetNumConfigOptions();
#endif
	for (int i = 0; i < count; i++)
	{
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
}

#endif							/* TGUARD_COMPAT_H */
