-- The tables of one variant of derived relations, made once for each.
-- Variables: schema, large (on: tenants of 200,000 rows as well).
-- parent0 has the tenant; parent1 to parent3 lead to it by one, two and three
-- steps, and leafN to parentN-1: N steps in all.  In the schema "owned" every
-- table has a tenant column of its own, in "carried" all but the parents.
\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA :schema;
SET search_path = :schema;
SELECT :'schema' = 'owned' AS own, :'schema' IN ('owned', 'carried') AS has
\gset
\set declare_parent ''
\set value_parent ''
\set declare ''
\set value ''
\set lead ''
\if :own
\set declare_parent 'org_id bigint NOT NULL,'
\set value_parent 'o,'
\endif
\if :has
\set declare 'org_id bigint NOT NULL,'
\set value 'o,'
\set lead 'org_id,'
\endif

CREATE TABLE parent0 (id bigint PRIMARY KEY, org_id bigint NOT NULL,
    name text NOT NULL);
CREATE INDEX ON parent0 (org_id);
CREATE TABLE parent1 (id bigint PRIMARY KEY, :declare_parent
    parent_id bigint NOT NULL, name text NOT NULL,
    FOREIGN KEY (parent_id) REFERENCES parent0);
CREATE INDEX ON parent1 (parent_id);
\if :own
CREATE INDEX ON parent1 (org_id);
\endif
CREATE TABLE parent2 (LIKE parent1 INCLUDING ALL,
    FOREIGN KEY (parent_id) REFERENCES parent1);
CREATE TABLE parent3 (LIKE parent1 INCLUDING ALL,
    FOREIGN KEY (parent_id) REFERENCES parent2);

-- without the indexes that check() proposes
CREATE TABLE bare1 (id bigint PRIMARY KEY, :declare parent_id bigint NOT NULL,
    amount integer NOT NULL, created_at timestamptz NOT NULL,
    body text NOT NULL, FOREIGN KEY (parent_id) REFERENCES parent0);
-- and with them
CREATE TABLE leaf1 (LIKE bare1 INCLUDING ALL,
    FOREIGN KEY (parent_id) REFERENCES parent0);
CREATE INDEX ON bare1 (created_at);
CREATE INDEX ON leaf1 (:lead created_at);
CREATE INDEX ON leaf1 (parent_id);
SELECT format('CREATE TABLE %1$s%2$s (LIKE %1$s1 INCLUDING ALL, '
              'FOREIGN KEY (parent_id) REFERENCES parent%3$s)', name, n, n - 1)
FROM unnest('{bare,leaf}'::text[]) name, generate_series(2, 4) n
\gexec
-- two parents, the second in every row or in every other
CREATE TABLE pair (LIKE leaf1 INCLUDING ALL,
    other_id bigint NOT NULL REFERENCES parent1,
    FOREIGN KEY (parent_id) REFERENCES parent0);
CREATE TABLE optional (LIKE leaf1 INCLUDING ALL,
    other_id bigint REFERENCES parent1,
    FOREIGN KEY (parent_id) REFERENCES parent0);
-- a parent of one kind or of another
CREATE TABLE mixed (LIKE leaf1 INCLUDING ALL, parent_type text NOT NULL);

-- Keys are tenant * 1000000 + n; a row's parent is one of its tenant's.
SET session_replication_role = replica;     -- its foreign keys need no check
INSERT INTO parent0 SELECT o * 1000000 + i, o, 'parent ' || i
FROM generate_series(1, 50) o, generate_series(1, 100) i;
CREATE TEMPORARY TABLE rows AS
SELECT o::bigint, i::bigint FROM generate_series(1, 50) o,
    generate_series(1, 2000) i ORDER BY hashint8(i * 50 + o);
SELECT format('INSERT INTO parent%s SELECT o * 1000000 + i, %s'
              'o * 1000000 + 1 + i %% %s, ''parent '' || i '
              'FROM rows WHERE i <= %s', n, :'value_parent', 50 * 2 ^ n, 100 * 2 ^ n)
FROM generate_series(1, 3) n
\gexec
SELECT format('INSERT INTO %s SELECT o * 1000000 + i, %s'
              'o * 1000000 + 1 + i %% %s, i %% 1000, '
              'timestamptz ''2026-01-01 00:00Z'' '
              '+ (i * 50 + o) * interval ''1 minute'', '
              '''body '' || i%s FROM rows', name, :'value', parents, more)
FROM (VALUES ('leaf1', 100, ''), ('leaf2', 200, ''), ('leaf3', 400, ''),
    ('leaf4', 800, ''), ('bare1', 100, ''), ('bare2', 200, ''),
    ('bare3', 400, ''), ('bare4', 800, ''),
    ('pair', 100, ', o * 1000000 + 1 + i % 200'),
    ('optional', 100, ', CASE WHEN i % 2 = 0 THEN o * 1000000 + 1 + i % 200 END'),
    ('mixed', 100, ', CASE i % 3 WHEN 0 THEN ''parent0'' ELSE ''parent1'' END')
) AS t (name, parents, more)
\gexec

-- 200,000 rows for each of three tenants, of 10,000 to 80,000 parents
\if :large
CREATE TABLE largeparent0 (LIKE parent0 INCLUDING ALL);
INSERT INTO largeparent0 SELECT o * 1000000 + i, o, 'parent ' || i
FROM generate_series(6, 8) o, generate_series(1, 10000) i;
SELECT format('CREATE TABLE largeparent%s (LIKE parent1 INCLUDING ALL, '
              'FOREIGN KEY (parent_id) REFERENCES largeparent%s)', n, n - 1)
FROM generate_series(1, 3) n
\gexec
SELECT format('INSERT INTO largeparent%s SELECT o * 1000000 + i, %s'
              'o * 1000000 + 1 + i %% %s, ''parent '' || i '
              'FROM generate_series(6, 8) o, generate_series(1, %s) i '
              'ORDER BY hashint8(i * 50 + o)',
              n, :'value_parent', 5000 * 2 ^ n, 10000 * 2 ^ n)
FROM generate_series(1, 3) n
\gexec
SELECT format('CREATE TABLE large%1$s%2$s (LIKE %1$s1 INCLUDING ALL, '
              'FOREIGN KEY (parent_id) REFERENCES largeparent%3$s)',
              name, n, n - 1)
FROM (VALUES ('leaf', 1), ('leaf', 2), ('leaf', 3), ('leaf', 4),
    ('bare', 1), ('bare', 4)) AS t (name, n)
\gexec
SELECT format('INSERT INTO large%s%s SELECT o * 1000000 + i, %s'
              'o * 1000000 + 1 + i %% %s, i %% 1000, '
              'timestamptz ''2026-01-01 00:00Z'' '
              '+ (i * 50 + o) * interval ''1 minute'', ''body '' || i '
              'FROM generate_series(6::bigint, 8) o, '
              'generate_series(1::bigint, 200000) i '
              'ORDER BY hashint8(i * 50 + o)', name, n, :'value',
              5000 * 2 ^ n)
FROM (VALUES ('leaf', 1), ('leaf', 2), ('leaf', 3), ('leaf', 4),
    ('bare', 1), ('bare', 4)) AS t (name, n)
\gexec
\endif

SELECT format('bench_%s', :'schema') AS role
\gset
CREATE ROLE :role LOGIN SUPERUSER;
ALTER ROLE :role SET search_path = :schema;
SELECT format('VACUUM (FREEZE, ANALYZE) %s', c.oid::regclass)
FROM pg_class c WHERE c.relnamespace = :'schema'::regnamespace
AND c.relkind = 'r'
\gexec
