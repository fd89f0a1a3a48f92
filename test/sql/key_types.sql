-- key_types.sql: tenants keyed by every type that can hold one, and columns
-- of several types in one database. Each is read, written and prepared for.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_key_types_app;
CREATE SCHEMA key_types;
GRANT USAGE ON SCHEMA key_types TO regress_key_types_app;
SET search_path = key_types, public;
CREATE DOMAIN int4_key AS int CHECK (VALUE > 0);
CREATE DOMAIN int8_key AS bigint;
CREATE DOMAIN uuid_key AS uuid;
CREATE DOMAIN text_key AS text;
CREATE DOMAIN varchar_key AS varchar(40);
CREATE DOMAIN domain_key AS varchar_key;

-- For one type: a registry keyed by it and a table, a tenant "own" and a
-- tenant "other"; what was seen and what was refused, as one line.
CREATE FUNCTION try_type(type text, own text, other text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := type || ':';
	n bigint;
	t text;
	way text;
BEGIN
	EXECUTE format('CREATE TABLE key_types."Orgs" ("orgId" %s PRIMARY KEY)', type);
	EXECUTE format('CREATE TABLE key_types."Tickets" (id int, "orgId" %s NOT NULL REFERENCES key_types."Orgs", title text, PRIMARY KEY ("orgId", id))', type);
	EXECUTE format('INSERT INTO key_types."Orgs" VALUES (%L), (%L)', own, other);
	EXECUTE format('INSERT INTO key_types."Tickets" SELECT i, o."orgId", ''t'' FROM key_types."Orgs" AS o, generate_series(1, 4) AS i');
	PERFORM tenantguard.adopt_registry('key_types."Orgs"', 'orgId');
	PERFORM tenantguard.protect('key_types."Tickets"');
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA key_types TO regress_key_types_app;
	PERFORM set_config('app.current_org_id', own, true);
	FOREACH way IN ARRAY '{superuser,regress_key_types_app}'::text[] LOOP
		EXECUTE format('SET LOCAL ROLE %I', CASE way WHEN 'superuser' THEN session_user ELSE way END);
		EXECUTE 'SELECT count(*) FROM key_types."Tickets"' INTO n;
		EXECUTE format('SELECT %L || count(*) FROM key_types."Tickets" WHERE "orgId" = $1::%s', n || ' own, foreign ', type) INTO t USING other;
		result := result || ' reads ' || t;
		EXECUTE 'INSERT INTO key_types."Tickets" (id) VALUES (10) RETURNING "orgId"::text' INTO t;
		result := result || CASE WHEN t = own THEN ', fills in' ELSE ', LOST' END;
		EXECUTE format('INSERT INTO key_types."Tickets" (id, "orgId") VALUES (11, %L), (12, NULL)', own);
		EXECUTE format('INSERT INTO key_types."Tickets" (id, "orgId") VALUES (13, $1::text::%s)', type) USING own;
		BEGIN
			EXECUTE format('INSERT INTO key_types."Tickets" (id, "orgId") VALUES (13, %L)', other);
			result := result || ', INSERT LEAKS';
		EXCEPTION WHEN insufficient_privilege THEN result := result || ', insert refused';
		END;
		BEGIN
			EXECUTE format('INSERT INTO key_types."Tickets" (id, "orgId") VALUES (13, $1::text::%s)', type) USING other;
			result := result || ', INSERT LEAKS';
		EXCEPTION WHEN insufficient_privilege THEN result := result || ', also with a parameter';
		END;
		BEGIN
			EXECUTE format('UPDATE key_types."Tickets" SET "orgId" = %L', other);
			result := result || ', UPDATE LEAKS';
		EXCEPTION WHEN insufficient_privilege THEN result := result || ', update refused';
		END;
		EXECUTE format('UPDATE key_types."Tickets" SET title = ''u'' WHERE "orgId" IN (%L, %L)', own, other);
		GET DIAGNOSTICS n = ROW_COUNT;
		result := result || ', updates ' || n;
		EXECUTE 'DELETE FROM key_types."Tickets" WHERE id >= 10';
		GET DIAGNOSTICS n = ROW_COUNT;
		result := result || ', deletes ' || n || ';';
	END LOOP;
	RESET ROLE;
	RETURN result;
END $$;
\pset tuples_only on
BEGIN; SELECT try_type('int', '1', '2'); ROLLBACK;
BEGIN; SELECT try_type('bigint', '9223372036854775807', '-9223372036854775808'); ROLLBACK;
BEGIN; SELECT try_type('uuid', 'c56a4180-65aa-42ec-a945-5fd21dec0538', '00000000-0000-0000-0000-000000000000'); ROLLBACK;
BEGIN; SELECT try_type('text', 'acme', 'Acme'); ROLLBACK;
BEGIN; SELECT try_type('text', 'o''brien "&" co', 'x'); ROLLBACK;
BEGIN; SELECT try_type('varchar(20)', 'acme', 'acme2'); ROLLBACK;
BEGIN; SELECT try_type('varchar', 'acme', 'acme2'); ROLLBACK;
BEGIN; SELECT try_type('int4_key', '1', '2'); ROLLBACK;
BEGIN; SELECT try_type('int8_key', '1', '2'); ROLLBACK;
BEGIN; SELECT try_type('uuid_key', 'c56a4180-65aa-42ec-a945-5fd21dec0538', '00000000-0000-0000-0000-000000000000'); ROLLBACK;
BEGIN; SELECT try_type('text_key', 'acme', 'Acme'); ROLLBACK;
BEGIN; SELECT try_type('varchar_key', 'acme', 'Acme'); ROLLBACK;
BEGIN; SELECT try_type('domain_key', 'acme', 'Acme'); ROLLBACK;
BEGIN; SELECT try_type('text COLLATE "C"', 'acme', 'Acme'); ROLLBACK;
\pset tuples_only off
-- Types that cannot hold a tenant are refused in words.
CREATE TABLE odd (c char(5), n numeric, j jsonb, s smallint, d date);
SELECT tenantguard.protect('odd', 'c');
SELECT tenantguard.protect('odd', 'n');
SELECT tenantguard.protect('odd', 's');
SELECT tenantguard.protect('odd', 'nothing');

-- Several types beside each other: text and int8 columns for an int4 registry.
CREATE TABLE orgs (id int PRIMARY KEY);
CREATE TABLE small (org_id int NOT NULL, v int);
CREATE TABLE big (org_id bigint NOT NULL, v int);
CREATE TABLE words (org_id varchar(10) NOT NULL, v int);
CREATE INDEX ON small (org_id);
CREATE INDEX ON big (org_id);
CREATE INDEX ON words (org_id);
INSERT INTO orgs VALUES (1), (2);
INSERT INTO small SELECT id, id FROM orgs;
INSERT INTO big SELECT id, id FROM orgs;
INSERT INTO words SELECT id, id FROM orgs;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('small', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('big', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('words', 'org_id');
CREATE TABLE wrong (org_id uuid NOT NULL);
SELECT tenantguard.protect('wrong', 'org_id');
PREPARE all_of_them AS SELECT s.org_id AS small, b.org_id AS big, w.org_id AS words FROM small AS s, big AS b, words AS w;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE all_of_them; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE all_of_them;
INSERT INTO small (v) VALUES (3) RETURNING *;
INSERT INTO big (v) VALUES (3) RETURNING *;
INSERT INTO words (v) VALUES (3) RETURNING *;
COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA key_types CASCADE;
DROP ROLE regress_key_types_app;
