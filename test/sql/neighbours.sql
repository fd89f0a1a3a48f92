-- neighbours.sql: keys that do not hold the tenant. No row refers to another
-- tenant's, no cascade reaches one, and no error shows one.
SET client_min_messages = error;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_neighbours_app;
CREATE SCHEMA next;
SET search_path = next, public;
CREATE TABLE orgs (id bigint PRIMARY KEY, partner bigint REFERENCES orgs);
CREATE TABLE posts (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, above bigint REFERENCES posts ON DELETE CASCADE, slug text UNIQUE, code varchar(9) UNIQUE, x int, y int, UNIQUE (x, y));
CREATE INDEX ON posts (org_id);
CREATE TABLE plain (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, post bigint REFERENCES posts, payee bigint REFERENCES orgs);
CREATE TABLE later (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, post int REFERENCES posts DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE goes (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, post bigint REFERENCES posts ON DELETE CASCADE ON UPDATE CASCADE, secret text);
CREATE TABLE empties (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, post bigint NOT NULL REFERENCES posts ON DELETE SET NULL);
CREATE TABLE resets (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, post bigint DEFAULT 10 REFERENCES posts ON DELETE SET DEFAULT);
CREATE TABLE holds (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, post bigint REFERENCES posts);
CREATE TABLE strict (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, post bigint REFERENCES posts ON DELETE RESTRICT);
CREATE DOMAIN word AS text;
CREATE TABLE words (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, slug word REFERENCES posts (slug), code varchar REFERENCES posts (code));
CREATE TABLE pairs (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, x int, y int, FOREIGN KEY (x, y) REFERENCES posts (x, y));
CREATE TABLE fulls (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, x int, y int, FOREIGN KEY (x, y) REFERENCES posts (x, y) MATCH FULL ON UPDATE SET NULL);
CREATE TABLE lists (id bigint PRIMARY KEY, name text);
CREATE TABLE lent (id bigint PRIMARY KEY, org_id bigint REFERENCES orgs);
CREATE TABLE tips (id bigint PRIMARY KEY, org_id bigint REFERENCES orgs, post bigint REFERENCES posts ON DELETE CASCADE);
CREATE TABLE uses (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, list bigint REFERENCES lists, lent bigint REFERENCES lent);
CREATE TABLE noted (id bigint PRIMARY KEY, post bigint REFERENCES posts);
CREATE TABLE people (id bigint PRIMARY KEY);
CREATE TABLE said (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, who bigint REFERENCES people ON DELETE CASCADE);
INSERT INTO orgs VALUES (1), (2), (3);
INSERT INTO posts SELECT o * 10 + i, o, NULL, 'slug ' || o * 10 + i, 'c' || o * 10 + i, o, i FROM generate_series(1, 3) AS o, generate_series(0, 3) AS i;
INSERT INTO lists VALUES (1, 'for all');
INSERT INTO lent VALUES (1, 1), (2, 2), (3, NULL);
INSERT INTO people VALUES (1), (2);
GRANT USAGE ON SCHEMA next TO regress_neighbours_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA next TO regress_neighbours_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA next GRANT SELECT, UPDATE ON TABLES TO regress_neighbours_app;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('lent', shared_rows => true) AS a, tenantguard.protect('tips', shared_rows => true) AS b;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('plain', 'org_id');
SELECT count(*) AS protected FROM tenantguard.protect_all('next') WHERE action = 'protected';
SELECT count(*) > 0 AS shared FROM tenantguard.share('lists');
SELECT FROM tenantguard.exempt('noted', 'a log of all') AS a, tenantguard.exempt('people', 'they work for several') AS b;

-- Another tenant's row, and none: the same words, to the role of the
-- application and to a superuser.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO plain (id, post) VALUES (1, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO plain (id, post) VALUES (1, 99); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_neighbours_app; INSERT INTO plain (id, post) VALUES (1, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_neighbours_app; INSERT INTO plain (id, post) VALUES (1, 99); ROLLBACK;
\set VERBOSITY terse
SET client_min_messages = warning;
DO $$ DECLARE d text[] = '{}'; s text; t text; c text; m text; n text; BEGIN
	PERFORM set_config('app.current_org_id', '1', true);
	FOREACH m IN ARRAY '{21,99}'::text[] LOOP
		BEGIN
			EXECUTE 'INSERT INTO next.plain (id, post) VALUES (1, ' || m || ')';
		EXCEPTION WHEN foreign_key_violation THEN
			GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME, c = CONSTRAINT_NAME, n = MESSAGE_TEXT;
			d := d || concat_ws(' ', s, t, c, n);
		END;
	END LOOP;
	RAISE WARNING '%, the same: %', d[1], d[1] = d[2];
END $$;
\set VERBOSITY sqlstate

-- Every way to write one: UPDATE, MERGE, ON CONFLICT, a function, a cursor's
-- row, other types, several columns, a row of its own table, COPY.
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO plain (id, post) VALUES (1, 11), (2, NULL);
SAVEPOINT s;
UPDATE plain SET post = 21;
ROLLBACK TO s;
MERGE INTO plain USING (VALUES (1, 21)) AS v (id, post) ON v.id = plain.id WHEN MATCHED THEN UPDATE SET post = v.post;
ROLLBACK TO s;
INSERT INTO plain (id, post) VALUES (1, 11) ON CONFLICT (id) DO UPDATE SET post = 21;
ROLLBACK TO s;
CREATE FUNCTION pg_temp.writes(bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO next.plain (id, post) VALUES ($1, $1); END $$;
SELECT pg_temp.writes(11), pg_temp.writes(12);
SELECT pg_temp.writes(21);
ROLLBACK TO s;
INSERT INTO words (id, slug) VALUES (1, 'slug 11');
INSERT INTO words (id, code) VALUES (2, 'c11');
INSERT INTO words (id, slug) VALUES (3, 'slug 21');
ROLLBACK TO s;
INSERT INTO words (id, code) VALUES (3, 'c21');
ROLLBACK TO s;
INSERT INTO pairs (id, x, y) VALUES (1, 1, 1), (2, 2, NULL), (3, NULL, 1);
INSERT INTO pairs (id, x, y) VALUES (4, 2, 1);
ROLLBACK TO s;
INSERT INTO fulls (id, x, y) VALUES (1, 1, 1), (2, NULL, NULL);
INSERT INTO fulls (id, x, y) VALUES (4, 2, 1);
ROLLBACK TO s;
UPDATE posts SET above = 12 WHERE id = 11;
UPDATE posts SET above = 21 WHERE id = 12;
ROLLBACK TO s;
INSERT INTO posts (id, above) VALUES (101, 101), (102, 101);
COPY plain (id, post) FROM stdin;
3	12
\.
COPY plain (id, post) FROM stdin;
4	21
\.
ROLLBACK TO s;
COPY later (id, post) FROM stdin;
4	21
\.
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO s;
CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
SELECT id, org_id, post FROM plain ORDER BY id;
ROLLBACK;
CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER keeps BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION keeps();
BEGIN; SET LOCAL app.current_org_id = '1';
COPY plain (id, post) FROM stdin;
3	12
\.
COPY plain (id, post) FROM stdin;
4	21
\.
ROLLBACK;
DROP TRIGGER keeps ON plain;

-- The server keeps the plan of each key: across tenants, bypasses and roles.
PREPARE plain AS INSERT INTO plain (id, post) VALUES ($1, $2);
BEGIN; SELECT FROM tenantguard.begin_bypass('tenant after tenant');
DO $$ BEGIN
	FOR i IN 1..8 LOOP
		PERFORM tenantguard.enter(1 + i % 2);
		BEGIN
			INSERT INTO next.plain (id, post) VALUES (i, 11);
			RAISE WARNING '% refers to 11', 1 + i % 2;
		EXCEPTION WHEN foreign_key_violation THEN NULL;
		END;
	END LOOP;
	PERFORM tenantguard.enter(NULL);
	INSERT INTO next.plain (id, org_id, post) VALUES (9, 2, 11);
	DELETE FROM next.plain;
END $$;
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE plain(1, 11); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE plain(2, 11); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE plain(3, 21); COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('a row that crosses'); INSERT INTO plain VALUES (12, 2, 12); DELETE FROM plain; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE plain(4, 21); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE plain(5, 11); DELETE FROM plain; COMMIT;

-- Deferred: at COMMIT; the tenant cannot be taken away before.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later (id, post) VALUES (1, 11); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later (id, post) VALUES (2, 21); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO later (id, post) VALUES (2, 21); RESET app.current_org_id; COMMIT;
BEGIN; SAVEPOINT s; SET LOCAL app.current_org_id = '1'; INSERT INTO later (id, post) VALUES (2, 21); RELEASE s; RESET ALL; COMMIT;
SET search_path = next, public;
SET client_min_messages = warning;
-- Under a bypass a transaction leaves the checks of several tenants to its end.
BEGIN; SELECT FROM tenantguard.begin_bypass('tenant after tenant');
SELECT FROM tenantguard.enter(1); INSERT INTO later (id, post) VALUES (3, 12);
SELECT FROM tenantguard.enter(2); INSERT INTO later (id, post) VALUES (4, 22);
COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('and ends'); INSERT INTO later VALUES (5, 2, 22); SELECT tenantguard.end_bypass(); SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM later; COMMIT;
-- one at a time
BEGIN; SELECT FROM tenantguard.begin_bypass('tenant after tenant'); SELECT FROM tenantguard.enter(1); INSERT INTO plain (id, post) VALUES (6, 21); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('tenant after tenant'); SELECT FROM tenantguard.enter(1);
COPY plain (id, post) FROM stdin;
6	21
\.
ROLLBACK;

-- Rows of no tenant, shared tables and the registry may be referred to.
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO uses (id, list, lent) VALUES (1, 1, 1), (2, 1, 3);
INSERT INTO plain (id, payee) VALUES (20, 2);
UPDATE orgs SET partner = 2;
SAVEPOINT s;
INSERT INTO uses (id, lent) VALUES (3, 2);
ROLLBACK TO s;
-- A table without a tenant refers as the tenant does.
INSERT INTO noted VALUES (1, 11);
INSERT INTO noted VALUES (2, 21);
ROLLBACK;
INSERT INTO noted VALUES (2, 21);

-- Rows that cross already, made under a bypass.
BEGIN; SELECT FROM tenantguard.begin_bypass('an old mistake');
INSERT INTO goes VALUES (1, 1, 11, 'mine'), (2, 2, 11, 'the secret of org 2'), (3, 1, 12, 'mine');
INSERT INTO resets VALUES (1, 1, 12), (2, 2, 12);
INSERT INTO empties VALUES (2, 2, 13);
INSERT INTO holds VALUES (2, 2, 10);
INSERT INTO strict VALUES (1, 1, 22);
INSERT INTO fulls VALUES (2, 2, 3, 0);
INSERT INTO said VALUES (1, 1, 1), (2, 2, 1), (3, 1, 2);
INSERT INTO tips VALUES (1, NULL, 23), (2, 2, 23);
COMMIT;
\set VERBOSITY default
-- A cascade is refused before a trigger sees the row.
CREATE FUNCTION sees() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'saw %', OLD.secret; RETURN OLD; END $$;
CREATE TRIGGER sees BEFORE DELETE OR UPDATE ON goes FOR EACH ROW EXECUTE FUNCTION sees();
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM posts WHERE id = 11; ROLLBACK;
\set VERBOSITY terse
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE posts SET id = 100 WHERE id = 11; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM posts WHERE id = 12; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '3'; UPDATE posts SET x = 0 WHERE id = 30; ROLLBACK;
-- rows of no tenant are everybody's
BEGIN; SET LOCAL app.current_org_id = '2'; DELETE FROM posts WHERE id = 23; ROLLBACK;
\set VERBOSITY default
-- NOT NULL would show the failing row, the server's own check shows the key.
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM posts WHERE id = 13; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM posts WHERE id = 10; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_neighbours_app; DELETE FROM posts WHERE id = 10; ROLLBACK;
DO $$ BEGIN
	PERFORM set_config('app.current_org_id', '2', true);
	DELETE FROM next.posts WHERE id = 22;
EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN
	RAISE WARNING 'RESTRICT holds';
END $$;
\set VERBOSITY sqlstate
-- From a table that is not guarded: own rows go, others do not, and none
-- without a tenant.
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM people WHERE id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM people WHERE id = 1; ROLLBACK;
DELETE FROM people WHERE id = 1;
-- Through a level of the tenant's own.
BEGIN; SELECT FROM tenantguard.begin_bypass('a thread'); UPDATE posts SET above = 33 WHERE id = 32; UPDATE posts SET above = 32 WHERE id = 20; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; DELETE FROM posts WHERE id = 33; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE posts SET above = NULL; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; DELETE FROM posts WHERE id = 33; SELECT count(*) FROM posts; ROLLBACK;
-- Nothing was changed; a bypass changes it.
DROP TRIGGER sees ON goes;
BEGIN; SELECT FROM tenantguard.begin_bypass('repair');
SELECT (SELECT count(*) FROM goes) AS goes, (SELECT count(*) FROM resets WHERE post = 12) AS resets, (SELECT count(*) FROM said) AS said, (SELECT count(*) FROM posts) AS posts;
DELETE FROM posts WHERE id IN (11, 12);
DELETE FROM people;
SELECT (SELECT count(*) FROM goes) AS goes, (SELECT count(*) FROM resets WHERE post = 10) AS resets, (SELECT count(*) FROM said) AS said, (SELECT count(*) FROM posts) AS posts;
ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('repair'); DELETE FROM goes WHERE org_id = 2; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM posts WHERE id = 11; SELECT id FROM goes; ROLLBACK;

-- A cascade into the tenant column would give rows away: to another tenant, or
-- to all.
CREATE TABLE accounts (id bigint PRIMARY KEY);
CREATE TABLE books (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs REFERENCES accounts ON UPDATE CASCADE);
CREATE TABLE pages (org_id bigint NOT NULL REFERENCES orgs, id bigint, PRIMARY KEY (org_id, id));
CREATE TABLE drafts (id bigint PRIMARY KEY, org_id bigint REFERENCES orgs, page bigint, FOREIGN KEY (org_id, page) REFERENCES pages ON DELETE SET NULL);
CREATE TABLE scraps (id bigint PRIMARY KEY, org_id bigint REFERENCES orgs, page bigint, FOREIGN KEY (org_id, page) REFERENCES pages ON DELETE SET NULL (page) ON UPDATE CASCADE);
INSERT INTO accounts VALUES (1), (2);
SELECT FROM tenantguard.exempt('accounts', 'of the operators');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('books') AS a, tenantguard.protect('pages') AS b, tenantguard.protect('scraps') AS c, tenantguard.protect('drafts', shared_rows => true) AS d;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO books (id) VALUES (1); UPDATE accounts SET id = 3 WHERE id = 1; ROLLBACK;
\set VERBOSITY terse
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO pages (id) VALUES (1); INSERT INTO drafts (id, page) VALUES (1, 1); DELETE FROM pages; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO pages (id) VALUES (1), (2); INSERT INTO scraps (id, page) VALUES (1, 1), (2, 2); UPDATE pages SET id = 3 WHERE id = 1; DELETE FROM pages WHERE id = 2; SELECT * FROM scraps ORDER BY id; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('give away'); INSERT INTO books VALUES (1, 1); UPDATE accounts SET id = 3 WHERE id = 1; SELECT * FROM books; ROLLBACK;

-- A sign-up has no tenant yet, and nothing to refer to but what its own will
-- have.
ALTER TABLE orgs ADD owner bigint REFERENCES posts, ADD founder bigint REFERENCES posts DEFERRABLE INITIALLY DEFERRED;
BEGIN; INSERT INTO orgs (id, owner) VALUES (9, 21); ROLLBACK;
BEGIN; INSERT INTO orgs (id, founder) VALUES (9, 21); COMMIT;
BEGIN; INSERT INTO orgs (id, founder) VALUES (9, 90); SET LOCAL app.current_org_id = '9'; INSERT INTO posts (id) VALUES (90); SET CONSTRAINTS ALL IMMEDIATE; SELECT id, founder FROM orgs; ROLLBACK;
\set VERBOSITY sqlstate

-- Partitions on either side.
CREATE TABLE years (id bigint, org_id bigint NOT NULL REFERENCES orgs, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE years_1 PARTITION OF years FOR VALUES FROM (0) TO (100);
CREATE TABLE years_2 PARTITION OF years FOR VALUES FROM (100) TO (200);
CREATE TABLE days (id bigint, org_id bigint NOT NULL REFERENCES orgs, year bigint REFERENCES years ON DELETE CASCADE, PRIMARY KEY (id)) PARTITION BY HASH (id);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('years') AS a, tenantguard.protect('days') AS b;
CREATE TABLE days_1 PARTITION OF days FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE days_2 PARTITION OF days FOR VALUES WITH (MODULUS 2, REMAINDER 1);
BEGIN; SELECT FROM tenantguard.begin_bypass('rows'); INSERT INTO years VALUES (11, 1), (111, 1), (21, 2), (121, 2); INSERT INTO days VALUES (1, 1, 11), (2, 1, 111), (3, 2, 111), (4, 2, 121); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO days (id, year) SELECT i, 11 FROM generate_series(10, 13) AS i;
SAVEPOINT s;
INSERT INTO days (id, year) VALUES (20, 121);
ROLLBACK TO s;
INSERT INTO days_1 (id, org_id, year) SELECT i, 1, 21 FROM generate_series(20, 30) AS i WHERE satisfies_hash_partition('days'::regclass, 2, 0, i::bigint);
ROLLBACK TO s;
DELETE FROM years WHERE id = 111;
ROLLBACK TO s;
DELETE FROM years_2;
ROLLBACK TO s;
DELETE FROM years WHERE id = 11;
SELECT id FROM days;
ROLLBACK;

-- Keys are validated over the rows of all tenants.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO plain (id, post) VALUES (30, 13); COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('a row that crosses'); INSERT INTO plain VALUES (31, 2, 13); COMMIT;
ALTER TABLE plain ADD CONSTRAINT again FOREIGN KEY (post) REFERENCES posts NOT VALID;
ALTER TABLE plain VALIDATE CONSTRAINT again;
BEGIN; SELECT FROM tenantguard.begin_bypass('validated row by row'); ALTER TABLE plain ADD CONSTRAINT once_more FOREIGN KEY (post) REFERENCES posts, ADD CHECK (id > 0); COMMIT;
SELECT count(*) FROM pg_constraint WHERE conrelid = 'plain'::regclass AND contype = 'f' AND convalidated;

-- With the triggers off a tenant writes nothing.
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; INSERT INTO plain (id, post) VALUES (40, 21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica; DELETE FROM posts WHERE id = 13; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL session_replication_role = replica;
COPY plain (id, post) FROM stdin;
40	21
\.
ROLLBACK;
ALTER TABLE plain DISABLE TRIGGER ALL;
BEGIN; SELECT FROM tenantguard.begin_bypass('restore'); ALTER TABLE plain DISABLE TRIGGER ALL; COPY plain FROM stdin;
41	1	21	\N
\.
ALTER TABLE plain ENABLE TRIGGER ALL; DELETE FROM plain WHERE id = 41; COMMIT;

-- What a key says of a row that another tenant has taken it for: that there is
-- one. An exclusion constraint would quote it.
CREATE TABLE rooms (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs, name text UNIQUE, during int4range, EXCLUDE USING gist (during WITH &&), late int4range, EXCLUDE USING gist (late WITH &&) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX rooms_half ON rooms ((id / 2));
SELECT count(*) > 0 AS protected FROM tenantguard.protect('rooms');
BEGIN; SELECT FROM tenantguard.begin_bypass('rows'); INSERT INTO rooms VALUES (10, 1, 'hall', '[1,2)', '[1,2)'), (20, 2, 'attic', '[100,777)', '[100,777)'); COMMIT;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id) VALUES (20); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id) VALUES (21); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE rooms SET name = 'attic'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id) VALUES (20) ON CONFLICT (id) DO UPDATE SET name = rooms.name RETURNING rooms.*; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, name) VALUES (30, 'attic') ON CONFLICT DO NOTHING RETURNING rooms.*; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (30, '[120,130)') ON CONFLICT DO NOTHING RETURNING rooms.*; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rooms (id, during) VALUES (30, '[120,130)'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE rooms SET during = '[120,130)'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_neighbours_app; UPDATE next.rooms SET during = '[120,130)'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1';
COPY rooms (id, during) FROM stdin;
30	[120,130)
\.
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE rooms SET late = '[120,130)'; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1';
DO $$ DECLARE d text; BEGIN
	UPDATE next.rooms SET during = '[120,130)';
EXCEPTION WHEN exclusion_violation THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
	RAISE WARNING 'caught: %', d;
END $$;
ROLLBACK;
-- under a bypass everything is told
BEGIN; SELECT FROM tenantguard.begin_bypass('rows'); UPDATE rooms SET during = '[120,130)' WHERE org_id = 1; ROLLBACK;

-- check_tenant() can be called by hand, and tells nothing.
\set VERBOSITY default
SELECT tenantguard.check_tenant(2::bigint, 0, 5);
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT tenantguard.check_tenant(2::bigint, 0, 5); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT tenantguard.check_tenant(1::bigint, 0, 5), tenantguard.check_tenant(2::bigint, 0, 3), tenantguard.check_tenant(NULL::bigint, 0, 3), tenantguard.check_tenant(NULL::bigint, 0, 4); ROLLBACK;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA next CASCADE;
DROP ROLE regress_neighbours_app;
