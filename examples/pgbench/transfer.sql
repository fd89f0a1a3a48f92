-- transfer.sql
--   pgbench's own transaction, for one branch: what the application adds is
--   the line with set_config().  The statements are those of -b tpcb-like,
--   without a condition on the branch.  (SET LOCAL would do under -M simple;
--   the extended protocol gives it no parameter.)
\set bid random(1, :scale)
\set tid random((:bid - 1) * 10 + 1, :bid * 10)
\set aid random((:bid - 1) * 100000 + 1, :bid * 100000)
\set delta random(-5000, 5000)
BEGIN;
SELECT set_config('app.current_org_id', :bid::text, true);
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
