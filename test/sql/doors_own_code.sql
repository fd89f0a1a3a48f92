-- doors_own_code.sql: a function of the owner's own is not handed the rows of
-- every tenant without a bypass; those of the server and of extensions are.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE EXTENSION hstore;
CREATE ROLE regress_own_owner;
CREATE SCHEMA own AUTHORIZATION regress_own_owner;
SET search_path = own, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2);
GRANT REFERENCES ON orgs TO regress_own_owner;
SET ROLE regress_own_owner;
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int, body text, tags public.hstore, PRIMARY KEY (org_id, id));
INSERT INTO docs SELECT o, i, format('secret %s of %s', i, o) FROM generate_series(1, 2) AS o, generate_series(1, 2) AS i;
CREATE TABLE free (id int, body text);
INSERT INTO free VALUES (1, 'free');
CREATE FUNCTION spy(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF value LIKE 'secret%' THEN RAISE WARNING 'saw %', value; END IF; RETURN value; END $$;
CREATE FUNCTION upright(value text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(value)';
CREATE FUNCTION same(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a = b';
CREATE OPERATOR === (leftarg = text, rightarg = text, function = same);
CREATE DOMAIN watched AS text CHECK (spy(VALUE) IS NOT NULL);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 100);
CREATE DOMAIN plain AS text;
CREATE FUNCTION number() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 7';
-- made before the guard: used from now on
CREATE TABLE olds (org_id bigint NOT NULL REFERENCES orgs, id int, body text, loud text GENERATED ALWAYS AS (upright(body)) STORED, PRIMARY KEY (org_id, id));
CREATE TABLE spied (org_id bigint NOT NULL REFERENCES orgs, body text) PARTITION BY RANGE (spy(body));
CREATE TABLE piece (org_id bigint NOT NULL, body text);
CREATE INDEX ON spied (org_id);
CREATE INDEX ON piece (org_id);
INSERT INTO piece VALUES (1, 'secret of 1'), (2, 'secret of 2');
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('olds', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('spied', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('piece', 'org_id');

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
CREATE TABLE commands (id int GENERATED ALWAYS AS IDENTITY, own boolean, command text);
INSERT INTO commands (own, command) VALUES
	(true, 'CREATE INDEX ON docs (spy(body))'),
	(true, 'CREATE INDEX ON docs (body) WHERE spy(body) <> '''''),
	(true, 'CREATE INDEX ON docs ((body === ''x''))'),
	(true, 'CREATE STATISTICS st ON (spy(body)), id FROM docs'),
	(true, 'ALTER TABLE docs ADD CHECK (spy(body) <> '''')'),
	(true, 'ALTER TABLE docs ADD CONSTRAINT c CHECK (spy(body) <> '''') NOT VALID'),
	(true, 'ALTER TABLE docs ADD c text CHECK (spy(body) <> '''')'),
	(true, 'ALTER TABLE docs ADD c text GENERATED ALWAYS AS (spy(body)) STORED'),
	(true, 'ALTER TABLE docs ALTER body TYPE text USING spy(body)'),
	(true, 'ALTER TABLE docs ALTER body TYPE watched'),
	(true, 'ALTER TABLE docs ALTER id TYPE int USING id + length(spy(body))'),
	(true, 'ALTER DOMAIN plain ADD CHECK (spy(VALUE) <> '''')'),
	(true, 'ALTER TABLE spied ATTACH PARTITION piece FOR VALUES FROM (''a'') TO (''z'')'),
	(true, 'CREATE OR REPLACE FUNCTION upright(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $x$ BEGIN RETURN own.spy(value); END $x$'),
	(true, 'ALTER FUNCTION upright(text) SET search_path = own'),
	(false, 'CREATE INDEX ON docs (lower(body))'),
	(false, 'CREATE INDEX ON docs USING gin (to_tsvector(''simple'', body))'),
	(false, 'CREATE INDEX ON docs ((tags -> ''a''))'),
	(false, 'CREATE INDEX ON docs USING gist (tags)'),
	(false, 'CREATE INDEX ON docs (id) WHERE exist(tags, ''a'')'),
	(false, 'CREATE STATISTICS st ON (lower(body)), id FROM docs'),
	(false, 'ALTER TABLE docs ADD CHECK (length(body) > 0)'),
	(false, 'ALTER TABLE docs ADD c text GENERATED ALWAYS AS (lower(body)) STORED'),
	(false, 'ALTER TABLE docs ADD c int DEFAULT number()'),
	(false, 'ALTER TABLE docs ADD c short'),
	(false, 'ALTER TABLE docs ALTER body SET DEFAULT spy(''x'')'),
	(false, 'ALTER TABLE docs ALTER body TYPE short USING lower(body)'),
	(false, 'ALTER TABLE docs ALTER id TYPE bigint'),
	(false, 'ALTER DOMAIN plain ADD CHECK (length(VALUE) > 0)'),
	(false, 'CREATE TRIGGER t BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
	(false, 'CREATE POLICY p ON docs AS RESTRICTIVE USING (spy(body) <> '''')'),
	(false, 'CREATE VIEW v AS SELECT spy(body) FROM docs'),
	(false, 'CREATE OR REPLACE FUNCTION number() RETURNS int LANGUAGE sql VOLATILE AS ''SELECT 8'''),
	(false, 'CREATE INDEX ON free (spy(body))'),
	(false, 'ALTER TABLE free ADD CHECK (spy(body) <> '''')'),
	(false, 'ALTER TABLE free ALTER body TYPE text USING spy(body)'),
	(false, 'CREATE TABLE made (id int, body text CHECK (spy(body) <> ''''), loud text GENERATED ALWAYS AS (upright(body)) STORED)'),
	(false, 'REINDEX TABLE docs'),
	(false, 'ALTER EXTENSION hstore UPDATE');
GRANT SELECT ON commands TO regress_own_owner;
-- no WARNING: nothing was seen
SELECT own, refusal(command), count(*) FROM commands GROUP BY 1, 2 ORDER BY 1, 2;
SELECT command, refusal(command) FROM commands WHERE (refusal(command) = 'ddl_refused') <> own ORDER BY id;
SET ROLE regress_own_owner;
SELECT own, refusal(command), count(*) FROM commands WHERE command NOT LIKE '%EXTENSION%' GROUP BY 1, 2 ORDER BY 1, 2;
CREATE INDEX ON docs (spy(body));
ALTER TABLE docs ALTER body TYPE text USING spy(body);
RESET ROLE;
BEGIN; SELECT FROM tenantguard.begin_bypass('reviewed');
SET LOCAL client_min_messages = error;
SELECT own, refusal(command), count(*) FROM commands GROUP BY 1, 2 ORDER BY 1, 2;
CREATE INDEX docs_upright ON docs (upright(body));
COMMIT;
-- What was let in serves, and is not replaced.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO docs (id, body) VALUES (3, 'mine'); INSERT INTO olds (id, body) VALUES (1, 'mine') RETURNING loud; COMMIT;
ANALYZE docs;
REINDEX INDEX docs_upright;
CREATE OR REPLACE FUNCTION upright(value text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT value';
DROP INDEX docs_upright;
ALTER TABLE olds DROP COLUMN loud;
CREATE OR REPLACE FUNCTION upright(value text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT value';
-- reported: it sees them
SET tenantguard.enforce = log;
CREATE INDEX docs_spy ON docs (spy(body));
RESET tenantguard.enforce;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA own CASCADE;
DROP EXTENSION hstore;
DROP ROLE regress_own_owner;
