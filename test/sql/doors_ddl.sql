-- doors_ddl.sql: while a tenant is set nobody changes what belongs to a
-- guarded relation, whatever the statement; the rest of DDL goes on.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_ddl_app;
CREATE SCHEMA ddl;
SET search_path = ddl, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int GENERATED ALWAYS AS IDENTITY, body text, PRIMARY KEY (org_id, id));
CREATE TABLE parts (org_id bigint NOT NULL REFERENCES orgs, id int) PARTITION BY LIST (org_id);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE above (org_id bigint, id int);
CREATE TABLE below (org_id bigint, id int);
CREATE TABLE free (id serial PRIMARY KEY);
CREATE TABLE beside (org_id bigint NOT NULL, id int NOT NULL, body text);
CREATE TYPE mood AS ENUM ('good');
CREATE VIEW shown AS SELECT * FROM docs;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE ruled AS ON DELETE TO docs WHERE OLD.id < 0 DO ALSO NOTHING;
CREATE INDEX docs_body ON docs (body);
CREATE INDEX ON parts (org_id);
CREATE INDEX ON below (org_id);
CREATE STATISTICS docs_stats ON org_id, id FROM docs;
INSERT INTO orgs VALUES (1), (2);
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('parts', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('below', 'org_id');
BEGIN; SELECT FROM tenantguard.begin_bypass('below an unguarded parent'); ALTER TABLE below INHERIT above; COMMIT;
INSERT INTO free DEFAULT VALUES;

-- Each of these is refused with a tenant set, and runs without one.  What
-- reaches no guarded relation runs with a tenant, too.
CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; state text;
BEGIN
	EXECUTE command;
	RAISE EXCEPTION USING ERRCODE = 'YY000';	-- undo it
EXCEPTION
	WHEN SQLSTATE 'YY000' THEN RETURN 'runs';
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, state = RETURNED_SQLSTATE;
		RETURN coalesce(nullif(split_part(detail, ': ', 1), ''), state || ' ' || SQLERRM);
END $$;
CREATE TABLE commands (id int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO commands (command) VALUES
	('COMMENT ON TABLE docs IS NULL'),
	('COMMENT ON COLUMN docs.body IS NULL'),
	('COMMENT ON POLICY tenantguard_tenant ON docs IS ''x'''),
	('COMMENT ON TRIGGER touch ON docs IS ''x'''),
	('COMMENT ON RULE ruled ON docs IS ''x'''),
	('COMMENT ON CONSTRAINT docs_pkey ON docs IS ''x'''),
	('COMMENT ON INDEX docs_body IS ''x'''),
	('COMMENT ON STATISTICS docs_stats IS ''x'''),
	('GRANT SELECT ON docs TO regress_ddl_app'),
	('GRANT SELECT (body) ON docs TO regress_ddl_app'),
	('REVOKE ALL ON free, docs FROM regress_ddl_app'),
	('GRANT SELECT ON ALL TABLES IN SCHEMA ddl TO regress_ddl_app'),
	('GRANT USAGE ON SEQUENCE docs_id_seq TO regress_ddl_app'),
	('CREATE STATISTICS more ON org_id, body FROM docs'),
	('ALTER STATISTICS docs_stats SET STATISTICS 10'),
	('ALTER STATISTICS docs_stats RENAME TO other'),
	('ALTER STATISTICS docs_stats OWNER TO regress_ddl_app'),
	('DROP STATISTICS docs_stats'),
	('CREATE INDEX ON docs (id)'),
	('CREATE UNIQUE INDEX ON parts1 (id)'),
	('ALTER INDEX docs_body RENAME TO other'),
	('ALTER INDEX docs_body SET (fillfactor = 50)'),
	('DROP INDEX docs_body'),
	('REINDEX INDEX docs_body'),
	('CREATE POLICY mine ON docs USING (true)'),
	('CREATE RULE mine AS ON DELETE TO docs DO INSTEAD NOTHING'),
	('ALTER RULE ruled ON docs RENAME TO other'),
	('DROP RULE ruled ON docs'),
	('CREATE TRIGGER mine AFTER INSERT ON parts1 FOR EACH ROW EXECUTE FUNCTION touch()'),
	('ALTER TRIGGER touch ON docs RENAME TO other'),
	('DROP TRIGGER touch ON docs'),
	('DROP FUNCTION touch() CASCADE'),
	('ALTER TABLE docs DISABLE TRIGGER touch'),
	('ALTER TABLE docs DISABLE TRIGGER USER'),
	('ALTER TABLE docs ENABLE ALWAYS TRIGGER touch'),
	('ALTER TABLE docs ENABLE REPLICA TRIGGER touch'),
	('ALTER TABLE docs DISABLE RULE ruled'),
	('ALTER TABLE docs ALTER body SET DEFAULT ''x'''),
	('ALTER TABLE docs ALTER body SET STATISTICS 10'),
	('ALTER TABLE docs SET (fillfactor = 50)'),
	('ALTER TABLE docs REPLICA IDENTITY FULL'),
	('ALTER TABLE docs OWNER TO regress_ddl_app'),
	('ALTER TABLE docs INHERIT free'),
	('ALTER TABLE beside INHERIT docs'),
	('ALTER TABLE above ADD more int'),
	('ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE pg_default'),
	('CREATE TABLE child () INHERITS (docs)'),
	('CREATE TABLE parts2 PARTITION OF parts FOR VALUES IN (2)'),
	('CREATE TABLE pointing (org_id bigint, id int, FOREIGN KEY (org_id, id) REFERENCES docs)'),
	('ALTER TABLE free ADD org_id bigint REFERENCES orgs'),
	('ALTER SEQUENCE docs_id_seq RESTART'),
	('DROP TABLE docs CASCADE'),
	('DROP OWNED BY regress_ddl_app'),
	('REASSIGN OWNED BY regress_ddl_app TO CURRENT_USER'),
	('DROP EXTENSION tenantguard CASCADE');
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT refusal(command), count(*) FROM commands GROUP BY 1;
SELECT command, refusal(command) FROM commands WHERE refusal(command) <> 'ddl_refused' ORDER BY id;
ROLLBACK;
-- also after the tenant was RESET: rows were reached under it
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM docs; RESET app.current_org_id;
SELECT refusal('CREATE INDEX ON docs (id)') AS reset;
SELECT set_config('app.current_org_id', NULL, true) AS nothing, refusal('COMMENT ON TABLE docs IS NULL') AS set_to_null, refusal('DROP TABLE docs') AS dropped;
ROLLBACK;
-- Without a tenant what a migration does goes on; the rest is about opening.
SELECT command, refusal(command) FROM commands WHERE refusal(command) <> 'runs' ORDER BY id;
-- Under a bypass everything runs that PostgreSQL itself can do.
BEGIN; SELECT FROM tenantguard.begin_bypass('all of it');
SELECT command, refusal(command) FROM commands WHERE refusal(command) <> 'runs' ORDER BY id;
ROLLBACK;
-- TRUNCATE asks for a bypass always.
SELECT refusal(c) AS nobody, c FROM unnest(ARRAY['TRUNCATE docs', 'TRUNCATE docs RESTART IDENTITY', 'TRUNCATE ONLY docs CASCADE', 'TRUNCATE parts', 'TRUNCATE parts1', 'TRUNCATE above', 'TRUNCATE free, below', 'TRUNCATE free']) AS c;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT refusal('TRUNCATE parts1') AS partition, refusal('TRUNCATE docs RESTART IDENTITY') AS identity, refusal('TRUNCATE free RESTART IDENTITY') AS free; ROLLBACK;
CREATE TEMP TABLE emptied (id int) ON COMMIT DELETE ROWS;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO emptied SELECT id FROM docs; COMMIT;
SELECT count(*) FROM emptied;
-- Publications would send every tenant's rows.
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT refusal('CREATE PUBLICATION p FOR TABLE docs') AS one, refusal('CREATE PUBLICATION p FOR ALL TABLES') AS everything;
ROLLBACK;

-- What is nobody else's is made, changed and dropped with a tenant set.
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM docs;
CREATE TEMP TABLE mine (id serial PRIMARY KEY, parent int REFERENCES mine, body text CHECK (body <> '')) ON COMMIT DROP;
CREATE INDEX ON mine (body);
ALTER TABLE mine ADD at timestamptz DEFAULT now();
COMMENT ON TABLE mine IS 'mine';
GRANT SELECT ON mine TO regress_ddl_app;
ALTER SEQUENCE mine_id_seq RESTART;
CREATE TRIGGER touch BEFORE UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION touch();
DROP TRIGGER touch ON mine;
CREATE TEMP TABLE copied (LIKE docs INCLUDING ALL) ON COMMIT DROP;
CREATE TEMP VIEW seen AS SELECT * FROM docs;
COMMENT ON VIEW seen IS 'seen';
CREATE OR REPLACE VIEW shown AS SELECT * FROM docs WHERE true;
DROP VIEW seen;
CREATE TABLE made (id serial PRIMARY KEY, other int REFERENCES free);
ALTER TABLE made ADD x mood;
DROP TABLE made;
CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1';
DROP FUNCTION made();
CREATE SCHEMA made CREATE TABLE t (id int CHECK (id > 0));
DROP SCHEMA made CASCADE;
ALTER TYPE mood RENAME TO moods;
COMMIT;

-- The catalogs by hand, with a tenant and without, and by a plan from a bypass.
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE pg_class SET relrowsecurity = false WHERE oid = 'ddl.docs'::regclass; ROLLBACK;
UPDATE pg_class SET relrowsecurity = false WHERE oid = 'ddl.docs'::regclass;
DELETE FROM pg_policy WHERE polrelid = 'ddl.docs'::regclass;
WITH w AS (UPDATE pg_namespace SET nspname = 'elsewhere' WHERE nspname = 'tenantguard' RETURNING 1) SELECT * FROM w;
PREPARE by_hand AS UPDATE pg_class SET relrowsecurity = false WHERE oid = 'ddl.docs'::regclass;
BEGIN; SELECT FROM tenantguard.begin_bypass('by hand'); EXECUTE by_hand; ROLLBACK;
EXECUTE by_hand;
SELECT relrowsecurity FROM pg_class WHERE oid = 'ddl.docs'::regclass;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA ddl CASCADE;
DROP ROLE regress_ddl_app;
