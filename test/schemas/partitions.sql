-- partitions.sql: telemetry whose partitions a function makes at run time:
-- by day, by tenant, by hash below a day, and old-style children.
CREATE SCHEMA telemetry;
SET search_path = telemetry;
CREATE TABLE customers (id bigint PRIMARY KEY, name text);
CREATE TABLE devices (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, serial text);
CREATE TABLE events (customer_id bigint NOT NULL REFERENCES customers, device_id bigint NOT NULL, at date NOT NULL, body text) PARTITION BY RANGE (at);
CREATE TABLE metrics (customer_id bigint NOT NULL REFERENCES customers, at date NOT NULL, value float8) PARTITION BY RANGE (at);
CREATE TABLE documents (customer_id bigint NOT NULL REFERENCES customers, id bigint NOT NULL, body text) PARTITION BY LIST (customer_id);
CREATE TABLE documents_1 PARTITION OF documents FOR VALUES IN (1);
CREATE TABLE documents_rest PARTITION OF documents DEFAULT;
CREATE TABLE logs (customer_id bigint NOT NULL, at date NOT NULL, line text);
CREATE TABLE logs_2025 (CHECK (at < '2026-01-01')) INHERITS (logs);
CREATE TABLE firmware (version text PRIMARY KEY);
CREATE TABLE device_firmware (device_id bigint NOT NULL REFERENCES devices, version text NOT NULL REFERENCES firmware, PRIMARY KEY (device_id, version));
CREATE TABLE rollups (customer_id bigint NOT NULL REFERENCES customers, day date NOT NULL, total bigint, PRIMARY KEY (customer_id, day));
CREATE TABLE partition_config (parent text PRIMARY KEY, step interval NOT NULL);
CREATE TABLE retention (customer_id bigint REFERENCES customers, days int NOT NULL);
CREATE TABLE migrations (id serial PRIMARY KEY, name text);
CREATE FUNCTION make_partition(parent regclass, day date) RETURNS void LANGUAGE plpgsql SET search_path = telemetry, pg_temp AS $$
BEGIN
	EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
		parent::text || to_char(day, '_YYYY_MM_DD'), parent, day, day + 1);
END
$$;
CREATE FUNCTION make_hashed(parent regclass, day date) RETURNS void LANGUAGE plpgsql SET search_path = telemetry, pg_temp AS $$
DECLARE
	child text := parent::text || to_char(day, '_YYYY_MM_DD');
BEGIN
	EXECUTE format('CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L) PARTITION BY HASH (customer_id)', child, parent, day, day + 1);
	EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 2, REMAINDER 0)', child || '_0', child);
	EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 2, REMAINDER 1)', child || '_1', child);
END
$$;
DO $$
BEGIN
	PERFORM make_partition('events', date '2026-01-01' + d) FROM generate_series(0, 8) AS d;
	PERFORM make_hashed('metrics', '2026-01-01'), make_hashed('metrics', '2026-01-02');
END
$$;
CREATE INDEX ON devices (customer_id);
CREATE INDEX ON events (customer_id);
CREATE INDEX ON metrics (customer_id);
CREATE INDEX ON documents (customer_id);
CREATE INDEX ON logs (customer_id);
INSERT INTO customers VALUES (1, 'one'), (2, 'two');
INSERT INTO devices VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO events SELECT c, c, d, 'of ' || c FROM generate_series(1, 2) AS c, (VALUES (date '2026-01-01'), ('2026-01-05')) AS v (d);
INSERT INTO metrics SELECT c, '2026-01-01', c FROM generate_series(1, 2) AS c;
INSERT INTO documents SELECT c, c, 'of ' || c FROM generate_series(1, 2) AS c;
INSERT INTO logs VALUES (1, '2026-02-02', 'one'), (2, '2026-02-02', 'two');
INSERT INTO logs_2025 VALUES (1, '2025-02-02', 'one'), (2, '2025-02-02', 'two');
INSERT INTO firmware VALUES ('1.0');
