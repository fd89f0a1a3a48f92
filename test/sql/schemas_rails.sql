-- schemas_rails.sql: a schema in the style of Rails, from propose() to two
-- tenants at work. See ../schemas/rails.sql for what is untidy about it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ECHO none
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_rails_app;
\getenv inputs PG_ABS_SRCDIR
\set schema_file :inputs /schemas/rails.sql
\i :schema_file
\set ECHO all
\pset format unaligned
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('accounts', 'id');
SELECT * FROM tenantguard.propose('rails');
-- What was named is preferred, and what was not is no longer taken.
SELECT p.* FROM tenantguard.propose('rails', '{account_id}') AS p EXCEPT SELECT q.* FROM tenantguard.propose('rails') AS q ORDER BY relation;
-- What the data say, for those who see all of it.
SELECT * FROM tenantguard.propose('rails', with_data => true);
SET ROLE regress_rails_app;
SELECT * FROM tenantguard.propose('rails', with_data => true);
RESET ROLE;
BEGIN;
SELECT FROM tenantguard.begin_bypass('a look at the data');
SELECT * FROM tenantguard.propose('rails', with_data => true) WHERE relation IN ('audits'::regclass, 'labels'::regclass, 'notifications'::regclass, 'messages'::regclass, 'referrals'::regclass, 'users'::regclass);
COMMIT;

SELECT relation, mode, tenant_column, action FROM tenantguard.protect_all('rails', tenant_columns => '{account_id}');
-- Decisions of a person; a derived table that is read much gets the column.
SELECT FROM tenantguard.exempt('schema_migrations', 'written by migrations only');
SELECT FROM tenantguard.exempt('ar_internal_metadata', 'written by migrations only');
SELECT FROM tenantguard.exempt('users', 'people work for several accounts; found by look-ups only');
SELECT FROM tenantguard.exempt('audits', 'of the operators; the application has no right to it');
SELECT FROM tenantguard.exempt('taggings', 'not used any more');
SELECT FROM tenantguard.exempt('active_storage_blobs', 'keys are random; found through attachments');
SELECT FROM tenantguard.exempt('active_storage_attachments', 'to be given the column');
SELECT FROM tenantguard.share('plans');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('labels', 'account_id', shared_rows => true);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('billing_accounts', 'owner_account_id');
SELECT count(*) > 0 AS derived FROM unnest('{invoices,dunnings}'::regclass[]) AS t, tenantguard.derive(t);
ALTER TABLE mentions ADD account_id bigint REFERENCES accounts;
SET client_min_messages = error;
BEGIN;
SELECT FROM tenantguard.begin_bypass('fill the new column');
UPDATE mentions AS m SET account_id = c.account_id FROM conversations AS c WHERE c.id = m.conversation_id;
ALTER TABLE mentions ALTER account_id SET NOT NULL;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('mentions', 'account_id');
COMMIT;
SELECT relation, mode, tenant_column, reason FROM tenantguard.propose('rails') WHERE confidence <> 'certain';
SELECT tenantguard.assert_guarded('rails');
-- a cascade that could cross; check() knows the cure
SELECT fix FROM tenantguard.check('rails') WHERE severity = 'critical';
BEGIN; SELECT FROM tenantguard.begin_bypass('what check() says'); SELECT tenantguard.require_no_crossing('messages', 'messages_conversation_id_fkey'); COMMIT;
SELECT statement FROM tenantguard.convert_foreign_key('rails.messages', 'messages_conversation_id_fkey') WHERE statement !~ 'require_no_crossing' ORDER BY step \gexec
SELECT tenantguard.assert_guarded('rails');

-- Two tenants.
GRANT USAGE ON SCHEMA rails TO regress_rails_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON messages, conversations, labels, inboxes, transfers, mentions, referrals TO regress_rails_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA rails TO regress_rails_app;
SET ROLE regress_rails_app;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT id, content FROM messages ORDER BY id; SELECT title FROM labels; INSERT INTO inboxes (name) VALUES ('filled in, not 0') RETURNING account_id; INSERT INTO mentions (conversation_id, user_id) SELECT 1, 1 WHERE false; SELECT account_id FROM referrals; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT id, content FROM messages ORDER BY id; UPDATE conversations SET "order" = 5 RETURNING id, account_id, "order"; SELECT account_id FROM referrals; INSERT INTO transfers (target_account_id) VALUES (1) RETURNING account_id, target_account_id; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM transfers; COMMIT;
\set VERBOSITY sqlstate
SELECT * FROM messages;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO inboxes (account_id, name) VALUES (2, 'foreign'); ROLLBACK;
RESET ROLE;
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA rails CASCADE;
DROP ROLE regress_rails_app;
