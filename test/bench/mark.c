/*
 * mark.c
 *	  Lets the benchmark's client steer callgrind inside its own backend.
 *
 * A dump is taken where the client asks for it, so one backend yields the
 * cost of every run and nothing is counted while connections start, caches
 * fill and statements are prepared.  Outside valgrind both calls are no-ops.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include <valgrind/callgrind.h>

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_start);
PG_FUNCTION_INFO_V1(bench_mark);

/* bench_start(): count from here on. */
Datum
bench_start(PG_FUNCTION_ARGS)
{
	CALLGRIND_START_INSTRUMENTATION;
	PG_RETURN_VOID();
}

/* bench_mark(label text): write what was counted since the last mark. */
Datum
bench_mark(PG_FUNCTION_ARGS)
{
	CALLGRIND_DUMP_STATS_AT(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}
