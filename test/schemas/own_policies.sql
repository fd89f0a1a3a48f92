-- own_policies.sql: notes with row security of its own, as written for
-- roles of an API: by user, by role, by team through a function, one that is
-- open to all, one that was switched off, one that is missing.
CREATE SCHEMA pols;
SET search_path = pols;
CREATE TABLE tenants (id int PRIMARY KEY, name text);
CREATE TABLE profiles (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, login text NOT NULL);
CREATE TABLE teams (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants);
CREATE TABLE team_members (tenant_id int NOT NULL REFERENCES tenants, team_id int NOT NULL REFERENCES teams, login text NOT NULL);
CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, author text NOT NULL, body text);
CREATE TABLE boards (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, team_id int NOT NULL REFERENCES teams);
CREATE TABLE cards (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, board_id int NOT NULL REFERENCES boards, title text);
CREATE TABLE salaries (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, amount int);
CREATE TABLE drafts (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, author text NOT NULL);
CREATE TABLE secrets (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, value text);
CREATE TABLE files (id int PRIMARY KEY, tenant_id int REFERENCES tenants, owner text);
CREATE TABLE emojis (id int PRIMARY KEY, name text);
CREATE TABLE card_emojis (card_id int NOT NULL REFERENCES cards, emoji_id int NOT NULL REFERENCES emojis);
CREATE INDEX ON profiles (tenant_id);
CREATE INDEX ON teams (tenant_id);
CREATE INDEX ON team_members (tenant_id);
CREATE INDEX ON notes (tenant_id);
CREATE INDEX ON boards (tenant_id);
CREATE INDEX ON cards (tenant_id);
CREATE INDEX ON salaries (tenant_id);
CREATE INDEX ON drafts (tenant_id);
CREATE INDEX ON secrets (tenant_id);
CREATE FUNCTION is_member(team int) RETURNS boolean LANGUAGE sql STABLE SET search_path = pols, pg_temp
	AS 'SELECT EXISTS (SELECT 1 FROM team_members AS m WHERE m.team_id = team AND m.login = current_user)';
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY "authors write" ON notes USING (author = current_user) WITH CHECK (author = current_user);
CREATE POLICY "all read" ON notes FOR SELECT USING (true);
ALTER TABLE boards ENABLE ROW LEVEL SECURITY;
CREATE POLICY team ON boards USING (is_member(team_id));
ALTER TABLE salaries ENABLE ROW LEVEL SECURITY;
CREATE POLICY hr ON salaries TO regress_pols_hr USING (true);
-- switched off, and meant to be
CREATE POLICY mine ON drafts USING (author = current_user);
-- on, and nobody was let in
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
-- the usual mistake: this one does not know about tenants
ALTER TABLE cards ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON cards USING (true) WITH CHECK (true);
INSERT INTO tenants VALUES (1, 'one'), (2, 'two');
INSERT INTO teams VALUES (1, 1), (2, 2), (3, 1);
INSERT INTO team_members VALUES (1, 1, 'regress_pols_app'), (2, 2, 'regress_pols_app');
INSERT INTO notes VALUES (1, 1, 'regress_pols_app', 'mine'), (2, 1, 'another', 'not mine'), (3, 2, 'regress_pols_app', 'mine, of two');
INSERT INTO boards VALUES (1, 1, 1), (2, 2, 2), (3, 1, 3);
INSERT INTO cards VALUES (1, 1, 1, 'of one'), (2, 2, 2, 'of two');
INSERT INTO salaries VALUES (1, 1, 100), (2, 2, 200);
INSERT INTO drafts VALUES (1, 1, 'regress_pols_app'), (2, 1, 'another'), (3, 2, 'another');
INSERT INTO secrets VALUES (1, 1, 'of one'), (2, 2, 'of two');
INSERT INTO emojis VALUES (1, 'smile');
