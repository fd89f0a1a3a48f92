/*
 * report.h
 *	  tenantguard.enforce = log: say what would be refused or filtered.
 */
#ifndef TGUARD_REPORT_H
#define TGUARD_REPORT_H

#include "executor/execdesc.h"
#include "nodes/parsenodes.h"

/* Before planning: have the query count the foreign rows that it reads. */
extern void tguard_report_observe(Query *query);

/* What one execution read and wrote of other tenants' rows. */
typedef struct ReportCounts ReportCounts;

/*
 * A statement starts that reaches guarded relations: report at once that it
 * would be refused, and return its counts, all zero.
 */
extern ReportCounts *tguard_report_start(QueryDesc *queryDesc);

/* It runs: count here from now on.  Returns where was counted before. */
extern ReportCounts *tguard_report_count(ReportCounts *counts);

/* It ends: report what was counted. */
extern void tguard_report_end(ReportCounts *counts, QueryDesc *queryDesc);

#endif							/* TGUARD_REPORT_H */
