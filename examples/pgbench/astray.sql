-- astray.sql
--   The tenant is one branch, every id is another's: nothing may be seen or
--   changed.  A row that is seen stops the client with an error.
\set bid random(1, :scale)
\set other 1 + (:bid - 1 + random(1, :scale - 1)) % :scale
\set tid random((:other - 1) * 10 + 1, :other * 10)
\set aid random((:other - 1) * 100000 + 1, :other * 100000)
BEGIN;
SELECT set_config('app.current_org_id', :bid::text, true);
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + 1 WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = :other;
UPDATE pgbench_history SET delta = delta + 1 WHERE bid = :other;
DELETE FROM pgbench_history WHERE bid = :other;
SELECT count(*) AS seen FROM pgbench_accounts WHERE aid = :aid \gset
\if :seen <> 0
SELECT 'an account of another branch was seen'::integer;
\endif
END;
