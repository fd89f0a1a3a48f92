/*
 * compat.h
 *	  The one place that knows server versions, newest first.
 */
#ifndef TGUARD_COMPAT_H
#define TGUARD_COMPAT_H

#include "commands/copyfrom_internal.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "storage/proc.h"
#include "utils/backend_progress.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#if PG_VERSION_NUM < 150000
#error "tenantguard needs PostgreSQL 15 or later"
#endif

/*
 * 18: ExecutorRun lost execute_once, the primary key of a relation is asked
 * for together with whether a deferrable one will do, COPY TO takes
 * materialized views, index scans are instrumented, and ALTER CONSTRAINT has a
 * node of its own.
 */
#if PG_VERSION_NUM >= 180000
#define TGUARD_COPIES_FROM(kind) ((kind) == RELKIND_RELATION || (kind) == RELKIND_MATVIEW)
#define TGUARD_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define TGUARD_RUN_PASS queryDesc, direction, count
#define tguard_run_all(query) ExecutorRun(query, ForwardScanDirection, 0)
#define tguard_primary_key(rel) RelationGetPrimaryKeyIndex(rel, false)
#define TGUARD_ALTERED_CONSTRAINT(command) (((ATAlterConstraint *) (command)->def)->conname)
#define tguard_index_beginscan(heap, index, snapshot, keys) index_beginscan(heap, index, snapshot, NULL, keys, 0)
#else
#define TGUARD_COPIES_FROM(kind) ((kind) == RELKIND_RELATION)
#define TGUARD_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define TGUARD_RUN_PASS queryDesc, direction, count, execute_once
#define tguard_run_all(query) ExecutorRun(query, ForwardScanDirection, 0, true)
#define tguard_primary_key(rel) RelationGetPrimaryKeyIndex(rel)
#define TGUARD_ALTERED_CONSTRAINT(command) (((Constraint *) (command)->def)->conname)
#define tguard_index_beginscan(heap, index, snapshot, keys) index_beginscan(heap, index, snapshot, keys, 0)
#endif

/*
 * 17: MAINTAIN came as a privilege, the local transaction id moved into
 * PGPROC.vxid, pgprocno and a function of adminpack's went away.
 */
#if PG_VERSION_NUM >= 170000
#ifndef F_PG_READ_FILE_OLD
#define F_PG_READ_FILE_OLD InvalidOid
#endif
#define TGUARD_ACL_MAINTAIN ACL_MAINTAIN
#define tguard_lxid(proc) ((proc)->vxid.lxid)
#define tguard_proc_number(proc) GetNumberFromPGProc(proc)
#else
#define TGUARD_ACL_MAINTAIN ACL_NO_RIGHTS
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

/* 16: what COPY says to roles that may not read the server's files. */
#if PG_VERSION_NUM >= 160000
#define TGUARD_COPY_DENIED(program) \
	(program) ? errmsg("permission denied to COPY to or from an external program") : \
		errmsg("permission denied to COPY from a file"), \
	errdetail("Only roles with privileges of the \"%s\" role may %s.", \
			  (program) ? "pg_execute_server_program" : "pg_read_server_files", \
			  (program) ? "COPY to or from an external program" : "COPY from a file")
#else
#define TGUARD_COPY_DENIED(program) \
	errmsg("must be superuser or have privileges of the %s role to COPY %s", \
		   (program) ? "pg_execute_server_program" : "pg_read_server_files", \
		   (program) ? "to or from an external program" : "from a file")
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

static inline void
tguard_query_set_rtable(Query *query, ParseState *pstate)
{
	query->rtable = pstate->p_rtable;
#if PG_VERSION_NUM >= 160000
	query->rteperminfos = pstate->p_rteperminfos;
#endif
}

/* 16: a relation of a query has permissions beside it, if only none. */
static inline void
tguard_query_set_relation(Query *query, RangeTblEntry *entry)
{
	query->rtable = list_make1(entry);
#if PG_VERSION_NUM >= 160000
	(void) addRTEPermissionInfo(&query->rteperminfos, entry);
#endif
}

/*
 * The default of a column in COPY FROM: for one that is not read always, for
 * one that is read where the input says DEFAULT, which 16 brought.
 */
static inline void
tguard_copy_set_default(CopyFromState copy, AttrNumber column,
						ExprState *value, bool is_read)
{
	int			slot = 0;

#if PG_VERSION_NUM >= 160000
	if (is_read && copy->opts.default_print)
		copy->defexprs[column - 1] = value;
#endif
	if (is_read)
		return;
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

/* 18: COPY FROM may limit how many rows are skipped, and be silent on them. */
static inline void
tguard_copy_demand_limit(CopyFromState copy)
{
#if PG_VERSION_NUM >= 180000
	if (copy->opts.reject_limit > 0 &&
		copy->num_errors > copy->opts.reject_limit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("skipped more than REJECT_LIMIT (%lld) rows due to data type incompatibility",
						(long long) copy->opts.reject_limit)));
#endif
}

static inline bool
tguard_copy_is_silent(CopyFromState copy)
{
#if PG_VERSION_NUM >= 180000
	return copy->opts.log_verbosity < COPY_LOG_VERBOSITY_DEFAULT;
#else
	return false;
#endif
}

/* 17: COPY FROM may skip rows that are malformed.  Is the last one such? */
static inline bool
tguard_copy_skips_row(CopyFromState copy)
{
#if PG_VERSION_NUM >= 170000
	if (copy->opts.on_error == COPY_ON_ERROR_STOP ||
		!copy->escontext->error_occurred)
		return false;
	copy->escontext->error_occurred = false;
	pgstat_progress_update_param(PROGRESS_COPY_TUPLES_SKIPPED,
								 copy->num_errors);
	tguard_copy_demand_limit(copy);
	return true;
#else
	return false;
#endif
}

static inline void
tguard_copy_tell_skipped(CopyFromState copy)
{
#if PG_VERSION_NUM >= 170000
	if (copy->num_errors > 0 && !tguard_copy_is_silent(copy))
		ereport(NOTICE,
				errmsg_plural("%llu row was skipped due to data type incompatibility",
							  "%llu rows were skipped due to data type incompatibility",
							  (unsigned long long) copy->num_errors,
							  (unsigned long long) copy->num_errors));
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
