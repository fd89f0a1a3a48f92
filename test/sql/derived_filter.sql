-- derived_filter.sql: reading relations without a tenant column, one behind a
-- foreign key, one behind two. Their org_id is there to tell what was seen.
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
CREATE TABLE folders (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY);
CREATE TABLE drawers (id int PRIMARY KEY, folder int NOT NULL REFERENCES folders);
CREATE TABLE docs (org_id bigint NOT NULL, id int NOT NULL, parent int, body text, amount numeric, folder int NOT NULL REFERENCES folders, PRIMARY KEY (org_id, id));
CREATE TABLE notes (org_id bigint NOT NULL, id int NOT NULL, doc_id int, body text, drawer int NOT NULL REFERENCES drawers, PRIMARY KEY (org_id, id));
CREATE INDEX ON docs (id);
CREATE INDEX ON docs (folder);
INSERT INTO orgs SELECT o, 'org ' || o FROM generate_series(1, 3) AS o;
INSERT INTO folders SELECT o, o * 10 + i FROM generate_series(1, 3) AS o, generate_series(0, 4) AS i;
INSERT INTO drawers SELECT id + 100, id FROM folders;
INSERT INTO docs SELECT o, i, i - 1, format('doc %s of org %s', i, o), o * 1000 + i, o * 10 + i % 5 FROM generate_series(1, 3) AS o, generate_series(1, 20) AS i;
INSERT INTO notes SELECT o, i, i, format('note %s of org %s', i, o), o * 10 + i % 5 + 100 FROM generate_series(1, 3) AS o, generate_series(1, 20) AS i;
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, mode, action FROM tenantguard.protect_all('filter') WHERE action <> 'listed';
SELECT count(*) > 0 AS derived FROM tenantguard.derive('docs');
SELECT count(*) > 0 AS derived FROM tenantguard.derive('notes');
\getenv dir PG_ABS_SRCDIR
\set shapes :dir '/sql/include/filter_shapes.sql'
\i :shapes
SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA filter CASCADE;
DROP ROLE regress_filter_owner, regress_filter_app, regress_filter_bypassrls;
