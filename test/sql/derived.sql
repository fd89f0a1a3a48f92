-- derived.sql: relations without a tenant column: declared by links, written
-- under them, kept whole by the rules of DDL.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_derived_owner;
CREATE ROLE regress_derived_app;
CREATE SCHEMA derived AUTHORIZATION regress_derived_owner;
GRANT USAGE ON SCHEMA derived TO regress_derived_app;
SET search_path = derived, public;
SET ROLE regress_derived_owner;
CREATE TABLE orgs (id bigint PRIMARY KEY, name text);
CREATE TABLE tickets (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, title text);
CREATE INDEX ON tickets (org_id);
CREATE TABLE tags (org_id bigint NOT NULL REFERENCES orgs, id int PRIMARY KEY, word text);
CREATE INDEX ON tags (org_id);
CREATE TABLE comments (id int PRIMARY KEY, ticket_id int NOT NULL REFERENCES tickets ON DELETE CASCADE, body text, parent_id int REFERENCES comments);
CREATE INDEX ON comments (ticket_id);
CREATE TABLE reactions (id int PRIMARY KEY, comment_id int NOT NULL REFERENCES comments ON DELETE CASCADE);
CREATE INDEX ON reactions (comment_id);
CREATE TABLE replies (id int PRIMARY KEY, reaction_id int NOT NULL REFERENCES reactions);
CREATE INDEX ON replies (reaction_id);
CREATE TABLE fourth (id int PRIMARY KEY, reply_id int NOT NULL REFERENCES replies);
CREATE INDEX ON fourth (reply_id);
CREATE TABLE ticket_tags (ticket_id int REFERENCES tickets, tag_id int REFERENCES tags, PRIMARY KEY (ticket_id, tag_id));
CREATE INDEX ON ticket_tags (tag_id);
CREATE TABLE files (id int PRIMARY KEY, ticket_id int REFERENCES tickets, comment_id int REFERENCES comments);
CREATE INDEX ON files (ticket_id);
CREATE INDEX ON files (comment_id);
CREATE TABLE events (id int PRIMARY KEY, subject_type text, subject_id int, what text);
CREATE INDEX ON events (subject_id);
INSERT INTO orgs SELECT o, 'org ' || o FROM generate_series(1, 3) AS o;
INSERT INTO tickets SELECT o, o * 100 + i, 'ticket' FROM generate_series(1, 3) AS o, generate_series(1, 4) AS i;
INSERT INTO tags SELECT o, o * 100 + i, 'tag' FROM generate_series(1, 3) AS o, generate_series(1, 2) AS i;
INSERT INTO comments SELECT id * 10, id, 'comment' FROM tickets;
INSERT INTO reactions SELECT id * 10, id FROM comments;
INSERT INTO replies SELECT id, id FROM reactions;
INSERT INTO fourth SELECT id, id FROM replies;
INSERT INTO ticket_tags SELECT t.id, g.id FROM tickets AS t JOIN tags AS g USING (org_id);
INSERT INTO files SELECT id, id, NULL FROM tickets UNION ALL SELECT id, NULL, id FROM comments;
INSERT INTO events SELECT id, 'Ticket', id, 'opened' FROM tickets UNION ALL SELECT id, 'Comment', id, 'written' FROM comments;
GRANT ALL ON ALL TABLES IN SCHEMA derived TO regress_derived_app;
-- what nobody should have written: parents that disagree, and none at all
INSERT INTO ticket_tags VALUES (101, 201);
INSERT INTO files VALUES (1, NULL, NULL), (2, 101, 2010);
INSERT INTO events VALUES (1, 'Ticket', 999, 'lost'), (2, 'Planet', 101, 'risen'), (3, NULL, 101, 'untyped');
RESET ROLE;
SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');

-- Found: what keys lead to a tenant without a gap is certain.
SELECT relation, mode, confidence, reason FROM tenantguard.propose('derived');
SET ROLE regress_derived_owner;
SELECT * FROM tenantguard.protect_all('derived');

-- What may be NULL, or has no foreign key, is a person's to decide.
SELECT s FROM tenantguard.derive('files', dry_run => true) AS s WHERE s NOT LIKE 'REVOKE%';
SELECT count(*) FROM tenantguard.derive('files');
SELECT count(*) AS nothing_is_missing FROM tenantguard.derive('files');
SELECT tenantguard.derive('events');
SELECT tenantguard.add_link('events', '{subject_id}', 'tickets', '{id}', 'subject_type', 'Ticket');
SELECT tenantguard.add_link('events', '{subject_id}', 'comments', '{id}', 'subject_type', 'Comment');
SELECT count(*) FROM tenantguard.derive('events');
SELECT * FROM tenantguard.links ORDER BY relation::text, columns, parent::text;
SELECT tenantguard.assert_guarded('derived');

-- What cannot be a link.
\set VERBOSITY terse
CREATE TABLE plain (id int PRIMARY KEY, ticket_id int, kind text, partial int);
SELECT tenantguard.derive('plain');
SELECT tenantguard.derive('comments', '{nothing}');
SELECT tenantguard.add_link('plain', '{ticket_id}', 'orgs', '{id}');
SELECT tenantguard.add_link('plain', '{ticket_id}', 'plain', '{id}');
SELECT tenantguard.add_link('plain', '{ticket_id}', 'tickets', '{org_id}');
SELECT tenantguard.add_link('plain', '{ticket_id}', 'tickets', '{id,org_id}');
SELECT tenantguard.add_link('plain', '{nothing}', 'tickets', '{id}');
SELECT tenantguard.add_link('plain', '{ticket_id}', 'tickets', '{id}', 'kind');
SELECT tenantguard.add_link('plain', NULL, 'tickets', '{id}');
SELECT tenantguard.add_link('tickets', '{id}', 'comments', '{id}');
SELECT tenantguard.record_link('plain', NULL, NULL, NULL, NULL, NULL);
SELECT tenantguard.record_relation('plain', 'derived', NULL, NULL, NULL);
CREATE UNIQUE INDEX partial ON tickets (title) WHERE id = 101;
SELECT tenantguard.add_link('plain', '{kind}', 'tickets', '{title}');
DROP INDEX partial;
\set VERBOSITY default
\set SHOW_CONTEXT never
ALTER TABLE plain ADD word text, ADD price numeric, ADD day json;
SELECT tenantguard.add_link('plain', '{word}', 'tickets', '{id}');
SELECT tenantguard.add_link('plain', '{price}', 'tickets', '{id}');
SELECT tenantguard.add_link('plain', '{day}', 'tickets', '{id}');
SELECT tenantguard.add_link('plain', '{ticket_id}', 'tickets', '{id}');
ALTER TABLE plain ALTER ticket_id TYPE text;
SELECT tenantguard.derive('plain');
ALTER TABLE plain ALTER ticket_id TYPE bigint USING ticket_id::bigint;
BEGIN; SELECT count(*) FROM tenantguard.derive('plain'); ROLLBACK;
\set SHOW_CONTEXT errors
\set VERBOSITY terse
SELECT tenantguard.drop_link('plain', '{ticket_id}', 'tickets');
SET ROLE regress_derived_app;
SELECT tenantguard.derive('comments');
SELECT tenantguard.add_link('comments', '{ticket_id}', 'tickets', '{id}');
SELECT tenantguard.record_link('comments', '{ticket_id}', 'tags', '{id}', NULL, NULL);
SELECT tenantguard.forget_links('comments');
SELECT tenantguard.inherit_links('comments');
INSERT INTO tenantguard.link SELECT * FROM tenantguard.link;
-- Of what is guarded, links change under a bypass alone: the owner included.
SET ROLE regress_derived_owner;
SELECT tenantguard.add_link('comments', '{id}', 'tags', '{id}');
SELECT tenantguard.drop_link('events', '{subject_id}', 'tickets', 'Ticket');
SELECT tenantguard.forget_links('comments');
SELECT tenantguard.exempt('comments', 'no');
SELECT tenantguard.unprotect('comments', 'no');
RESET ROLE;
UPDATE tenantguard.link SET parent = 'tags';
DELETE FROM tenantguard.link;
TRUNCATE tenantguard.link;
INSERT INTO tenantguard.link VALUES ('comments', '{id}', 'tags', '{id}');
COPY tenantguard.link FROM stdin;
derived.events	{id}	derived.tags	{id}	subject_type	Tag
\.
INSERT INTO tenantguard.carried_column (relid, column_name, state, pass, pass_filled, pass_locked, rows_filled, rows_unowned, rows_locked) VALUES ('comments', 'id', 'kept', 0, 0, 0, 0, 0, 0);
TRUNCATE tenantguard.carried_column;
DROP INDEX tenantguard.link_key, tenantguard.link_parent;
DROP INDEX CONCURRENTLY tenantguard.link_parent;
DROP TRIGGER link_changed ON tenantguard.link;
ALTER TABLE tenantguard.carried_column DISABLE TRIGGER carried_column_changed;
-- What a dump brings before its tables are guarded needs none.
BEGIN; INSERT INTO tenantguard.link VALUES ('plain', '{ticket_id}', 'tickets', '{id}'); ROLLBACK;
-- Without an index they are found all the same.
BEGIN;
SELECT FROM tenantguard.begin_bypass('test');
DROP INDEX tenantguard.link_key, tenantguard.link_parent;
SELECT tenantguard.end_bypass();
SET LOCAL app.current_org_id = '1';
SELECT count(*) FROM comments;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO tenantguard.link SELECT * FROM tenantguard.link; ROLLBACK;
BEGIN;
SELECT FROM tenantguard.begin_bypass('links');
SELECT tenantguard.drop_link('comments', '{ticket_id}', 'tickets');
SELECT tenantguard.drop_link('events', '{subject_id}', 'tickets', 'Planet');
ROLLBACK;
BEGIN;
SELECT FROM tenantguard.begin_bypass('links');
SELECT tenantguard.drop_link('events', '{subject_id}', 'comments', 'Comment');
SELECT columns, type_value FROM tenantguard.links WHERE relation = 'events'::regclass;
ROLLBACK;

-- Whose is a row? Each table, each tenant, each kind of role.
\set VERBOSITY default
CREATE VIEW whose AS
	SELECT 'comments' AS relation, array_agg(DISTINCT id / 1000) AS orgs, count(*) FROM comments
	UNION ALL SELECT 'reactions', array_agg(DISTINCT id / 10000), count(*) FROM reactions
	UNION ALL SELECT 'replies', array_agg(DISTINCT id / 10000), count(*) FROM replies
	UNION ALL SELECT 'fourth', array_agg(DISTINCT id / 10000), count(*) FROM fourth
	UNION ALL SELECT 'ticket_tags', array_agg(DISTINCT ticket_id / 100 * 1000 + tag_id / 100), count(*) FROM ticket_tags
	UNION ALL SELECT 'files', array_agg(DISTINCT COALESCE(ticket_id / 100, comment_id / 1000)), count(*) FROM files
	UNION ALL SELECT 'events', array_agg(DISTINCT left(subject_id::text, 1)::int), count(*) FROM events;
GRANT SELECT ON whose TO regress_derived_app;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM whose; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_derived_app; SELECT * FROM whose; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; SET LOCAL ROLE regress_derived_owner; SELECT count(*) FROM files; SELECT count(*) FROM fourth; COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('count'); SELECT relation, count FROM whose; COMMIT;
SELECT count(*) FROM comments;
-- The privileges on a parent are not asked: its rows decide and are not shown.
REVOKE ALL ON tickets, tags FROM regress_derived_app;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_derived_app;
SELECT count(*) FROM comments; SELECT count(*) FROM ticket_tags; UPDATE comments SET body = 'mine'; SELECT count(*) FROM tickets; ROLLBACK;
GRANT ALL ON tickets, tags TO regress_derived_app;

-- One plan serves every tenant: prepared, in PL/pgSQL, generic and custom.
PREPARE whose AS SELECT array_agg(DISTINCT id / 1000), count(*) FROM comments;
PREPARE one (int) AS SELECT id FROM comments WHERE id = $1;
CREATE FUNCTION count_fourth() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM fourth); END';
SET plan_cache_mode = force_generic_plan;
BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE whose; EXECUTE one(1010); EXECUTE one(2010); SELECT count_fourth(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE whose; EXECUTE one(1010); EXECUTE one(2010); SELECT count_fourth(); COMMIT;
BEGIN; SELECT FROM tenantguard.begin_bypass('count'); EXECUTE whose; SELECT count_fourth(); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE whose; SELECT count_fourth(); COMMIT;
RESET plan_cache_mode;
-- The array of parents is gathered for each execution, not kept.
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT g, l.n FROM generate_series(1, 3) AS g, LATERAL (SELECT count(*) AS n FROM comments WHERE g > 1) AS l;
DELETE FROM fourth; DELETE FROM fourth; DELETE FROM replies;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1';
DECLARE c SCROLL CURSOR FOR SELECT id FROM comments ORDER BY id;
FETCH 3 FROM c; MOVE BACKWARD ALL IN c; FETCH 1 FROM c; CLOSE c;
SELECT min(id), max(id) FROM comments;
SELECT max(id) FROM comments WHERE ticket_id = 201;
ROLLBACK;

-- Few rows: each asks its parent. Many, or those of one parent: it is asked once.
CREATE FUNCTION form(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line	text;
	answer	text := 'none';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		answer := CASE WHEN line ~ 'InitPlan' THEN 'once' WHEN line ~ 'SubPlan' AND answer = 'none' THEN 'each' ELSE answer END;
	END LOOP;
	RETURN answer;
END $$;
SELECT q, form(q) FROM unnest(ARRAY[
	'SELECT * FROM comments WHERE id = 1010',
	'SELECT * FROM comments WHERE id IN (1010, 2010)',
	'SELECT * FROM comments WHERE ticket_id = 101',
	'SELECT * FROM comments',
	'SELECT * FROM comments WHERE body = ''comment''',
	'SELECT * FROM comments WHERE id > 1010',
	'SELECT c.* FROM comments AS c JOIN tickets AS t ON t.id = ticket_id WHERE t.id = 101',
	'SELECT c.* FROM comments AS c JOIN tickets AS t ON t.id = ticket_id',
	'SELECT min(id) FROM comments WHERE ticket_id = 101',
	'SELECT * FROM comments FOR UPDATE',
	'UPDATE comments SET body = body',
	'SELECT * FROM comments WHERE id = 1010 UNION ALL SELECT * FROM comments WHERE id = 1020']) AS q;

-- Written: a row of its own parent, or none.
SET ROLE regress_derived_app;
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO comments VALUES (1, 101, 'own');
UPDATE comments SET ticket_id = 102 WHERE id = 1;
UPDATE comments SET body = 'of others' WHERE id = 2010;
DELETE FROM comments WHERE id = 2010;
WITH t AS (INSERT INTO tickets (id) VALUES (150) RETURNING id) INSERT INTO comments SELECT 15, id, 'with its ticket' FROM t RETURNING id;
SELECT id, ticket_id FROM comments WHERE id < 100;
INSERT INTO files VALUES (10, 101, NULL), (11, NULL, 1010), (12, 101, 1010);
INSERT INTO events VALUES (10, 'Ticket', 101), (11, 'Comment', 1010);
INSERT INTO ticket_tags VALUES (150, 101);
COMMIT;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO files VALUES (20, NULL, NULL); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE files SET ticket_id = NULL WHERE id = 10; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO events VALUES (20, 'Ticket', 201); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO events VALUES (20, 'Ticket', 999); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO events VALUES (20, 'Planet', 101); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO events VALUES (20, NULL, 101); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE events SET subject_id = 201 WHERE id = 10; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE events SET subject_type = 'Comment' WHERE id = 10; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO events VALUES (10, 'Ticket', 102) ON CONFLICT (id) DO UPDATE SET subject_id = 201; ROLLBACK;
-- the row that a conflict meets
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO comments VALUES (2010, 101, 'theirs') ON CONFLICT (id) DO UPDATE SET body = 'taken'; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO events VALUES (201, 'Ticket', 101) ON CONFLICT (id) DO UPDATE SET what = events.what; ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO files VALUES (1, 101) ON CONFLICT (id) DO UPDATE SET ticket_id = 101; ROLLBACK;
\set VERBOSITY default
BEGIN; SET LOCAL app.current_org_id = '1';
INSERT INTO comments VALUES (1010, 101, 'own') ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING id, body;
INSERT INTO comments VALUES (2010, 101, 'theirs') ON CONFLICT DO NOTHING;
INSERT INTO events VALUES (20, 'Ticket', 201);
ROLLBACK;
-- COPY
BEGIN; SET LOCAL app.current_org_id = '1';
COPY comments (id, ticket_id, body) FROM stdin;
500	101	copied
501	102	copied
\.
COPY files FROM stdin;
500	101	\N
\.
COPY events FROM stdin;
500	Ticket	101	copied
\.
COPY (SELECT id, ticket_id FROM comments WHERE body = 'copied' ORDER BY id) TO stdout;
COPY ticket_tags TO stdout;
ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1';
COPY files FROM stdin;
501	\N	\N
\.
\.
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1';
COPY events FROM stdin;
501	Ticket	201	copied
\.
\.
ROLLBACK;
\set VERBOSITY default
-- MERGE
BEGIN; SET LOCAL app.current_org_id = '1';
MERGE INTO files AS f USING (VALUES (10, 102), (30, 103), (201, 101)) AS v (id, ticket) ON f.id = v.id
	WHEN MATCHED THEN UPDATE SET ticket_id = v.ticket WHEN NOT MATCHED AND v.id <> 201 THEN INSERT VALUES (v.id, v.ticket, NULL);
SELECT id, ticket_id FROM files WHERE id IN (10, 30, 201);
ROLLBACK;
\set VERBOSITY sqlstate
BEGIN; SET LOCAL app.current_org_id = '1';
MERGE INTO events AS e USING (VALUES (30, 201)) AS v (id, ticket) ON e.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'Ticket', v.ticket);
ROLLBACK;
RESET ROLE;

-- What holds them together is kept whole.
SET ROLE regress_derived_owner;
\set VERBOSITY terse
ALTER TABLE comments DROP COLUMN ticket_id;
ALTER TABLE events DROP COLUMN subject_type CASCADE;
ALTER TABLE comments DISABLE ROW LEVEL SECURITY;
DROP POLICY tenantguard_tenant ON comments;
ALTER TABLE events ALTER COLUMN subject_id TYPE bigint;
TRUNCATE comments CASCADE;
CREATE TABLE copy AS SELECT * FROM comments;
-- Names are followed, in the relation and in its parents.
ALTER TABLE comments RENAME ticket_id TO "Ticket";
ALTER TABLE tickets RENAME id TO number;
ALTER TABLE events RENAME subject_type TO kind;
ALTER TABLE tickets RENAME TO cases;
SELECT * FROM tenantguard.links WHERE parent = 'cases'::regclass ORDER BY relation::text;
RESET ROLE;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM comments; SELECT count(*) FROM events; COMMIT;
SET ROLE regress_derived_owner;
ALTER TABLE cases RENAME TO tickets;
ALTER TABLE tickets RENAME number TO id;
ALTER TABLE comments RENAME "Ticket" TO ticket_id;
ALTER TABLE events RENAME kind TO subject_type;

-- A key that goes leaves the link, which then asks for itself.
ALTER TABLE comments DROP CONSTRAINT comments_ticket_id_fkey;
SELECT foreign_key FROM tenantguard.links WHERE relation = 'comments'::regclass;
RESET ROLE;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM comments; INSERT INTO comments VALUES (600, 201); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO comments VALUES (600, 101); ROLLBACK;
ALTER TABLE comments ADD FOREIGN KEY (ticket_id) REFERENCES tickets ON DELETE CASCADE;
-- with its triggers off a tenant writes nothing
BEGIN; SELECT FROM tenantguard.begin_bypass('load'); ALTER TABLE comments DISABLE TRIGGER ALL; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO comments VALUES (600, 201); ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('load'); ALTER TABLE comments ENABLE TRIGGER ALL; COMMIT;
-- A parent that is no longer guarded takes what depends on it with it: closed.
BEGIN;
SELECT FROM tenantguard.begin_bypass('open a parent');
SELECT count(*) FROM tenantguard.unprotect('tickets', 'a mistake');
SELECT tenantguard.end_bypass();
SET LOCAL app.current_org_id = '1';
SAVEPOINT s; SELECT count(*) FROM comments; ROLLBACK TO s;
SAVEPOINT s; SELECT count(*) FROM fourth; ROLLBACK TO s;
SAVEPOINT s; EXECUTE whose; ROLLBACK TO s;
SAVEPOINT s; INSERT INTO comments VALUES (600, 101); ROLLBACK TO s;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM comments; COMMIT;
BEGIN;
SELECT FROM tenantguard.begin_bypass('open a parent');
ALTER TABLE tickets DISABLE ROW LEVEL SECURITY;
SELECT tenantguard.end_bypass();
SET LOCAL app.current_org_id = '1';
SELECT count(*) FROM comments;
ROLLBACK;
-- as one that is dropped, or whose key goes
BEGIN; SELECT FROM tenantguard.begin_bypass('drop'); DROP TABLE tags CASCADE; SELECT tenantguard.end_bypass();
SELECT columns, parent FROM tenantguard.links WHERE relation = 'ticket_tags'::regclass;
SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM ticket_tags; ROLLBACK;
BEGIN; SELECT FROM tenantguard.begin_bypass('drop'); ALTER TABLE tags DROP CONSTRAINT tags_pkey CASCADE; SELECT tenantguard.end_bypass();
SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM ticket_tags; ROLLBACK;

-- Partitions and inheritance children have the links of their parents.
SET client_min_messages = notice;
SET tenantguard.new_table = 'protect';
SET ROLE regress_derived_owner;
CREATE TABLE logs (id int, ticket_id int NOT NULL REFERENCES tickets, day int, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1);
CREATE TABLE logs_2 PARTITION OF logs FOR VALUES IN (2, 3);
CREATE TABLE logs_4 (dropped int, day int NOT NULL, ticket_id int NOT NULL, id int NOT NULL);
ALTER TABLE logs_4 DROP COLUMN dropped;
ALTER TABLE logs ATTACH PARTITION logs_4 FOR VALUES IN (4);
RESET ROLE;
BEGIN;
SELECT FROM tenantguard.begin_bypass('fill');
INSERT INTO logs SELECT t.id * 10 + d, t.id, d FROM tickets AS t, generate_series(1, 4) AS d;
COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2';
SELECT tableoid::regclass AS partition, count(*), array_agg(DISTINCT ticket_id / 100) FROM logs GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM logs_1; SELECT count(*) FROM logs_4;
INSERT INTO logs VALUES (1, 201, 4); UPDATE logs SET day = 1 WHERE id = 1; SELECT day FROM logs_1 WHERE id = 1;
ROLLBACK;
SET ROLE regress_derived_owner;
ALTER TABLE logs DETACH PARTITION logs_1;
RESET ROLE;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT count(*) FROM logs_1; COMMIT;
SELECT relation, columns, parent FROM tenantguard.links WHERE relation::text LIKE 'logs%' ORDER BY 1;
RESET tenantguard.new_table;
SET client_min_messages = warning;

-- Keys of other kinds; a parent some of whose rows are shared.
CREATE TABLE boards (org_id bigint REFERENCES orgs, id uuid PRIMARY KEY, a int, b text, UNIQUE (a, b));
INSERT INTO boards VALUES (1, '00000000-0000-0000-0000-000000000001', 1, 'a'), (2, '00000000-0000-0000-0000-000000000002', 2, 'a'), (NULL, '00000000-0000-0000-0000-000000000003', 3, 'a');
CREATE TABLE cards (id int PRIMARY KEY, board uuid NOT NULL REFERENCES boards);
CREATE TABLE pairs (id int PRIMARY KEY, b text NOT NULL, a bigint NOT NULL, FOREIGN KEY (a, b) REFERENCES boards (a, b));
CREATE TABLE stickers (id int PRIMARY KEY, card int NOT NULL REFERENCES cards);
INSERT INTO cards SELECT i, format('00000000-0000-0000-0000-00000000000%s', i)::uuid FROM generate_series(1, 3) AS i;
INSERT INTO pairs SELECT i, 'a', i FROM generate_series(1, 3) AS i;
INSERT INTO stickers SELECT i, i FROM generate_series(1, 3) AS i;
SET client_min_messages = error;
SELECT count(*) FROM tenantguard.protect('boards', 'org_id', shared_rows => true);
SELECT count(*) FROM tenantguard.derive('cards');
SELECT count(*) FROM tenantguard.derive('pairs');
SELECT count(*) FROM tenantguard.derive('stickers');
SET client_min_messages = warning;
BEGIN; SET LOCAL app.current_org_id = '1';
SELECT (SELECT array_agg(id ORDER BY id) FROM cards) AS cards, (SELECT array_agg(id ORDER BY id) FROM pairs) AS pairs, (SELECT array_agg(id ORDER BY id) FROM stickers) AS stickers;
DELETE FROM stickers RETURNING id;
UPDATE cards SET id = id + 10 RETURNING id;
UPDATE pairs SET id = id + 10 RETURNING id;
ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO cards VALUES (9, '00000000-0000-0000-0000-000000000003'); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO stickers VALUES (9, 3); ROLLBACK;
BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO cards VALUES (9, '00000000-0000-0000-0000-000000000001'); INSERT INTO stickers VALUES (9, 9); INSERT INTO pairs VALUES (9, 'a', 1); ROLLBACK;

-- Off again.
BEGIN;
SELECT FROM tenantguard.begin_bypass('off again');
SELECT count(*) FROM tenantguard.exempt('stickers', 'a test');
SELECT count(*) FROM tenantguard.unprotect('fourth', 'a test');
SELECT count(*) FROM tenantguard.share('events');
SELECT count(*) AS links FROM tenantguard.link WHERE relid IN ('stickers'::regclass, 'fourth'::regclass, 'events'::regclass);
ROLLBACK;
DROP TABLE replies CASCADE;
SELECT count(*) AS links FROM tenantguard.link AS l WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid IN (l.relid, l.parent));

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA derived CASCADE;
DROP ROLE regress_derived_owner, regress_derived_app;
