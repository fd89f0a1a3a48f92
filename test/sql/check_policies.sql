-- check_policies.sql: what check() says of policies: ours, the user's beside
-- them, and those written by hand. Each rule is broken, found and fixed.
SET client_min_messages = error;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_check_owner;
CREATE SCHEMA "Check It" AUTHORIZATION regress_check_owner;
SET search_path = "Check It", public;
SET ROLE regress_check_owner;
CREATE TABLE "Orgs" (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active');
CREATE TABLE "Tickets" ("orgId" bigint NOT NULL REFERENCES "Orgs", id bigint, PRIMARY KEY ("orgId", id));
CREATE TABLE texts ("orgId" varchar(20) NOT NULL, a int);
CREATE TABLE "Colours" ("orgId" bigint REFERENCES "Orgs", name text);
CREATE TABLE countries (code text PRIMARY KEY);
CREATE TABLE "Events" ("orgId" bigint NOT NULL REFERENCES "Orgs") PARTITION BY HASH ("orgId");
CREATE TABLE "Events 0" PARTITION OF "Events" FOR VALUES WITH (MODULUS 1, REMAINDER 0);
RESET ROLE;
\pset format unaligned
\pset tuples_only on
CREATE TEMP VIEW found AS
	SELECT code, object, detail, fix FROM tenantguard.check('"Check It"') WHERE code LIKE 'TG2%';
CREATE TEMP VIEW fixes AS SELECT fix FROM found WHERE fix IS NOT NULL;
SELECT tenantguard.adopt_registry('"Orgs"', 'id', 'status') \g /dev/null
SELECT tenantguard.protect('"Tickets"') \g /dev/null
SELECT tenantguard.protect('texts', 'orgId') \g /dev/null
SELECT tenantguard.protect('"Colours"', shared_rows => true) \g /dev/null
SELECT tenantguard.share('countries') \g /dev/null
SELECT tenantguard.protect('"Events"') \g /dev/null
-- In order.
TABLE found;

-- TG201: policies that are gone.
BEGIN;
SELECT tenantguard.begin_bypass('break');
DROP POLICY tenantguard_tenant ON "Tickets";
DROP POLICY tenantguard_delete ON "Colours";
DROP POLICY tenantguard_insert ON countries;
DROP POLICY tenantguard_update ON countries;
DROP POLICY tenantguard_tenant ON "Events 0";
COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG202: policies that say something else.
BEGIN;
SELECT tenantguard.begin_bypass('break');
ALTER POLICY tenantguard_tenant ON "Tickets" USING (tenantguard.visible("orgId") OR id = 0);
ALTER POLICY tenantguard_tenant ON "Colours" WITH CHECK (tenantguard.visible_or_shared("orgId"));
ALTER POLICY tenantguard_tenant ON texts TO regress_check_owner;
DROP POLICY tenantguard_tenant ON "Events 0";
CREATE POLICY tenantguard_tenant ON "Events 0" USING (tenantguard.visible("orgId")) WITH CHECK (tenantguard.visible("orgId"));
ALTER POLICY tenantguard_delete ON countries USING (true);
ALTER POLICY tenantguard_update ON "Colours" USING (true);
COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG203: nobody gets in. TG204: everybody does, whatever the user wrote.
BEGIN; SELECT tenantguard.begin_bypass('break'); DROP POLICY tenantguard_partner ON "Tickets"; COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
BEGIN;
SELECT tenantguard.begin_bypass('break');
CREATE POLICY "Even Ones" ON "Tickets" USING (id % 2 = 0);
CREATE POLICY tenantguard_partner ON "Tickets" USING (tenantguard.any_row());
COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;

-- TG205, TG208: what the user's policies leave open, and out. Policies of a
-- role alone, and an INSERT that is checked, say something.
DROP POLICY "Even Ones" ON "Tickets";
CREATE POLICY "All" ON "Tickets" FOR SELECT USING (true);
CREATE POLICY "Owner" ON "Tickets" FOR DELETE TO regress_check_owner USING (true);
TABLE found;
CREATE POLICY more ON "Tickets" FOR UPDATE USING (id > 0);
CREATE POLICY most ON "Tickets" FOR INSERT WITH CHECK (id > 0);
ALTER POLICY "All" ON "Tickets" USING (id >= 0);
TABLE found;

-- TG206, TG207, TG213: what a condition asks.
CREATE FUNCTION "Is Even"(n bigint) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT n % 2 = 0';
CREATE POLICY asks ON "Tickets" AS RESTRICTIVE USING (id::text <> current_setting('app.not this', true));
CREATE POLICY calls ON "Tickets" AS RESTRICTIVE FOR SELECT USING ("Is Even"(id));
CREATE POLICY reads ON "Tickets" AS RESTRICTIVE FOR SELECT USING (EXISTS (SELECT FROM "Colours" AS c WHERE c."orgId" = id));
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
DROP POLICY asks ON "Tickets"; DROP POLICY reads ON "Tickets";
TABLE found;

-- TG209 to TG212: row security written by hand, where nothing is recorded.
CREATE TABLE "By Hand" ("orgId" bigint NOT NULL REFERENCES "Orgs", a int);
CREATE TABLE "Off" ("orgId" bigint NOT NULL REFERENCES "Orgs", a int);
CREATE TABLE "Empty" (a int);
CREATE TABLE "Narrow" (a int);
ALTER TABLE "By Hand" OWNER TO regress_check_owner;
ALTER TABLE "Off" OWNER TO regress_check_owner;
ALTER TABLE "By Hand" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Empty" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Narrow" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "Narrow" FORCE ROW LEVEL SECURITY;
CREATE POLICY narrows ON "Narrow" AS RESTRICTIVE USING (a > 0);
CREATE POLICY look ON "By Hand" FOR SELECT USING ("orgId" = current_setting('app.current_org_id')::bigint);
CREATE POLICY "write" ON "By Hand" FOR INSERT WITH CHECK (true);
CREATE POLICY look ON "Off" USING ("orgId" = 1);
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
SELECT fix FROM fixes \gexec
ALTER POLICY "write" ON "By Hand" WITH CHECK ("orgId" = 1);
DROP POLICY look ON "By Hand";
SELECT tenantguard.exempt('"Empty"', 'test') \g /dev/null
CREATE POLICY lets ON "Narrow" USING (a < 9);
ALTER TABLE "Empty" DISABLE ROW LEVEL SECURITY;
TABLE found;

-- TG214: the record was lost, the policies were not; or a decision was made
-- past them. TG215: a policy that only sounds like ours.
BEGIN;
SELECT tenantguard.begin_bypass('break');
SELECT tenantguard.forget_relation('texts');
SELECT tenantguard.forget_relation('countries');
SELECT tenantguard.record_relation('"Colours"', 'exempt', NULL, 'test', NULL);
CREATE POLICY "tenantguard_Extra" ON "Events" FOR SELECT USING (true);
COMMIT;
TABLE found;
SELECT fix FROM fixes \gexec
-- Now that it is the user's, it counts.
TABLE found;
SELECT fix FROM fixes \gexec
DROP POLICY "Extra" ON "Events";
TABLE found;
SELECT fix FROM fixes \gexec
TABLE found;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA "Check It" CASCADE;
DROP ROLE regress_check_owner;
