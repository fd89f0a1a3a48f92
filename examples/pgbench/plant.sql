-- plant.sql
--   A tenant writes a row for another branch.
\set bid random(1, :scale)
\set other 1 + (:bid - 1 + random(1, :scale - 1)) % :scale
BEGIN;
SELECT set_config('app.current_org_id', :bid::text, true);
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, :other, 1, 1, CURRENT_TIMESTAMP);
END;
