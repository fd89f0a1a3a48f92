-- writes.sql: every way to write a row tries to put it with another tenant,
-- or to change or remove one that is another tenant's.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_writes_app;
CREATE SCHEMA writes;
SET search_path = writes, public;
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE users (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, email text UNIQUE, visits int DEFAULT 0, PRIMARY KEY (org_id, id));
-- a default that invents a tenant, and columns that number themselves
CREATE TABLE items (org_id bigint NOT NULL DEFAULT 0 REFERENCES orgs, id int GENERATED ALWAYS AS IDENTITY, price int NOT NULL DEFAULT 1, twice int GENERATED ALWAYS AS (price * 2) STORED);
CREATE INDEX ON items (org_id);
CREATE TABLE logged (org_id bigint, what text);
INSERT INTO orgs VALUES (0), (1), (2), (3);
INSERT INTO users SELECT o, i, format('u%s@%s', i, o) FROM generate_series(1, 3) AS o, generate_series(1, 3) AS i;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SET client_min_messages = notice;
SELECT relation, action FROM tenantguard.protect_all('writes');
SET client_min_messages = warning;
GRANT USAGE ON SCHEMA writes TO regress_writes_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA writes TO regress_writes_app;
CREATE VIEW user_view AS SELECT org_id, id, email, visits FROM users;
CREATE VIEW checked_view AS SELECT org_id, id, email, visits FROM users WHERE visits < 1000 WITH CHECK OPTION;
CREATE VIEW instead_view AS SELECT org_id, id FROM users;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO users (org_id, id) VALUES (NEW.org_id, NEW.id); RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON instead_view FOR EACH ROW EXECUTE FUNCTION instead();
CREATE VIEW rule_view AS SELECT org_id, id FROM users;
CREATE RULE rule_insert AS ON INSERT TO rule_view DO INSTEAD INSERT INTO users (org_id, id) VALUES (NEW.org_id, NEW.id) RETURNING org_id, id;
CREATE RULE rule_update AS ON UPDATE TO rule_view DO INSTEAD UPDATE users SET org_id = NEW.org_id WHERE id = OLD.id;
CREATE RULE rule_delete AS ON DELETE TO rule_view DO INSTEAD DELETE FROM users WHERE id = OLD.id;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_view, checked_view, instead_view, rule_view TO regress_writes_app;
-- how the table stands, asked under a bypass that leaves no trace
CREATE FUNCTION stand() RETURNS TABLE (org_id bigint, n bigint, ids text) LANGUAGE sql AS
	$$ SELECT org_id, count(*), string_agg(id::text, ' ' ORDER BY id) FROM writes.users GROUP BY org_id ORDER BY org_id $$;

-- INSERT: the tenant is filled in, however it is left out.
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO users (id, email) VALUES (10, 'left out') RETURNING *;
INSERT INTO users VALUES (1, 11, 'given') RETURNING *;
INSERT INTO users VALUES (DEFAULT, 12, 'default') RETURNING *;
INSERT INTO users VALUES (NULL, 13, 'null') RETURNING *;
INSERT INTO users (org_id, id) VALUES (DEFAULT, 14), (NULL, 15), (1, 16) RETURNING org_id, id;
INSERT INTO users (id, org_id) SELECT g, NULL FROM generate_series(17, 18) AS g RETURNING org_id, id;
INSERT INTO users (id) SELECT g FROM generate_series(19, 20) AS g RETURNING org_id, id;
INSERT INTO users SELECT org_id, id + 100, email || '!' FROM users WHERE id = 1 RETURNING org_id, id;
INSERT INTO user_view (id) VALUES (21) RETURNING org_id, id;
INSERT INTO checked_view (id, visits) VALUES (22, 1) RETURNING org_id, id;
INSERT INTO rule_view (id) VALUES (23) RETURNING org_id, id;
INSERT INTO rule_view VALUES (1, 24) RETURNING org_id, id;
INSERT INTO instead_view VALUES (1, 25) RETURNING org_id, id;
INSERT INTO instead_view (id) VALUES (26) RETURNING org_id, id;
INSERT INTO items DEFAULT VALUES RETURNING org_id, price, twice;
INSERT INTO items (price) VALUES (5), (6) RETURNING org_id, price, twice;
INSERT INTO items (org_id) VALUES (DEFAULT) RETURNING org_id, price, twice;
PREPARE ins AS INSERT INTO users (org_id, id) VALUES ($1, $2) RETURNING org_id, id;
EXECUTE ins(1, 30);
EXECUTE ins(NULL, 31);
SELECT org_id, count(*) FROM users GROUP BY org_id;
ROLLBACK;

-- INSERT with another tenant: each form is refused, for a superuser.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (2, 10, 'foreign'); ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (1, 10), (2, 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users (org_id, id) SELECT 2, 10; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users (org_id, id) SELECT org_id + 1, 10 FROM users LIMIT 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users (org_id, id) VALUES ((SELECT 2), 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE ins(2, 30); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO user_view VALUES (2, 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO checked_view (org_id, id, visits) VALUES (2, 10, 1); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO rule_view VALUES (2, 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO instead_view VALUES (2, 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; WITH i AS (INSERT INTO users VALUES (2, 10) RETURNING *) SELECT * FROM i; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; DO $$ BEGIN INSERT INTO users VALUES (2, 10); END $$; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO items (org_id) OVERRIDING USER VALUE VALUES (0); ROLLBACK;
-- ... and for a role that row security binds, with the same words.
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_writes_app; INSERT INTO users VALUES (2, 10, 'foreign'); ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_writes_app; INSERT INTO user_view VALUES (2, 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_writes_app; INSERT INTO users (id) VALUES (10) RETURNING org_id; ROLLBACK;
-- without a tenant
INSERT INTO users (id) VALUES (10);
INSERT INTO users VALUES (1, 10);
UPDATE users SET visits = 1;
DELETE FROM users;

-- ON CONFLICT: own rows as ever; a foreign row is not touched and not told about.
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO users VALUES (1, 50, 'u1@1') ON CONFLICT (email) DO NOTHING RETURNING *;
INSERT INTO users VALUES (1, 50, 'u1@1') ON CONFLICT (email) DO UPDATE SET visits = users.visits + 1, id = EXCLUDED.id RETURNING *;
INSERT INTO users (id, email) VALUES (2, 'new@1') ON CONFLICT (org_id, id) DO UPDATE SET email = EXCLUDED.email RETURNING *;
INSERT INTO users (id, email) VALUES (60, 'u1@2') ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO users (id, email) VALUES (60, 'u1@2') ON CONFLICT (email) DO UPDATE SET visits = 99;
ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (1, 50, 'u1@1') ON CONFLICT (email) DO UPDATE SET org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (2, 50, 'u1@1') ON CONFLICT (email) DO UPDATE SET org_id = EXCLUDED.org_id; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (1, 50, 'u1@2') ON CONFLICT (email) DO UPDATE SET org_id = EXCLUDED.org_id; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (1, 50, 'u1@2') ON CONFLICT (email) DO UPDATE SET visits = 1 WHERE users.org_id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (1, 50, 'u1@2') ON CONFLICT (email) DO UPDATE SET visits = 1 WHERE users.org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_writes_app; INSERT INTO users (id, email) VALUES (50, 'u1@2') ON CONFLICT (email) DO UPDATE SET visits = 1; ROLLBACK;
\set VERBOSITY default

-- UPDATE and DELETE reach own rows only; the tenant column does not move.
BEGIN; SET LOCAL app.current_org_id = '1';
UPDATE users SET visits = visits + 1 RETURNING org_id, id, visits;
UPDATE users SET visits = 9 WHERE org_id = 2;
UPDATE users SET visits = 9 WHERE org_id <> 1 OR true RETURNING org_id;
UPDATE users AS u SET visits = s.visits + 1 FROM users AS s WHERE s.id = u.id + 1 RETURNING u.org_id, s.org_id, u.id;
UPDATE users SET org_id = 1 WHERE id = 1 RETURNING org_id;
UPDATE user_view SET visits = 10 WHERE org_id = 3;
UPDATE rule_view SET org_id = 1 WHERE id = 1;
DELETE FROM users WHERE org_id = 2;
DELETE FROM users USING (VALUES (1), (2), (3)) AS v (o) WHERE users.org_id = v.o AND users.id = 3 RETURNING users.org_id;
DELETE FROM rule_view WHERE id = 2;
WITH d AS (DELETE FROM users RETURNING org_id, id), i AS (INSERT INTO users (id) SELECT id + 500 FROM d RETURNING org_id, id) SELECT * FROM i ORDER BY 2;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE users SET org_id = 2 WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE users SET org_id = NULL WHERE id = 1; ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE users SET (org_id, id) = (SELECT 2, 99) WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE users SET org_id = org_id + 1 WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE users SET org_id = v.o FROM (VALUES (2)) AS v (o) WHERE id = 1; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE user_view SET org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE checked_view SET org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE rule_view SET org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; WITH u AS (UPDATE users SET org_id = 2 RETURNING 1) SELECT count(*) FROM u; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_writes_app; UPDATE users SET org_id = 2; ROLLBACK;
\set VERBOSITY default

-- MERGE: matched are own rows only; what it inserts and updates is checked.
BEGIN; SET LOCAL app.current_org_id = '1';
MERGE INTO users AS u USING (VALUES (1, 1), (1, 70)) AS s (o, i) ON u.org_id = s.o AND u.id = s.i
	WHEN MATCHED THEN UPDATE SET visits = 7 WHEN NOT MATCHED THEN INSERT (id, email) VALUES (s.i, 'merged');
MERGE INTO users AS u USING (VALUES (71), (72)) AS s (i) ON u.id = s.i WHEN NOT MATCHED THEN INSERT VALUES (NULL, s.i, NULL);
MERGE INTO users AS u USING (VALUES (2), (3)) AS s (o) ON u.org_id = s.o WHEN MATCHED THEN DELETE;
MERGE INTO users AS u USING (VALUES (2), (3)) AS s (i) ON u.id = s.i WHEN MATCHED AND u.id = 3 THEN DELETE WHEN MATCHED THEN DO NOTHING;
SELECT * FROM users ORDER BY id;
ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO users AS u USING (VALUES (2, 1)) AS s (o, i) ON u.org_id = s.o AND u.id = s.i WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.o, s.i + 80, NULL); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO users AS u USING (VALUES (1)) AS s (i) ON u.id = s.i WHEN MATCHED THEN UPDATE SET org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_writes_app; MERGE INTO users AS u USING (VALUES (1)) AS s (i) ON u.id = s.i WHEN MATCHED THEN UPDATE SET org_id = 2; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_writes_app; MERGE INTO users AS u USING (VALUES (90)) AS s (i) ON u.id = s.i WHEN NOT MATCHED THEN INSERT VALUES (2, s.i, NULL); ROLLBACK;

-- A BEFORE trigger that changes the tenant is caught: the row is looked at after it.
CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.org_id := 2; RETURN NEW; END $$;
CREATE TRIGGER moves BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION moves();
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users (id) VALUES (10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (1, 10); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE users SET visits = 5; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users VALUES (1, 1) ON CONFLICT (org_id, id) DO UPDATE SET visits = 5; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; MERGE INTO users AS u USING (VALUES (1)) AS s (i) ON u.id = s.i WHEN MATCHED THEN UPDATE SET visits = 5; ROLLBACK;
EXECUTE ins(1, 30);
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE ins(1, 30); ROLLBACK;
DROP TRIGGER moves ON users;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE ins(1, 30); ROLLBACK;
\set VERBOSITY default
-- A trigger that fills the tenant by itself, as many applications have, agrees.
CREATE OR REPLACE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.org_id := current_setting('app.current_org_id')::bigint; RETURN NEW; END $$;
CREATE TRIGGER moves BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION moves();
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users (id) VALUES (10) RETURNING org_id, id; ROLLBACK;
DROP TRIGGER moves ON users;
-- AFTER triggers and transition tables see what was written, and no more.
CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO logged SELECT DISTINCT org_id, 'new' FROM new_rows UNION SELECT DISTINCT org_id, 'table' FROM users; RETURN NULL; END $$;
CREATE TRIGGER tells AFTER UPDATE ON users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tells();
BEGIN; SET LOCAL app.current_org_id = '3'; UPDATE users SET visits = 3; SELECT * FROM logged ORDER BY 2; ROLLBACK;
DROP TRIGGER tells ON users;

-- Nothing was changed by all of this.
BEGIN; SELECT FROM tenantguard.begin_bypass('count'); SELECT * FROM stand(); SELECT count(*) FROM items; COMMIT;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA writes CASCADE;
DROP ROLE regress_writes_app;
