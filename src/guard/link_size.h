/*
 * link_size.h
 *	  How many rows and parents has a tenant, as far as statistics tell?
 */
#ifndef TGUARD_LINK_SIZE_H
#define TGUARD_LINK_SIZE_H

#include "nodes/pathnodes.h"
#include "relations/cache.h"

/*
 * Would an array of all parents of a tenant, and the hash table over it, take
 * more memory than the server grants to a hash table (hash_mem_multiplier)?
 */
extern bool tguard_link_parents_too_many(const GuardedRelation *relation);

/*
 * A query that wants the first rows of a relation by an index, and has no other
 * condition: will it find them sooner by asking for each row that the index
 * gives than by gathering the tenant's?
 */
extern bool tguard_link_first_rows(const GuardedRelation *relation,
								   double wanted);

/*
 * Is it cheaper to read the whole relation, and sort out the tenant's rows, than
 * to search an index for the children of each of its parents?
 */
extern bool tguard_link_scan_is_cheaper(const GuardedRelation *relation);

#endif							/* TGUARD_LINK_SIZE_H */
