/*
 * errors.h
 *	  The reason words: one for every kind of refusal.
 *
 * A refusal of isolation is SQLSTATE 42501, a malformed tenant 22023.  The
 * DETAIL of the error starts with the reason word and a colon, and the
 * constraint field carries it as "tenantguard_WORD", so that drivers can tell
 * refusals apart without reading prose.  docs/reference/errors.md lists them;
 * a test compares the page with this file.
 */
#ifndef TGUARD_ERRORS_H
#define TGUARD_ERRORS_H

#define REASON_NO_CONTEXT		"no_context"
#define REASON_STALE_CONTEXT	"stale_context"
#define REASON_MALFORMED		"malformed_tenant"
#define REASON_TENANT_FIXED		"tenant_fixed"
#define REASON_UNKNOWN_TENANT	"unknown_tenant"
#define REASON_SUSPENDED		"suspended_tenant"
#define REASON_CONTEXT_SOURCE	"context_source"
#define REASON_FOREIGN_TENANT	"foreign_tenant"
#define REASON_FOREIGN_CONFLICT "foreign_conflict"
#define REASON_FOREIGN_REFERENCE "foreign_reference"
#define REASON_SHARED			"shared_read_only"
#define REASON_ROOT				"root_immutable"
#define REASON_PLAN_MISMATCH	"plan_mismatch"
#define REASON_BYPASS_DENIED	"bypass_denied"
#define REASON_BYPASS_SCOPE		"bypass_scope"
#define REASON_COPY				"copy_refused"
#define REASON_TRUNCATE			"truncate_refused"
#define REASON_DDL				"ddl_refused"
#define REASON_HELD_CURSOR		"held_cursor"
#define REASON_MATERIALIZE		"materialize_refused"
#define REASON_BEYOND			"beyond_tenant"
#define REASON_LARGE_OBJECT		"large_object"
#define REASON_INTEGRITY		"integrity_off"
#define REASON_LOOKUP			"lookup_refused"
#define REASON_NOT_PRELOADED	"not_preloaded"
#define REASON_COLUMN_LOST		"column_lost"
#define REASON_LINK_LOST		"link_lost"
#define REASON_NO_PARENT		"no_parent"
#define REASON_PARENTS			"parents_disagree"
#define REASON_NOT_GUARDED		"not_guarded"
#define REASON_NO_REGISTRY		"no_registry"
#define REASON_UNCLASSIFIED		"unclassified"

/* the constraint field of an error, to be used inside ereport() */
#define tguard_reason(word) \
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, "tenantguard_" word)

#endif							/* TGUARD_ERRORS_H */
