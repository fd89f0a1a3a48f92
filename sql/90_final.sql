-- 90_final.sql: who may call what. Everything is closed first; the list that
-- follows is the whole public surface.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenantguard FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA tenantguard FROM PUBLIC;

GRANT USAGE ON SCHEMA tenantguard TO PUBLIC;

-- What is guarded is no secret, and the owner of a table who calls protect()
-- must be able to read it. Look-ups and grants stay closed.
GRANT SELECT ON TABLE
	tenantguard.guarded_relation,
	tenantguard.link,
	tenantguard.links,
	tenantguard.registry,
	tenantguard.lost_registry,
	tenantguard.check_rule,
	tenantguard.check_suppression,
	tenantguard.relations,
	tenantguard.tenants,
	tenantguard.carried_column,
	tenantguard.backfills,
	tenantguard.foreign_keys,
	tenantguard.unique_keys,
	tenantguard.indexes
TO PUBLIC;

-- Tenants: called by policies, defaults and applications.
GRANT EXECUTE ON FUNCTION
	tenantguard.visible(integer),
	tenantguard.visible(bigint),
	tenantguard.visible(uuid),
	tenantguard.visible(text),
	tenantguard.visible_or_shared(integer),
	tenantguard.visible_or_shared(bigint),
	tenantguard.visible_or_shared(uuid),
	tenantguard.visible_or_shared(text),
	tenantguard.current_tenant(),
	tenantguard.current_tenant_integer(),
	tenantguard.current_tenant_bigint(),
	tenantguard.current_tenant_uuid(),
	tenantguard.enter(text),
	tenantguard.enter(bigint),
	tenantguard.enter(uuid),
	tenantguard.lookup(text, text[]),
	tenantguard.list_tenants(),
	tenantguard.preloaded(),
	tenantguard.any_row(),
	tenantguard.visible_by_links(anyelement),
	tenantguard.check_links(boolean, oid, integer),
	tenantguard.leads_to_tenant(oid, boolean, smallint[], "any"),
	tenantguard.check_partition(oid),
	tenantguard.check_tenant(integer, oid, integer),
	tenantguard.check_tenant(bigint, oid, integer),
	tenantguard.check_tenant(uuid, oid, integer),
	tenantguard.check_tenant(text, oid, integer),
	tenantguard.observe(integer, oid, integer),
	tenantguard.observe(bigint, oid, integer),
	tenantguard.observe(uuid, oid, integer),
	tenantguard.observe(text, oid, integer)
TO PUBLIC;

-- The way out: judged in C by session_user and its grants.
GRANT EXECUTE ON FUNCTION
	tenantguard.begin_bypass(text, text, timestamptz),
	tenantguard.end_bypass(),
	tenantguard.current_bypass()
TO PUBLIC;

-- Owners of tables: everything runs with the caller's rights.
GRANT EXECUTE ON FUNCTION
	tenantguard.assert_guarded(regnamespace),
	tenantguard.check(regnamespace, boolean),
	tenantguard.propose(regnamespace, name[], boolean),
	tenantguard.protect(regclass, name, boolean, boolean),
	tenantguard.protect_all(regnamespace, boolean, name[]),
	tenantguard.migration_script(regnamespace, name[]),
	tenantguard.share(regclass, boolean),
	tenantguard.exempt(regclass, text),
	tenantguard.derive(regclass, name[], boolean),
	tenantguard.add_link(regclass, name[], regclass, name[], name, text),
	tenantguard.drop_link(regclass, name[], regclass, text),
	tenantguard.unprotect(regclass, text),
	tenantguard.record_relation(regclass, text, name, text, text),
	tenantguard.forget_relation(regclass),
	tenantguard.record_link(regclass, name[], regclass, name[], name, text),
	tenantguard.inherit_links(regclass),
	tenantguard.forget_links(regclass),
	tenantguard.crossing_rows(regclass, name, int),
	tenantguard.convert_foreign_key(regclass, name),
	tenantguard.convert_unique_key(regclass, boolean),
	tenantguard.propose_indexes(regnamespace),
	tenantguard.conversion_steps(regnamespace, text[]),
	tenantguard.conversion_script(regnamespace, text[]),
	tenantguard.primary_key_costs(regnamespace)
TO PUBLIC;

-- Columns that are carried from the parent: for owners, most under a bypass.
REVOKE ALL ON ALL PROCEDURES IN SCHEMA tenantguard FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE
	tenantguard.backfill_tenant_column(regclass, integer, integer),
	tenantguard.finish_tenant_column(regclass, boolean)
TO PUBLIC;
GRANT EXECUTE ON FUNCTION
	tenantguard.add_tenant_column(regclass, name, boolean),
	tenantguard.column_consumers(regclass),
	tenantguard.disagreements(regclass),
	tenantguard.drop_tenant_column(regclass),
	tenantguard.pause_backfill(regclass),
	tenantguard.quarantine(regclass),
	tenantguard.release_quarantine(regclass),
	tenantguard.resume_backfill(regclass),
	tenantguard.backfill_begin(regclass),
	tenantguard.backfill_range(regclass, bigint, bigint, integer),
	tenantguard.backfill_step(regclass, integer, integer),
	tenantguard.carried_name(regclass),
	tenantguard.carried_record(regclass),
	tenantguard.carried_target(regclass, name),
	tenantguard.carry_statements(regclass, name),
	tenantguard.carry_tenant(),
	tenantguard.carry_trigger_statements(regclass),
	tenantguard.check_carried(),
	tenantguard.disagreements_by_links(regclass),
	tenantguard.finish_step(regclass, boolean),
	tenantguard.follow_owner(),
	tenantguard.follow_statements(regclass),
	tenantguard.forget_carried(regclass),
	tenantguard.hold_owner(),
	tenantguard.key_expression(regclass, text),
	tenantguard.make_quarantine(regclass),
	tenantguard.next_member(regclass, regclass),
	tenantguard.note_carried(regclass, jsonb),
	tenantguard.own_trigger_columns(oid, name),
	tenantguard.owner_relations(regclass),
	tenantguard.pause_carried(regclass, boolean),
	tenantguard.quarantine_table(regclass),
	tenantguard.release_carried(regclass),
	tenantguard.remark_consumers(regclass),
	tenantguard.require_agreement(regclass),
	tenantguard.require_bypass(text),
	tenantguard.require_carried(regclass),
	tenantguard.require_unreferenced(regclass, oid, tid),
	tenantguard.row_problem(record),
	tenantguard.run_briefly(text)
TO PUBLIC;

-- What those are made of: questions to the catalogs, and run_statements(),
-- which does nothing that its caller could not do.
GRANT EXECUTE ON FUNCTION
	tenantguard.as_comment(text),
	tenantguard.check_grants(),
	tenantguard.check_own_objects(),
	tenantguard.check_policies(regnamespace),
	tenantguard.check_privileges(regnamespace),
	tenantguard.check_registry(),
	tenantguard.check_links(regnamespace),
	tenantguard.check_carried_columns(regnamespace),
	tenantguard.check_relations(regnamespace),
	tenantguard.check_roles(regnamespace),
	tenantguard.check_stored_settings(),
	tenantguard.checked_relations(regnamespace),
	tenantguard.check_expressions(regnamespace),
	tenantguard.check_foreign_keys(regnamespace),
	tenantguard.check_functions(regnamespace),
	tenantguard.check_indexes(regnamespace),
	tenantguard.check_outlets(regnamespace),
	tenantguard.check_server(),
	tenantguard.check_settings(),
	tenantguard.check_triggers(regnamespace),
	tenantguard.check_unique_keys(regnamespace),
	tenantguard.checked_foreign_keys(regnamespace),
	tenantguard.checked_functions(regnamespace),
	tenantguard.next_start_libraries(),
	tenantguard.stored_settings(),
	tenantguard.classify(regnamespace, name[]),
	tenantguard.column_default(oid, name),
	tenantguard.count_tenants(regclass, name),
	tenantguard.decision_statement(regclass, text, name, text),
	tenantguard.depends_on(oid, oid),
	tenantguard.derivation_statements(regclass, name[]),
	tenantguard.derive_member(regclass),
	tenantguard.drop_policy_statements(regclass),
	tenantguard.excess_grantees(oid),
	tenantguard.follow_parent(regclass),
	tenantguard.guarded_descendants(),
	tenantguard.has_policy(oid, name),
	tenantguard.in_dependency_order(regnamespace),
	tenantguard.is_bookkeeping(name),
	tenantguard.is_link_key(oid, name[]),
	tenantguard.is_our_condition(text, text, name),
	tenantguard.is_our_default(oid, name),
	tenantguard.known_bypass_grants(),
	tenantguard.lock_relation(regclass),
	tenantguard.copied_columns(regclass, regclass[]),
	tenantguard.may_restore(text),
	tenantguard.meet_relation(regclass, regclass[], boolean),
	tenantguard.member_statements(regclass, text, name, boolean),
	tenantguard.nearest_links(regtype),
	tenantguard.link_query(tenantguard.link),
	tenantguard.own_policies(),
	tenantguard.owners_privileges(),
	tenantguard.policy_statements(oid, name, text),
	tenantguard.possible_links(oid),
	tenantguard.protect_one(regclass, text, name, boolean),
	tenantguard.protection_statements(regclass, text, name, text),
	tenantguard.protection_target(regclass, name, boolean),
	tenantguard.quarantines(),
	tenantguard.recorded_links(oid),
	tenantguard.recorded_relation(regclass),
	tenantguard.registry_key(),
	tenantguard.registry_triggers(regclass, name, name),
	tenantguard.release(regclass, text, text, boolean),
	tenantguard.release_statements(regclass, text, text),
	tenantguard.remark_default(regclass),
	tenantguard.remark_derivation(regclass, name[]),
	tenantguard.remark_protection(regclass, text, name),
	tenantguard.remark_published(regclass),
	tenantguard.remark_revoked(regclass),
	tenantguard.require_locks(bigint, regnamespace),
	tenantguard.require_adopted(),
	tenantguard.require_link(regclass, name[], regclass, name[], name, text),
	tenantguard.require_links(regclass, name[]),
	tenantguard.require_link_types(regclass, name[], regclass, name[]),
	tenantguard.link_operator(regtype, regtype),
	tenantguard.require_reason(text),
	tenantguard.require_table(regclass),
	tenantguard.require_tenants(),
	tenantguard.require_whole_sight(),
	tenantguard.require_tenant_column(regclass, name, boolean),
	tenantguard.restore_default_statements(regclass),
	tenantguard.revoke_statements(oid),
	tenantguard.run_statements(text[]),
	tenantguard.share_statements(oid, boolean),
	tenantguard.supposed_columns(regnamespace),
	tenantguard.table_family(oid),
	tenantguard.tenant_columns(),
	tenantguard.tenant_names(),
	tenantguard.tied_columns(regclass),
	tenantguard.type_family(oid),
	tenantguard.types_agree(oid, oid),
	tenantguard.under_bypass(text, text),
	tenantguard.weigh(regclass, text, name, text, text, name[]),
	tenantguard.user_policies(oid)
TO PUBLIC;

-- And what the conversion of keys is made of.
GRANT EXECUTE ON FUNCTION
	tenantguard.build_steps(oid, text, boolean, text, text, text, text, int, boolean),
	tenantguard.conflict_target(text, name, name[]),
	tenantguard.conflict_texts(),
	tenantguard.foreign_key_facts(regnamespace, oid),
	tenantguard.foreign_key_shape(oid, name, name),
	tenantguard.foreign_key_steps(tenantguard.foreign_key_fact),
	tenantguard.guess_index_size(oid, name[]),
	tenantguard.index_tail(oid),
	tenantguard.index_writes(oid),
	tenantguard.key_columns(oid),
	tenantguard.key_consumers(oid),
	tenantguard.known_crossing_rows(oid),
	tenantguard.leaf_tables(oid),
	tenantguard.new_index_name(oid, text, text, text),
	tenantguard.queried_columns(oid),
	tenantguard.require_no_crossing(regclass, name),
	tenantguard.same_index(oid, text, boolean, boolean),
	tenantguard.sees_all_rows(oid),
	tenantguard.short_name(text, text),
	tenantguard.try_index(oid, name[], text),
	tenantguard.unique_key_facts(regnamespace, oid),
	tenantguard.unique_key_steps(tenantguard.unique_key_fact),
	tenantguard.wanted_indexes(regnamespace),
	tenantguard.why_not_unique(tenantguard.unique_key_fact)
TO PUBLIC;

DO $$
BEGIN
	IF NOT tenantguard.preloaded() THEN
		RAISE WARNING 'tenantguard is not preloaded'
			USING DETAIL = 'Only row security holds: superusers and roles with BYPASSRLS see every tenant.',
				HINT = 'Add tenantguard to shared_preload_libraries in postgresql.conf and restart the server.';
	END IF;
END
$$;
