-- lookups.sql: reading a little before the tenant is known: named columns of
-- named rows, and nothing around them.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_lookups_app;
CREATE ROLE regress_lookups_nobody;
CREATE SCHEMA lookups;
SET search_path = lookups, public;
CREATE TABLE orgs (id bigint PRIMARY KEY, host text UNIQUE, secret text);
CREATE TABLE "Members" ("orgId" bigint NOT NULL REFERENCES orgs, "userId" int NOT NULL, email text NOT NULL, password text, PRIMARY KEY ("orgId", "userId"));
CREATE INDEX ON "Members" (email);
INSERT INTO orgs VALUES (1, 'acme.example', 's1'), (2, 'brown.example', 's2'), (3, 'crane.example', 's3');
INSERT INTO "Members" SELECT o, 7, 'eve@example.org', 'p' || o FROM generate_series(1, 3) AS o;
INSERT INTO "Members" VALUES (1, 8, 'bob@example.org', 'pb');
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT relation, action FROM tenantguard.protect_all('lookups');
GRANT USAGE ON SCHEMA lookups TO regress_lookups_app;
GRANT SELECT ON ALL TABLES IN SCHEMA lookups TO regress_lookups_app;

-- Registered by a superuser, with what it may show.
SELECT FROM tenantguard.register_lookup('org_by_host', 'orgs', '{host}', '{id}');
SELECT FROM tenantguard.register_lookup('orgs_of_user', '"Members"', '{email}', '{orgId,userId}', 2);
SELECT FROM tenantguard.register_lookup('member', '"Members"', '{orgId,userId}', '{email}');
SELECT tenantguard.register_lookup('', 'orgs', '{host}', '{id}');
SELECT tenantguard.register_lookup('x', 'orgs', '{}', '{id}');
SELECT tenantguard.register_lookup('x', 'orgs', '{host}', '{}');
SELECT tenantguard.register_lookup('x', 'orgs', '{no_such}', '{id}');
SELECT tenantguard.register_lookup('x', 'orgs', '{host}', '{id}', 0);
SELECT tenantguard.register_lookup('x', 'orgs', '{host}', '{id}', 1001);
SELECT tenantguard.register_lookup('x', 'pg_class', '{relname}', '{oid}');
SELECT FROM tenantguard.register_lookup('unindexed', 'orgs', '{secret}', '{id}');
SELECT FROM tenantguard.drop_lookup('unindexed');
SELECT tenantguard.drop_lookup('unindexed');
SET ROLE regress_lookups_app;
SELECT tenantguard.register_lookup('x', 'lookups.orgs', '{host}', '{secret}');
SELECT tenantguard.drop_lookup('org_by_host');
SELECT * FROM tenantguard.lookup_definition;

-- Found by an exact key, without a tenant; at most so many rows.
SELECT tenantguard.lookup('org_by_host', 'acme.example');
SELECT * FROM tenantguard.lookup('org_by_host', 'nobody.example');
SELECT count(*) FROM tenantguard.lookup('orgs_of_user', 'eve@example.org');
SELECT * FROM tenantguard.lookup('orgs_of_user', 'bob@example.org');
SELECT * FROM tenantguard.lookup('member', '1', '8');
SELECT l ->> 'email' FROM tenantguard.lookup('member', VARIADIC ARRAY['2', '7']) AS l;
-- No patterns, no other columns, no list.
SELECT * FROM tenantguard.lookup('org_by_host', '%');
SELECT * FROM tenantguard.lookup('org_by_host', ''' OR true --');
SELECT * FROM tenantguard.lookup('no_such', 'x');
SELECT * FROM tenantguard.lookup('member', '1');
SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example', 'x');
SELECT * FROM tenantguard.lookup('org_by_host', VARIADIC '{}'::text[]);
SELECT * FROM tenantguard.lookup('org_by_host', VARIADIC ARRAY[NULL]::text[]);
SELECT * FROM tenantguard.lookup('member', 'x', '8');
SELECT count(*) FROM tenantguard.lookup(NULL, 'x');
-- The tables behind it stay closed, before, beside and after.
\set VERBOSITY sqlstate
SELECT * FROM lookups.orgs;
SELECT o.* FROM tenantguard.lookup('org_by_host', 'acme.example') AS l, lookups.orgs AS o;
SELECT * FROM lookups.orgs WHERE id = (SELECT (tenantguard.lookup('org_by_host', 'acme.example') ->> 'id')::bigint);
BEGIN; SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example'); SELECT * FROM lookups.orgs; ROLLBACK;
\set VERBOSITY default
-- It does not fix a tenant; nor is it narrowed by one (switching organizations).
BEGIN;
SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example');
SELECT set_config('app.current_org_id', tenantguard.lookup('org_by_host', 'brown.example') ->> 'id', true);
SELECT "orgId", email FROM lookups."Members";
SELECT * FROM tenantguard.lookup('org_by_host', 'crane.example');
SELECT count(*) FROM lookups."Members";
COMMIT;
RESET ROLE;
-- It runs with the privileges of its caller.
SET ROLE regress_lookups_nobody;
\set VERBOSITY sqlstate
SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example');
RESET ROLE;
GRANT USAGE ON SCHEMA lookups TO regress_lookups_nobody;
GRANT SELECT (id) ON orgs TO regress_lookups_nobody;
SET ROLE regress_lookups_nobody;
SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example');
\set VERBOSITY default
RESET ROLE;

-- What runs inside a look-up is guarded: the user's own policy calls a
-- function that reads another table, and the same one.
CREATE TABLE seen (what text);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION spies() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	BEGIN
		INSERT INTO lookups.seen SELECT 'org ' || id FROM lookups.orgs;
	EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING 'registry: refused';
	END;
	BEGIN
		INSERT INTO lookups.seen SELECT 'member ' || email FROM lookups."Members";
	EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING 'members: refused';
	END;
	RETURN true;
END $$;
CREATE FUNCTION counts() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT count(*) FROM lookups."Members" $$;
SET client_min_messages = notice;
CREATE POLICY spying ON orgs USING (lookups.spies());
SET client_min_messages = warning;
SET ROLE regress_lookups_app;
SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example');
RESET ROLE;
SELECT * FROM seen;
ALTER POLICY spying ON orgs USING (EXISTS (SELECT FROM "Members" AS m WHERE m."orgId" = orgs.id));
SET ROLE regress_lookups_app;
SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example');
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example'); SELECT * FROM tenantguard.lookup('org_by_host', 'brown.example'); COMMIT;
RESET ROLE;
ALTER POLICY spying ON orgs USING (counts() > 0);
SET ROLE regress_lookups_app;
\set VERBOSITY sqlstate
SELECT * FROM tenantguard.lookup('org_by_host', 'acme.example');
\set VERBOSITY default
RESET ROLE;
DROP POLICY spying ON orgs;

-- A column or a table that is gone is an error in words.
ALTER TABLE "Members" RENAME COLUMN email TO mail;
SELECT * FROM tenantguard.lookup('orgs_of_user', 'bob@example.org');
DROP TABLE "Members";
SELECT * FROM tenantguard.lookup('orgs_of_user', 'bob@example.org');
SELECT * FROM tenantguard.lookup('member', '1', '8');

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA lookups CASCADE;
DROP ROLE regress_lookups_app, regress_lookups_nobody;
