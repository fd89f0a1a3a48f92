/*
 * publications.h
 *	  Publications that would send the rows of every tenant.
 */
#ifndef TGUARD_PUBLICATIONS_H
#define TGUARD_PUBLICATIONS_H

#include "nodes/parsenodes.h"

/* What a publication sends unfiltered; all empty where it sends nothing so. */
typedef struct TguardPublished
{
	bool		everything;		/* FOR ALL TABLES */
	List	   *schemas;		/* FOR TABLES IN SCHEMA */
	List	   *relations;		/* guarded, without a filter by tenant */
} TguardPublished;

/* Before CREATE or ALTER PUBLICATION: what it sends now. */
extern TguardPublished tguard_publications_before(Node *statement);

/*
 * After it: error ddl_refused without a bypass where it sends more of what is
 * guarded than before.
 */
extern void tguard_publications_after(Node *statement,
									  const TguardPublished *before);

#endif							/* TGUARD_PUBLICATIONS_H */
