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

/* A statement starts that reaches guarded relations. */
extern void tguard_report_start(QueryDesc *queryDesc);

/* It ends: report what was counted, once. */
extern void tguard_report_end(QueryDesc *queryDesc);

#endif							/* TGUARD_REPORT_H */
