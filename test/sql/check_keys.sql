-- check_keys.sql: what check() finds about keys and indexes, that its fix cures
-- it, and that a sound schema has none of it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_check_keys_owner;
CREATE ROLE regress_check_keys_other;
CREATE SCHEMA sound AUTHORIZATION regress_check_keys_owner;
CREATE SCHEMA "Key Schema" AUTHORIZATION regress_check_keys_owner;
SET search_path = "Key Schema", public;
SET ROLE regress_check_keys_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY, slug text UNIQUE);
INSERT INTO orgs VALUES (1, 'a'), (2, 'b');
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
-- Both kinds of finding at once, without what depends on the server.
CREATE TEMP VIEW found AS
	SELECT f.code, r.severity, f.object, f.detail, f.fix
	FROM (
		SELECT * FROM tenantguard.check_foreign_keys('"Key Schema"')
		UNION ALL SELECT * FROM tenantguard.check_unique_keys('"Key Schema"')
		UNION ALL SELECT * FROM tenantguard.check_indexes('"Key Schema"')
	) AS f JOIN tenantguard.check_rule AS r USING (code);
GRANT SELECT ON found TO PUBLIC;
SET ROLE regress_check_keys_owner;

-- A sound schema: nothing to say.
CREATE TABLE sound.tickets (org_id bigint NOT NULL REFERENCES orgs, id bigint GENERATED ALWAYS AS IDENTITY, title text, PRIMARY KEY (org_id, id), UNIQUE (org_id, title));
CREATE TABLE sound.comments (org_id bigint NOT NULL REFERENCES orgs, id bigint NOT NULL, ticket bigint, PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, ticket) REFERENCES sound.tickets ON DELETE SET NULL (ticket));
CREATE INDEX ON sound.comments (ticket);
CREATE TABLE sound.parts (org_id bigint NOT NULL REFERENCES orgs, id bigint NOT NULL, PRIMARY KEY (org_id, id)) PARTITION BY HASH (org_id);
CREATE TABLE sound.parts_0 PARTITION OF sound.parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT relation, action FROM tenantguard.protect_all('sound');
SELECT * FROM tenantguard.check_foreign_keys('sound');
SELECT * FROM tenantguard.check_unique_keys('sound');
SELECT * FROM tenantguard.check_indexes('sound');
SELECT * FROM found;

-- Foreign keys of a single column.
CREATE TABLE tickets (org_id bigint NOT NULL REFERENCES orgs, id bigint NOT NULL, a int NOT NULL, b int NOT NULL, PRIMARY KEY (org_id, id), UNIQUE (org_id, a, b));
ALTER TABLE tickets ADD CONSTRAINT id_alone UNIQUE (id), ADD CONSTRAINT pair_alone UNIQUE (a, b);
CREATE TABLE "No Key" (org_id bigint NOT NULL REFERENCES orgs, "Id" int PRIMARY KEY);
CREATE TABLE "Camel Case" ("orgId" int NOT NULL REFERENCES orgs, id int PRIMARY KEY, "Ticket" bigint, plain bigint, a int, b int, n1 int, n2 int);
ALTER TABLE "Camel Case"
	ADD CONSTRAINT "Goes With" FOREIGN KEY ("Ticket") REFERENCES tickets (id) ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
	ADD CONSTRAINT plain FOREIGN KEY (plain) REFERENCES tickets (id),
	ADD CONSTRAINT full_pair FOREIGN KEY (a, b) REFERENCES tickets (a, b) MATCH FULL,
	ADD CONSTRAINT n1 FOREIGN KEY (n1) REFERENCES "No Key" ON DELETE CASCADE,
	ADD CONSTRAINT n2 FOREIGN KEY (n2) REFERENCES "No Key" ON DELETE RESTRICT;
CREATE TABLE parted (org_id bigint NOT NULL REFERENCES orgs, id int, n1 int CONSTRAINT parted_n1 REFERENCES "No Key" ON DELETE CASCADE, PRIMARY KEY (org_id, id)) PARTITION BY HASH (org_id);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('parted');
INSERT INTO tickets VALUES (1, 10, 1, 1), (2, 20, 2, 2);
INSERT INTO "Camel Case" VALUES (1, 1, 10, 10, 1, 1), (2, 2, 20, 20, 2, 2);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('tickets');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('"No Key"');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('"Camel Case"');
-- What they are about: a row of tenant 1 points at a ticket of tenant 2, and
-- changes with it. The library lets that happen under a bypass only.
BEGIN; SELECT FROM tenantguard.begin_bypass('cross'); UPDATE "Camel Case" SET "Ticket" = 20, plain = NULL, a = NULL, b = NULL WHERE id = 1 RETURNING id; SET CONSTRAINTS ALL IMMEDIATE; COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('cross'); UPDATE "Camel Case" SET "Ticket" = NULL, plain = NULL, a = NULL, b = NULL WHERE id = 2; DELETE FROM tickets WHERE id = 20 RETURNING id; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT id, "Ticket" FROM "Camel Case"; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO tickets (id, a, b) VALUES (20, 2, 2); COMMIT;
\x
SELECT * FROM found WHERE code IN ('TG501', 'TG502') ORDER BY code, object COLLATE "C";
\x
-- The fix is a line for psql. Each key after the one before, as several want
-- the same index.
CREATE FUNCTION pg_temp.steps(fix text) RETURNS SETOF text LANGUAGE plpgsql AS
	$$ BEGIN RETURN QUERY EXECUTE regexp_replace(fix, ' \\gexec$', ''); END $$;
CREATE TEMP VIEW first_steps AS
	SELECT s.statement FROM (SELECT fix FROM found WHERE code IN ('TG501', 'TG502', 'TG509') AND fix IS NOT NULL ORDER BY code, object COLLATE "C" LIMIT 1) AS f
	CROSS JOIN LATERAL pg_temp.steps(f.fix) WITH ORDINALITY AS s (statement, n) WHERE s.statement !~ 'require_no_crossing' ORDER BY s.n;
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT code, object FROM found WHERE code IN ('TG501', 'TG502');
SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '"Camel Case"'::regclass AND contype = 'f' ORDER BY conname;
-- What could be pointed at before is refused now.
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE "Camel Case" SET plain = 20 WHERE id = 1; ROLLBACK;

-- Keys that nobody checks.
CREATE TABLE late (org_id bigint NOT NULL, id int NOT NULL, ticket bigint, PRIMARY KEY (org_id, id));
ALTER TABLE late ADD CONSTRAINT late_fk FOREIGN KEY (org_id, ticket) REFERENCES tickets (org_id, id) NOT VALID;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('late', 'org_id');
SELECT code, severity, object, detail, fix FROM found WHERE code = 'TG503';
SELECT fix FROM found WHERE code = 'TG503' \gexec
SELECT code, object FROM found WHERE code = 'TG503';
-- PostgreSQL 18 has keys that are declared only.
CREATE FUNCTION pg_temp.at_18(statement text) RETURNS boolean LANGUAGE plpgsql AS
	'BEGIN IF current_setting(''server_version_num'')::int >= 180000 THEN EXECUTE statement; END IF; RETURN true; END';
SELECT pg_temp.at_18('ALTER TABLE late ALTER CONSTRAINT late_fk NOT ENFORCED');
SELECT count(*) = (current_setting('server_version_num')::int >= 180000)::int AS told FROM found WHERE code = 'TG504' AND object = 'late_fk on "Key Schema".late';
SELECT COALESCE(bool_and(pg_temp.at_18(fix)), true) AS run FROM found WHERE code = 'TG504';
SELECT code, object FROM found WHERE code IN ('TG503', 'TG504');
DROP FUNCTION pg_temp.at_18(text);

-- A second tenant in a row.
ALTER TABLE late ADD COLUMN partner bigint REFERENCES orgs;
SELECT code, severity, object, detail, fix FROM found WHERE code = 'TG505';
ALTER TABLE late DROP COLUMN partner;
SELECT code, object FROM found WHERE code = 'TG505';

-- Keys that empty the tenant column.
CREATE TABLE notes (org_id bigint, id int UNIQUE, ticket bigint, CONSTRAINT notes_fk FOREIGN KEY (org_id, ticket) REFERENCES tickets (org_id, id) ON DELETE SET NULL);
CREATE TABLE templates (org_id bigint CONSTRAINT templates_org REFERENCES orgs ON DELETE SET NULL, id int NOT NULL, name text NOT NULL, UNIQUE (org_id, name));
SELECT count(*) > 0 AS protected FROM tenantguard.protect('notes', 'org_id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('templates', 'org_id', shared_rows => true);
SELECT code, severity, object, detail, fix FROM found WHERE code IN ('TG506', 'TG507') ORDER BY code;
SELECT fix FROM found WHERE code = 'TG507' \gexec
ALTER TABLE templates DROP CONSTRAINT templates_org, ADD CONSTRAINT templates_org FOREIGN KEY (org_id) REFERENCES orgs;
SELECT code, object FROM found WHERE code IN ('TG506', 'TG507');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'notes_fk';

-- From outside: only changes count, not references as such.
CREATE TABLE people (id int PRIMARY KEY);
ALTER TABLE late ADD COLUMN person int CONSTRAINT late_person REFERENCES people ON DELETE CASCADE;
SELECT FROM tenantguard.exempt('people', 'log-in of all tenants');
SELECT code, severity, object, detail, fix FROM found WHERE code = 'TG508';
ALTER TABLE late DROP CONSTRAINT late_person, ADD CONSTRAINT late_person FOREIGN KEY (person) REFERENCES people;
SELECT code, object FROM found WHERE code = 'TG508';

-- Unique keys.
CREATE TABLE users (org_id bigint NOT NULL REFERENCES orgs, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, token uuid UNIQUE, email text, phone text, "Nick" text, UNIQUE (org_id, id));
ALTER TABLE users ADD CONSTRAINT users_phone UNIQUE NULLS NOT DISTINCT (phone) DEFERRABLE;
CREATE UNIQUE INDEX "Users (email)" ON users USING btree (lower(email) DESC) INCLUDE (phone) WHERE email <> '';
CREATE UNIQUE INDEX users_nick ON users ("Nick", org_id);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('users');
SELECT code, severity, object, detail, fix FROM found WHERE code IN ('TG509', 'TG510') ORDER BY code, object COLLATE "C";
-- what is referred to comes after the foreign keys
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT * FROM first_steps \gexec
SELECT code, object FROM found WHERE code = 'TG509';
SELECT pg_get_indexdef(indexrelid) COLLATE "C" AS index FROM pg_index WHERE indrelid = 'users'::regclass ORDER BY 1;
ALTER TABLE users DROP CONSTRAINT users_pkey, DROP CONSTRAINT users_token_key;
SELECT code, object FROM found WHERE code = 'TG510';

-- Exclusion constraints.
RESET ROLE;
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;
SET ROLE regress_check_keys_owner;
CREATE TABLE bookings (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, room int4range, PRIMARY KEY (org_id, id));
ALTER TABLE bookings ADD CONSTRAINT once EXCLUDE USING gist (room WITH &&) WHERE (id > 0), ADD CONSTRAINT apart EXCLUDE USING gist (org_id WITH =, room WITH &&);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('bookings');
SELECT code, severity, object, detail, fix FROM found WHERE code = 'TG511';
SELECT fix FROM found WHERE code = 'TG511' \gexec
SELECT code, object FROM found WHERE code = 'TG511';
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'once';

-- Rows of no tenant.
SELECT code, severity, object, detail, fix FROM found WHERE code = 'TG518';
SELECT fix FROM found WHERE code = 'TG518' \gexec
SELECT code, object FROM found WHERE code = 'TG518';

-- Indexes.
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int, words tsvector, title text, place point);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('docs');
CREATE INDEX docs_words ON docs USING gin (words);
CREATE INDEX "Docs Title" ON docs (lower(title) text_pattern_ops DESC) WHERE id > 0;
CREATE INDEX docs_place ON docs USING gist (place);
CREATE INDEX docs_plain ON docs (id);
SELECT code, severity, object, detail, fix FROM found WHERE code IN ('TG512', 'TG513') AND object ~ 'docs' ORDER BY code, object COLLATE "C";
SELECT fix FROM found WHERE code = 'TG512' \gexec
SELECT code, object FROM found WHERE code = 'TG512';
CREATE INDEX docs_tenant_title ON docs (org_id, lower(title));
DROP INDEX docs_place, docs_words, "Docs Title";
SELECT code, object FROM found WHERE code IN ('TG512', 'TG513');
-- one that was left half made
ALTER TABLE late ADD COLUMN n int DEFAULT 1;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO late (id) VALUES (1), (2); COMMIT;
\set VERBOSITY sqlstate
CREATE UNIQUE INDEX CONCURRENTLY late_n ON late (org_id, n);
\set VERBOSITY default
SELECT code, severity, object, detail, fix FROM found WHERE code = 'TG514';
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM late; COMMIT;
SELECT fix FROM found WHERE code = 'TG514' \gexec
SELECT code, object FROM found WHERE code = 'TG514';

-- Partitions.
CREATE TABLE events (org_id bigint NOT NULL REFERENCES orgs, at date NOT NULL, id int) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (id);
CREATE INDEX ON events (org_id);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('events');
SELECT code, severity, object, detail, fix FROM found WHERE object ~ 'events';
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01') PARTITION BY HASH (org_id);
SELECT code, object FROM found WHERE object ~ 'events';
-- an index of the parent alone, which no partition has yet
CREATE INDEX half ON ONLY events (id);
SELECT code, object, detail, fix FROM found WHERE code = 'TG514';
DROP INDEX half;

-- Types. int4 below a registry of int8 was seen with "Camel Case".
CREATE TABLE words (org_id text NOT NULL, id int NOT NULL, PRIMARY KEY (org_id, id));
SELECT count(*) > 0 AS protected FROM tenantguard.protect('words', 'org_id');
SELECT code, severity, object, detail, fix FROM found WHERE code IN ('TG516', 'TG517') ORDER BY code;
DROP TABLE words, "Camel Case";
SELECT code, object FROM found WHERE code IN ('TG516', 'TG517');
DROP TABLE "No Key", parted;
SELECT code, object FROM found ORDER BY code, object COLLATE "C";

-- What no catalog says: rows that a constraint does not hold for, though it
-- counts as validated.
CREATE TABLE held (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, ticket bigint, size int, CONSTRAINT held_ticket FOREIGN KEY (org_id, ticket) REFERENCES tickets (org_id, id), CONSTRAINT "Held size" CHECK (size > 0));
CREATE TABLE halves (org_id bigint NOT NULL REFERENCES orgs, id int, size int, CONSTRAINT halves_size CHECK (size > 0)) PARTITION BY RANGE (id);
CREATE TABLE halves_a PARTITION OF halves FOR VALUES FROM (0) TO (10);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('held');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('halves');
SELECT * FROM tenantguard.check_rows('"Key Schema"');
SELECT tenantguard.revalidate('held', 'Held size');
RESET ROLE;
BEGIN; SELECT FROM tenantguard.begin_bypass('look');
SELECT code, severity, object, detail FROM tenantguard.check_rows('"Key Schema"');
ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('as if some rows had been hidden');
ALTER TABLE held DROP CONSTRAINT held_ticket, DROP CONSTRAINT "Held size"; ALTER TABLE halves DROP CONSTRAINT halves_size;
INSERT INTO held VALUES (1, 1, 10, 1), (1, 2, 20, 0), (2, 3, 77, NULL); INSERT INTO halves VALUES (1, 1, 1), (2, 2, -1);
ALTER TABLE held ADD CONSTRAINT held_ticket FOREIGN KEY (org_id, ticket) REFERENCES tickets (org_id, id) NOT VALID, ADD CONSTRAINT "Held size" CHECK (size > 0) NOT VALID;
ALTER TABLE halves ADD CONSTRAINT halves_size CHECK (size > 0) NOT VALID;
UPDATE pg_constraint SET convalidated = true WHERE conname IN ('held_ticket', 'Held size', 'halves_size');
COMMIT;
SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('held_ticket', 'Held size', 'halves_size') ORDER BY conname COLLATE "C", conrelid;
BEGIN; SELECT FROM tenantguard.begin_bypass('look');
SELECT code, severity, object, detail FROM tenantguard.check_rows('"Key Schema"');
SELECT * FROM tenantguard.violating_rows('held', 'held_ticket', 1);
SELECT * FROM tenantguard.violating_rows('held', 'no such');
ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT tenantguard.revalidate('held', 'held_ticket'); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT tenantguard.revalidate('held', 'Held size'); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT tenantguard.revalidate('halves', 'halves_size'); ROLLBACK;
-- accepted, corrected
SELECT tenantguard.suppress_finding('TG520', '"Held size" on "Key Schema".held', 'known');
BEGIN; SELECT FROM tenantguard.begin_bypass('correct');
DELETE FROM halves WHERE id = 2; UPDATE held SET ticket = NULL, size = abs(size - 1) WHERE id > 1;
ALTER TABLE held DROP CONSTRAINT "Held size", ADD CONSTRAINT "Held size" CHECK (size > 1) NOT VALID;
UPDATE pg_constraint SET convalidated = true WHERE conname = 'Held size';
SELECT code, severity, object, detail FROM tenantguard.check_rows('"Key Schema"');
UPDATE held SET size = 2; SELECT tenantguard.revalidate('held', 'Held size');
COMMIT;

-- Whoever may not read a table may ask all the same.
SET ROLE regress_check_keys_other;
SELECT count(*) >= 0 AS works FROM tenantguard.check();
RESET ROLE;
DROP VIEW found, first_steps;
DROP FUNCTION pg_temp.steps(text);
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA sound CASCADE;
DROP SCHEMA "Key Schema" CASCADE;
DROP EXTENSION btree_gist;
DROP ROLE regress_check_keys_owner;
DROP ROLE regress_check_keys_other;
