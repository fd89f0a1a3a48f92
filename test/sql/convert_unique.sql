-- convert_unique.sql: unique keys that tell what other tenants have, what
-- relies on them, and indexes that do not know the tenant.
SET client_min_messages = error;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_unique_owner;
CREATE SCHEMA uniq AUTHORIZATION regress_unique_owner;
SET search_path = uniq, public;
SET ROLE regress_unique_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2);
CREATE TABLE users (org_id bigint NOT NULL REFERENCES orgs, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, token text, phone text, nick text NOT NULL, "Code" text, bio text,
	CONSTRAINT email_key UNIQUE (email) DEFERRABLE INITIALLY DEFERRED, CONSTRAINT token_key UNIQUE (token), UNIQUE NULLS NOT DISTINCT (phone));
COMMENT ON CONSTRAINT email_key ON users IS 'one account each';
CREATE UNIQUE INDEX "Users by code" ON users USING btree (lower("Code") text_pattern_ops DESC) INCLUDE (bio) WITH (fillfactor = 70) WHERE "Code" <> '';
CREATE UNIQUE INDEX users_nick ON users (nick);
COMMENT ON INDEX users_nick IS 'names';
ALTER TABLE users REPLICA IDENTITY USING INDEX users_nick;
ALTER TABLE users CLUSTER ON users_nick;
CREATE TABLE slugs (org_id bigint NOT NULL REFERENCES orgs, slug text PRIMARY KEY, title text);
CREATE TABLE shared (org_id bigint REFERENCES orgs, slug text PRIMARY KEY, name text NOT NULL CONSTRAINT shared_name UNIQUE);
CREATE TABLE spare (org_id bigint NOT NULL REFERENCES orgs, a int, b int, c int PRIMARY KEY, CONSTRAINT spare_a UNIQUE (a), CONSTRAINT spare_org_a UNIQUE (org_id, a), UNIQUE (org_id, c));
CREATE UNIQUE INDEX spare_b ON spare (b);
CREATE UNIQUE INDEX spare_org_b ON spare (org_id, b);
CREATE TABLE late (org_id bigint REFERENCES orgs, code text PRIMARY KEY);
CREATE TABLE links (org_id bigint NOT NULL REFERENCES orgs, id int, slug text CONSTRAINT links_slug REFERENCES slugs, PRIMARY KEY (org_id, id));
CREATE TABLE parted (org_id bigint NOT NULL REFERENCES orgs, id int NOT NULL, code text NOT NULL, PRIMARY KEY (org_id, id), CONSTRAINT parted_code UNIQUE (id, code)) PARTITION BY HASH (id);
ALTER TABLE parted DROP CONSTRAINT parted_pkey;
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE UNIQUE INDEX parted_upper ON parted (upper(code), id);
CREATE FUNCTION enlist(bigint, text, text) RETURNS void LANGUAGE sql AS
	'INSERT INTO uniq.users (org_id, nick, email) VALUES ($1, $2, $3) ON CONFLICT (nick) DO NOTHING';
CREATE FUNCTION other(text) RETURNS void LANGUAGE plpgsql AS
	'BEGIN INSERT INTO uniq.users (nick) VALUES ($1) ON CONFLICT ( "email" ) DO UPDATE SET nick = EXCLUDED.nick; END';
CREATE FUNCTION by_name(text) RETURNS void LANGUAGE sql AS
	'INSERT INTO uniq.users (nick) VALUES ($1) ON CONFLICT ON CONSTRAINT token_key DO NOTHING';
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SET ROLE regress_unique_owner;
SELECT count(*) > 0 AS protected FROM tenantguard.protect('shared', shared_rows => true);
SELECT count(*) > 0 AS protected FROM tenantguard.protect('late');
SELECT relation, action FROM tenantguard.protect_all('uniq');
RESET ROLE;
-- What they are about.
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO users (nick, email, token, phone, "Code") VALUES ('ann', 'a@b', 't', '1', 'X'); INSERT INTO slugs (slug) VALUES ('home'); COMMIT;
\set VERBOSITY terse
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO users (nick) VALUES ('ann'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO slugs (slug) VALUES ('home') ON CONFLICT DO NOTHING RETURNING slug; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO users (nick) VALUES ('ann') ON CONFLICT (nick) DO UPDATE SET nick = 'x'; ROLLBACK;
\set VERBOSITY default
\x
SELECT * FROM tenantguard.unique_keys ORDER BY relation::text COLLATE "C", name;
\x

-- Those that must be global say why.
SELECT tenantguard.keep_global('token_key', 'the token says which tenant it is for');
SELECT name, accepted FROM tenantguard.unique_keys WHERE accepted IS NOT NULL;
SELECT code, object FROM tenantguard.check('uniq') WHERE object ~ 'token_key';
\set VERBOSITY sqlstate
SELECT tenantguard.keep_global('users_nick', '');
SELECT tenantguard.keep_global('links_pkey', 'why');
SELECT tenantguard.keep_global(NULL, 'why');
\set VERBOSITY default

-- What cannot be converted says why.
SELECT * FROM tenantguard.convert_unique_key('slugs_pkey');
SELECT * FROM tenantguard.convert_unique_key('users_nick');
SELECT * FROM tenantguard.convert_unique_key('parted_0_id_code_key');
SELECT * FROM tenantguard.convert_unique_key('links_pkey');
\x
SELECT * FROM tenantguard.convert_unique_key('email_key', consumers_ready => true);
SELECT * FROM tenantguard.convert_unique_key('users_pkey');
SELECT * FROM tenantguard.convert_unique_key('late_pkey');
\x
SELECT * FROM tenantguard.convert_unique_key('shared_pkey');
SELECT * FROM tenantguard.convert_unique_key('spare_pkey');
SELECT statement FROM tenantguard.convert_unique_key('shared_name');
SELECT statement FROM tenantguard.convert_unique_key('spare_a');
SELECT statement FROM tenantguard.convert_unique_key('spare_b');
-- A schema's steps leave those with consumers, the accepted and the generated.
SELECT phase, object, statement FROM tenantguard.conversion_steps('uniq', '{unique_keys}');
SELECT tenantguard.begin_bypass('convert', 'session', now() + '1 hour');
SELECT statement FROM tenantguard.conversion_steps('uniq', '{foreign_keys}') ORDER BY step \gexec
SELECT statement FROM tenantguard.conversion_steps('uniq', '{unique_keys}') ORDER BY step \gexec
SELECT statement FROM tenantguard.conversion_steps('uniq', '{unique_keys}');
SELECT statement FROM tenantguard.convert_unique_key('users_nick', true) \gexec
SELECT statement FROM tenantguard.convert_unique_key('email_key', true) \gexec
SELECT statement FROM tenantguard.convert_unique_key('users_pkey') \gexec
SELECT statement FROM tenantguard.convert_unique_key('slugs_pkey') \gexec
SELECT statement FROM tenantguard.convert_unique_key('late_pkey') \gexec
SELECT indexrelid::regclass::text COLLATE "C" AS index, pg_get_indexdef(indexrelid) AS definition, indisreplident AS replica, indisclustered AS clustered,
	indimmediate AS immediate, obj_description(indexrelid) AS remark
FROM pg_index WHERE indisunique AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'uniq'::regnamespace) ORDER BY 1;
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), obj_description(oid) FROM pg_constraint
WHERE connamespace = 'uniq'::regnamespace AND contype IN ('p', 'u', 'c') ORDER BY conrelid::regclass::text COLLATE "C", conname;
SELECT tenantguard.end_bypass();
-- Each tenant has its own names now.
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO users (nick, email, phone, "Code") VALUES ('ann', 'a@b', '1', 'X') RETURNING org_id, nick; COMMIT;
\set VERBOSITY terse
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO users (nick) VALUES ('ann'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '2'; INSERT INTO users (nick, token) VALUES ('bob', 't'); ROLLBACK;
\set VERBOSITY default

-- Indexes.
SET ROLE regress_unique_owner;
CREATE TABLE docs (org_id bigint NOT NULL REFERENCES orgs, id int, folder int, title text, made timestamptz, PRIMARY KEY (org_id, id));
CREATE INDEX docs_folder ON docs (folder);
CREATE INDEX docs_title ON docs (org_id, title);
CREATE INDEX docs_title_again ON docs (org_id, title);
CREATE INDEX docs_title_part ON docs (org_id, title) WHERE id > 0;
CREATE INDEX docs_title_desc ON docs (org_id, title DESC);
CREATE INDEX docs_title_made ON docs (org_id, title, made);
CREATE INDEX docs_org ON docs (org_id);
CREATE TABLE folders (org_id bigint NOT NULL REFERENCES orgs, id int UNIQUE, name text);
CREATE TABLE events (org_id bigint NOT NULL REFERENCES orgs, at date NOT NULL, doc int, FOREIGN KEY (org_id, doc) REFERENCES docs) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE listed (org_id bigint NOT NULL REFERENCES orgs, id int) PARTITION BY LIST (org_id);
ALTER TABLE docs ADD CONSTRAINT docs_folder_fkey FOREIGN KEY (folder) REFERENCES folders (id);
SELECT count(*) >= 0 AS protected FROM tenantguard.protect_all('uniq');
RESET ROLE;
SELECT relation, name, problem, covered_by, fix FROM tenantguard.indexes
WHERE relation IN ('docs'::regclass, 'folders', 'events', 'events_1', 'listed') AND problem IS NOT NULL ORDER BY relation::text, name;
SELECT relation, columns, reason, would_be_used, statement FROM tenantguard.propose_indexes('uniq');
INSERT INTO orgs VALUES (3);
BEGIN; SELECT tenantguard.begin_bypass('fill');
INSERT INTO folders SELECT 1 + i % 3, i, 'folder' FROM generate_series(1, 3000) AS i;
COMMIT;
ANALYZE folders;
-- a third of the rows at 8 bytes for the tenant, 4 rounded to 8 for the number
SELECT tenantguard.guess_index_size('folders'::regclass, '{org_id}') AS guessed, tenantguard.guess_index_size('folders'::regclass, '{org_id,id}') > tenantguard.guess_index_size('folders'::regclass, '{org_id}') AS more;
SELECT statement FROM tenantguard.conversion_steps('uniq', '{indexes}');
SELECT statement FROM tenantguard.conversion_steps('uniq', '{indexes}') ORDER BY step \gexec
SELECT statement FROM tenantguard.conversion_steps('uniq', '{indexes}');
SELECT relation, columns FROM tenantguard.propose_indexes('uniq');
SELECT relation, name, problem FROM tenantguard.indexes WHERE problem IN ('missing', 'invalid');
\set VERBOSITY sqlstate
SELECT * FROM tenantguard.conversion_steps('uniq', '{keys}');
\set VERBOSITY default

-- As a script.
SELECT * FROM tenantguard.conversion_script('uniq');

-- Primary keys of a schema, for those who ask for them, with their price.
CREATE SCHEMA prim AUTHORIZATION regress_unique_owner;
SET search_path = prim, uniq, public;
SET ROLE regress_unique_owner;
CREATE TABLE boxes (org_id bigint NOT NULL REFERENCES orgs, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
CREATE TABLE cards (org_id bigint REFERENCES orgs, id uuid PRIMARY KEY DEFAULT gen_random_uuid(), box int CONSTRAINT cards_box REFERENCES boxes);
CREATE TABLE sorts (org_id bigint NOT NULL REFERENCES orgs, slug text PRIMARY KEY);
CREATE TABLE slots (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE slots_0 PARTITION OF slots FOR VALUES FROM (0) TO (10000);
CREATE TABLE kept (org_id bigint NOT NULL REFERENCES orgs, token text PRIMARY KEY);
CREATE TABLE fits (org_id bigint NOT NULL REFERENCES orgs, id int, PRIMARY KEY (org_id, id));
CREATE FUNCTION sorts_up() RETURNS void LANGUAGE sql AS $$ INSERT INTO sorts (slug) VALUES ('a') ON CONFLICT (slug) DO NOTHING $$;
INSERT INTO slots SELECT 1, i FROM generate_series(1, 3000) AS i;
ANALYZE slots, slots_0;
SELECT relation, action FROM tenantguard.protect_all('prim');
SELECT count(*) > 0 AS protected FROM tenantguard.protect('cards', 'org_id');
RESET ROLE;
SELECT tenantguard.keep_global('kept_pkey', 'says which tenant');
SELECT relation, name, becomes, bytes, bytes_after > 0 AS grows, scans >= 0 AS counted, consumers, why_not FROM tenantguard.primary_key_costs('prim');
SELECT count(*) FROM tenantguard.conversion_steps('prim', '{unique_keys}');
SELECT phase, object, statement FROM tenantguard.conversion_steps('prim', '{primary_keys}');
SELECT line FROM tenantguard.conversion_script('prim') AS line WHERE line LIKE '-- TO DECIDE%';
SELECT line FROM tenantguard.conversion_script('prim', '{foreign_keys,primary_keys}') AS line WHERE line LIKE '-- TO DECIDE%';
SELECT tenantguard.begin_bypass('convert', 'session', now() + '1 hour') IS NULL AS none;
SELECT statement FROM tenantguard.conversion_steps('prim', '{foreign_keys,primary_keys}') WHERE statement !~ 'require_no_crossing' ORDER BY step \gexec
SELECT statement FROM tenantguard.conversion_steps('prim', '{foreign_keys,primary_keys}') ORDER BY step \gexec
SELECT statement FROM tenantguard.conversion_steps('prim', '{foreign_keys,primary_keys}');
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'prim'::regnamespace AND conname ~ 'pkey|cards_box' ORDER BY conrelid::regclass::text COLLATE "C", conname;
SELECT relation, name, becomes, why_not FROM tenantguard.primary_key_costs('prim');
SELECT tenantguard.end_bypass();

DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA uniq, prim CASCADE;
DROP ROLE regress_unique_owner;
