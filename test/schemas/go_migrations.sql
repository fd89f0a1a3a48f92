-- go_migrations.sql: a monitoring service as hand-written migrations leave
-- it: uuid keys, NULL for what all tenants share, the tenant spelled org_id,
-- orgid and organization_id, and foreign keys that go round in a circle.
CREATE SCHEMA gomig;
SET search_path = gomig;
CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint NOT NULL);
CREATE TABLE organizations (id uuid PRIMARY KEY, name text NOT NULL, state text NOT NULL DEFAULT 'active');
CREATE TABLE teams (id uuid PRIMARY KEY, org_id uuid NOT NULL REFERENCES organizations, lead_id uuid);
CREATE TABLE users (id uuid PRIMARY KEY, org_id uuid NOT NULL REFERENCES organizations, team_id uuid REFERENCES teams, last_token_id uuid);
ALTER TABLE teams ADD FOREIGN KEY (lead_id) REFERENCES users;
CREATE TABLE tokens (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES users, hash bytea);
ALTER TABLE users ADD FOREIGN KEY (last_token_id) REFERENCES tokens;
CREATE TABLE dashboards (id uuid PRIMARY KEY, org_id uuid REFERENCES organizations, title text);
CREATE TABLE panels (id uuid PRIMARY KEY, dashboard_id uuid NOT NULL REFERENCES dashboards, spec jsonb);
CREATE TABLE alert_rules (id uuid PRIMARY KEY, organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE, expr text);
CREATE TABLE alert_instances (id bigserial PRIMARY KEY, orgid uuid NOT NULL, rule_id uuid NOT NULL REFERENCES alert_rules);
CREATE TABLE silences (id uuid PRIMARY KEY, rule_id uuid REFERENCES alert_rules, dashboard_id uuid NOT NULL REFERENCES dashboards);
-- step_a, step_b, step_c: a circle that no tenant reaches
CREATE TABLE step_a (id int PRIMARY KEY, b_id int);
CREATE TABLE step_b (id int PRIMARY KEY, c_id int);
CREATE TABLE step_c (id int PRIMARY KEY, a_id int REFERENCES step_a);
ALTER TABLE step_a ADD FOREIGN KEY (b_id) REFERENCES step_b;
ALTER TABLE step_b ADD FOREIGN KEY (c_id) REFERENCES step_c;
CREATE TABLE regions (id text PRIMARY KEY);
CREATE TABLE probes (id uuid PRIMARY KEY, org_id uuid NOT NULL REFERENCES organizations, region text NOT NULL REFERENCES regions);
CREATE TABLE peerings (id uuid PRIMARY KEY, org_id uuid NOT NULL REFERENCES organizations, organization_id uuid NOT NULL REFERENCES organizations);
CREATE TABLE jobs (id bigserial PRIMARY KEY, kind text NOT NULL, args jsonb);
CREATE VIEW active_organizations AS SELECT * FROM organizations WHERE state = 'active';
CREATE MATERIALIZED VIEW usage AS SELECT org_id, count(*) AS users FROM users GROUP BY org_id;
CREATE INDEX ON users (org_id);
CREATE INDEX ON teams (org_id);
CREATE INDEX ON dashboards (org_id);
INSERT INTO organizations (id, name) VALUES ('11111111-1111-1111-1111-111111111111', 'one'), ('22222222-2222-2222-2222-222222222222', 'two'), ('33333333-3333-3333-3333-333333333333', 'late');
UPDATE organizations SET state = 'suspended' WHERE name = 'late';
INSERT INTO users (id, org_id) SELECT id, id FROM organizations;
INSERT INTO tokens (id, user_id) SELECT id, id FROM users;
INSERT INTO dashboards SELECT id, id, 'of ' || name FROM organizations;
INSERT INTO dashboards VALUES ('00000000-0000-0000-0000-000000000000', NULL, 'for all');
INSERT INTO alert_rules SELECT id, id, 'up == 0' FROM organizations;
INSERT INTO alert_instances (orgid, rule_id) SELECT id, id FROM organizations;
INSERT INTO regions VALUES ('eu'), ('us');
