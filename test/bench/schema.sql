-- The tables of one variant, made once for each.
-- Variables: schema, key (columns of the primary keys), rows (of the scan).
-- Keys are unique over all tenants (tenant * 1000000 + n), so that the
-- variant without tenants finds exactly the same rows.
\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA :schema;
SET search_path = :schema;

CREATE TABLE tickets (
    org_id bigint NOT NULL, id bigint NOT NULL, status integer NOT NULL,
    amount numeric(12,2) NOT NULL, title text NOT NULL,
    PRIMARY KEY (:key));
INSERT INTO tickets
SELECT o, o * 1000000 + i, i % 5, i % 1000, format('ticket %s of %s', i, o)
FROM generate_series(1, 50) o, generate_series(1, 1000) i
ORDER BY hashint8(i * 50 + o);

CREATE TABLE readings (org_id bigint NOT NULL, value integer NOT NULL);
INSERT INTO readings
SELECT 1 + abs(hashint8(i)) % 50, i FROM generate_series(1, :rows) i;

CREATE TABLE parted (
    org_id bigint NOT NULL, id bigint NOT NULL, title text NOT NULL,
    PRIMARY KEY (org_id, id)) PARTITION BY HASH (org_id);
SELECT format('CREATE TABLE parted_%s PARTITION OF parted '
              'FOR VALUES WITH (MODULUS 16, REMAINDER %s)', i, i)
FROM generate_series(0, 15) i
\gexec
INSERT INTO parted SELECT org_id, id, title FROM tickets;

-- Many partitions take long to make, so only those have them who are measured.
SELECT :'schema' IN ('hand', 'guarded') AS many
\gset
\if :many
CREATE TABLE many (LIKE parted INCLUDING ALL) PARTITION BY HASH (org_id);
SELECT format('CREATE TABLE many_%s PARTITION OF many '
              'FOR VALUES WITH (MODULUS 1000, REMAINDER %s)', i, i)
FROM generate_series(0, 999) i
\gexec
INSERT INTO many SELECT org_id, id, title FROM tickets;
\endif

CREATE TABLE projects (org_id bigint NOT NULL, id bigint NOT NULL,
    name text NOT NULL, PRIMARY KEY (:key));
CREATE TABLE users (LIKE projects INCLUDING ALL);
CREATE TABLE labels (LIKE projects INCLUDING ALL);
CREATE TABLE tasks (
    org_id bigint NOT NULL, id bigint NOT NULL, project_id bigint NOT NULL,
    label_id bigint NOT NULL, title text NOT NULL, PRIMARY KEY (:key));
CREATE TABLE comments (
    org_id bigint NOT NULL, id bigint NOT NULL, task_id bigint NOT NULL,
    user_id bigint NOT NULL, body text NOT NULL, PRIMARY KEY (:key));
INSERT INTO projects SELECT o, o * 1000000 + i, 'project ' || i
FROM generate_series(1, 50) o, generate_series(1, 20) i;
INSERT INTO users SELECT o, o * 1000000 + i, 'user ' || i
FROM generate_series(1, 50) o, generate_series(1, 50) i;
INSERT INTO labels SELECT o, o * 1000000 + i, 'label ' || i
FROM generate_series(1, 50) o, generate_series(1, 10) i;
INSERT INTO tasks
SELECT o, o * 1000000 + i, o * 1000000 + 1 + i % 20,
       o * 1000000 + 1 + i % 10, 'task ' || i
FROM generate_series(1, 50) o, generate_series(1, 1000) i;
INSERT INTO comments
SELECT o, o * 1000000 + i, o * 1000000 + 1 + i % 1000,
       o * 1000000 + 1 + i % 50, 'comment ' || i
FROM generate_series(1, 50) o, generate_series(1, 4000) i;
SELECT CASE :'key' WHEN 'org_id, id' THEN 'org_id, task_id'
                   ELSE 'task_id, org_id' END AS task_key
\gset
CREATE INDEX ON comments (:task_key);

-- A foreign key that does not hold the tenant, and the same table without it.
CREATE TABLE cards (org_id bigint NOT NULL, id bigint PRIMARY KEY,
    title text NOT NULL);
CREATE INDEX ON cards (org_id);
CREATE TABLE loose (org_id bigint NOT NULL, id bigint NOT NULL,
    card_id bigint NOT NULL, PRIMARY KEY (:key));
CREATE TABLE tied (LIKE loose INCLUDING ALL,
    FOREIGN KEY (card_id) REFERENCES cards ON DELETE CASCADE);
CREATE INDEX ON tied (card_id);
INSERT INTO cards SELECT org_id, id, title FROM tickets;

SELECT format('bench_%s', :'schema') AS role
\gset
CREATE ROLE :role LOGIN;
ALTER ROLE :role SET search_path = :schema;
GRANT USAGE ON SCHEMA :schema TO :role;
GRANT ALL ON ALL TABLES IN SCHEMA :schema TO :role;
\if :many
VACUUM (FREEZE, ANALYZE) many;
\endif
VACUUM (FREEZE, ANALYZE) tickets, readings, parted, projects, users, labels,
    tasks, comments, cards, loose, tied;
