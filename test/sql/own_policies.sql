-- own_policies.sql: row security that users wrote themselves keeps its meaning
-- under guard: who may see, change, remove and add which row of his tenant is
-- what it was before, for each style of policy, role and command.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
DROP EXTENSION IF EXISTS tenantguard CASCADE;
CREATE EXTENSION tenantguard;
CREATE ROLE regress_own_owner;
CREATE ROLE regress_own_clerks;
CREATE ROLE regress_own_app;
CREATE ROLE regress_own_clerk IN ROLE regress_own_clerks;
CREATE ROLE regress_own_boss;
CREATE SCHEMA own AUTHORIZATION regress_own_owner;
SET search_path = own, public;
SET ROLE regress_own_owner;
CREATE TABLE orgs (id int PRIMARY KEY);
INSERT INTO orgs VALUES (1), (2);
CREATE TABLE access (org_id int NOT NULL REFERENCES orgs, row_id int NOT NULL, reader text NOT NULL);
INSERT INTO access VALUES (1, 12, 'regress_own_app'), (2, 21, 'regress_own_app'), (2, 22, 'regress_own_clerk');
-- Row 11 is row 1 of tenant 1; odd rows were written by the application.
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{plain,open_to_all,restrictive_only,restrictive_too,by_command,by_role,by_group,by_membership,by_function,by_definer,by_subquery,nobody,two_permissive,read_only}'::text[] LOOP
		EXECUTE format('CREATE TABLE %I (org_id int NOT NULL REFERENCES orgs, id int PRIMARY KEY, author text NOT NULL)', name);
		EXECUTE format('CREATE INDEX ON %I (org_id)', name);
		EXECUTE format($q$INSERT INTO %I SELECT o, o * 10 + i, CASE i %% 2 WHEN 1 THEN 'regress_own_app' ELSE 'regress_own_clerk' END FROM generate_series(1, 2) AS o, generate_series(1, 4) AS i$q$, name);
		IF name <> 'plain' THEN
			EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
		END IF;
	END LOOP;
END
$$;
CREATE INDEX ON access (org_id);
CREATE FUNCTION may_see(wanted int) RETURNS boolean LANGUAGE plpgsql STABLE
	AS 'BEGIN RETURN EXISTS (SELECT FROM own.access AS a WHERE a.row_id = wanted AND a.reader = current_user); END';
CREATE FUNCTION definer_sees(wanted int, who name) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = own, pg_temp
	AS 'SELECT EXISTS (SELECT FROM access AS a WHERE a.row_id = wanted AND a.reader = who)';
CREATE POLICY p ON open_to_all USING (true) WITH CHECK (true);
CREATE POLICY p ON restrictive_only AS RESTRICTIVE USING (author = current_user);
CREATE POLICY p ON restrictive_too USING (true);
CREATE POLICY r ON restrictive_too AS RESTRICTIVE USING (id % 10 < 3);
CREATE POLICY s ON by_command FOR SELECT USING (true);
CREATE POLICY i ON by_command FOR INSERT WITH CHECK (author = current_user);
CREATE POLICY u ON by_command FOR UPDATE USING (author = current_user);
CREATE POLICY a ON by_role TO regress_own_app USING (author = current_user);
CREATE POLICY b ON by_role TO regress_own_boss USING (true);
CREATE POLICY p ON by_group TO regress_own_clerks USING (true) WITH CHECK (author = current_user);
CREATE POLICY p ON by_membership USING (pg_has_role(current_user, 'regress_own_clerks', 'member') OR author = current_user);
CREATE POLICY p ON by_function USING (may_see(id));
CREATE POLICY p ON by_definer USING (definer_sees(id, current_user)) WITH CHECK (true);
CREATE POLICY p ON by_subquery USING (EXISTS (SELECT FROM access AS a WHERE a.row_id = by_subquery.id AND a.reader = current_user));
CREATE POLICY p ON two_permissive USING (author = current_user);
CREATE POLICY q ON two_permissive FOR SELECT TO regress_own_boss USING (id % 10 = 4);
CREATE POLICY p ON read_only FOR SELECT USING (true);
GRANT USAGE ON SCHEMA own TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA own TO regress_own_app, regress_own_clerk, regress_own_boss;
RESET ROLE;

-- may(phase, org): notes what each role may do to which row. Everything is
-- undone; only the notes stay.
CREATE TEMP TABLE note (phase text, org int, relation text, role text, command text, row_id int);
CREATE FUNCTION pg_temp.may(phase text, org int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	relation	text;
	role		text;
	attempt		record;
	done		int;
BEGIN
	FOR relation, role IN
		SELECT c.relname, r.rolname FROM pg_class AS c, pg_roles AS r
		WHERE c.relnamespace = 'own'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('orgs', 'access')
			AND r.rolname IN ('regress_own_app', 'regress_own_clerk', 'regress_own_boss')
	LOOP
		FOR attempt IN
			SELECT command, org * 10 + i AS row_id, format(statement, relation, org * 10 + i, org, author) AS statement
			FROM (VALUES ('read', 'SELECT 1 FROM own.%1$I WHERE id = %2$s'),
				('change', 'UPDATE own.%1$I SET author = author WHERE id = %2$s'),
				('remove', 'DELETE FROM own.%1$I WHERE id = %2$s')) AS c (command, statement),
				generate_series(1, 4) AS i, (VALUES ('')) AS a (author)
			UNION ALL
			SELECT 'add', org * 10 + i, format('INSERT INTO own.%1$I VALUES (%3$s, %2$s, %4$L)', relation, org * 10 + i, org, author)
			FROM (VALUES (8, 'regress_own_app'), (9, 'regress_own_clerk')) AS a (i, author)
		LOOP
			BEGIN
				EXECUTE format('SET LOCAL ROLE %I', role);
				EXECUTE attempt.statement;
				GET DIAGNOSTICS done = ROW_COUNT;
				RAISE EXCEPTION 'undo';
			EXCEPTION
				WHEN raise_exception THEN NULL;
				WHEN insufficient_privilege THEN done := 0;
			END;
			IF done > 0 THEN
				INSERT INTO note VALUES (phase, org, relation, role, attempt.command, attempt.row_id);
			END IF;
		END LOOP;
	END LOOP;
END
$$;
SELECT pg_temp.may('before', 1), pg_temp.may('before', 2);
-- What the policies say, as the first tenant's rows show it.
SELECT relation, role, string_agg(command || ' ' || rows, ', ' ORDER BY command) AS may
FROM (SELECT relation, replace(role, 'regress_own_', '') AS role, command, string_agg((row_id % 10)::text, '' ORDER BY row_id) AS rows
	FROM note WHERE org = 1 GROUP BY 1, 2, 3) AS n GROUP BY 1, 2 ORDER BY relation COLLATE "C", role COLLATE "C";

SELECT count(*) > 0 AS adopted FROM tenantguard.adopt_registry('orgs', 'id');
SET ROLE regress_own_owner;
SELECT count(*) AS protected FROM tenantguard.protect_all('own') WHERE action = 'protected';
RESET ROLE;
-- A partner only where nothing else would let anybody in.
SELECT polrelid::regclass AS relation, polname FROM pg_policy WHERE polname LIKE 'tenantguard%' AND polpermissive AND polrelid <> 'orgs'::regclass ORDER BY polrelid::regclass::text COLLATE "C";
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT pg_temp.may('after', 1); COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SELECT pg_temp.may('after', 2); COMMIT;
-- The same: nothing is lost, nothing gained.
SELECT * FROM (SELECT org, relation, role, command, row_id FROM note WHERE phase = 'before' EXCEPT SELECT org, relation, role, command, row_id FROM note WHERE phase = 'after') AS lost ORDER BY 1, 2, 3, 4, 5;
SELECT * FROM (SELECT org, relation, role, command, row_id FROM note WHERE phase = 'after' EXCEPT SELECT org, relation, role, command, row_id FROM note WHERE phase = 'before') AS gained ORDER BY 1, 2, 3, 4, 5;
SELECT phase, count(*) FROM note GROUP BY phase ORDER BY phase;
-- And nothing of the other tenant.
DELETE FROM note;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT pg_temp.may('astray', 2); COMMIT;
SELECT * FROM note;

-- A bypass lifts the tenant, not the user's policies.
BEGIN; SELECT FROM tenantguard.begin_bypass('report'); SET LOCAL ROLE regress_own_app; SELECT array_agg(id ORDER BY id) FROM by_role; SELECT count(*) FROM restrictive_only; ROLLBACK;
-- FORCE holds the owner as well, to the policies that are written for him.
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_own_owner; SELECT (SELECT count(*) FROM open_to_all) AS open_to_all, (SELECT count(*) FROM by_role) AS by_role, (SELECT count(*) FROM nobody) AS nobody; COMMIT;
-- Policies that come, change and go keep their meaning, too.
SET ROLE regress_own_owner;
CREATE POLICY p ON plain FOR SELECT TO regress_own_boss USING (id % 10 = 1);
ALTER POLICY p ON open_to_all USING (author = current_user);
DROP POLICY r ON restrictive_too;
DROP POLICY p ON read_only;
RESET ROLE;
PREPARE seen AS SELECT (SELECT array_agg(id ORDER BY id) FROM plain) AS plain, (SELECT array_agg(id ORDER BY id) FROM open_to_all) AS open_to_all, (SELECT array_agg(id ORDER BY id) FROM restrictive_too) AS restrictive_too, (SELECT array_agg(id ORDER BY id) FROM read_only) AS read_only;
BEGIN; SET LOCAL app.current_org_id = '1'; SET LOCAL ROLE regress_own_boss; EXECUTE seen; COMMIT;
BEGIN; SET LOCAL app.current_org_id = '2'; SET LOCAL ROLE regress_own_app; EXECUTE seen; COMMIT;
DEALLOCATE seen;

SET client_min_messages = error;
DROP EXTENSION tenantguard CASCADE;
DROP SCHEMA own CASCADE;
DROP ROLE regress_own_owner, regress_own_app, regress_own_clerk, regress_own_boss, regress_own_clerks;
