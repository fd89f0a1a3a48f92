-- filter.sql: reading. Every shape of SELECT, for every kind of role, tries
-- to see a row of another tenant.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_filter_owner;
CREATE ROLE regress_filter_app;
CREATE ROLE regress_filter_bypassrls BYPASSRLS;
CREATE SCHEMA filter AUTHORIZATION regress_filter_owner;
SET search_path = filter, public;
SET ROLE regress_filter_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, parent int, body text, amount numeric, PRIMARY KEY (org_id, id));
CREATE TABLE notes (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, doc_id int, body text, PRIMARY KEY (org_id, id));
CREATE INDEX ON docs (id);
INSERT INTO orgs SELECT o, 'org ' || o FROM generate_series(1, 3) AS o;
INSERT INTO docs SELECT o, i, i - 1, format('doc %s of org %s', i, o), o * 1000 + i FROM generate_series(1, 3) AS o, generate_series(1, 20) AS i;
INSERT INTO notes SELECT o, i, i, format('note %s of org %s', i, o) FROM generate_series(1, 3) AS o, generate_series(1, 20) AS i;
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, mode, action FROM tenantguard.protect_all('filter');
\getenv dir PG_ABS_SRCDIR
\set shapes :dir '/sql/include/filter_shapes.sql'
\i :shapes
-- Cursors go on as they began; WHERE CURRENT OF finds the tenant's row.
BEGIN;
SET LOCAL app.current_org_id = '2';
DECLARE c SCROLL CURSOR FOR SELECT org_id, id FROM docs WHERE id <= 2 ORDER BY org_id, id;
FETCH ALL FROM c;
FETCH BACKWARD 1 FROM c;
DECLARE u CURSOR FOR SELECT * FROM docs WHERE id = 3 FOR UPDATE;
FETCH u \gset
UPDATE docs SET body = 'changed' WHERE CURRENT OF u RETURNING org_id, id, body;
ROLLBACK;

-- Without a tenant nobody reads: error, whatever the role.
\set VERBOSITY sqlstate
SELECT count(*) FROM docs;
SET ROLE regress_filter_owner;
SELECT count(*) FROM plain_view;
SET ROLE regress_filter_bypassrls;
SELECT count(*) FROM inlined();
SET ROLE regress_filter_app;
SELECT count(*) FROM in_plpgsql();
-- Row security switched off: an error for who is subject to it, no rows more for others.
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL row_security = off; SELECT count(*) FROM docs; ROLLBACK;
SET ROLE regress_filter_bypassrls;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL row_security = off; SELECT count(*) FROM docs; ROLLBACK;
RESET ROLE;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL row_security = off; SELECT count(*) FROM docs; ROLLBACK;
-- PREPARE and EXPLAIN need no tenant: nothing is read.
PREPARE later AS SELECT count(*) FROM docs;
DO $$ BEGIN EXECUTE 'EXPLAIN SELECT body FROM notes'; END $$;
EXECUTE later;
BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE later; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA filter CASCADE;
DROP ROLE regress_filter_owner, regress_filter_app, regress_filter_bypassrls;
