-- composite_keys.sql: a warehouse whose tenant is in every key already, by
-- the name of its own table (shop), in another type in one place, and as a
-- second and third column of keys.
CREATE SCHEMA composite;
SET search_path = composite;
CREATE DOMAIN shop_number AS integer;
CREATE TABLE shops (shop_no shop_number PRIMARY KEY, title text);
CREATE TABLE items (shop_no integer NOT NULL REFERENCES shops, item_no integer NOT NULL, title text, PRIMARY KEY (shop_no, item_no));
CREATE TABLE stores (shop_no integer NOT NULL REFERENCES shops, store_no integer NOT NULL, PRIMARY KEY (store_no, shop_no));
CREATE TABLE stock (shop_no integer NOT NULL, store_no integer NOT NULL, item_no integer NOT NULL, quantity integer NOT NULL DEFAULT 0,
	PRIMARY KEY (shop_no, store_no, item_no),
	FOREIGN KEY (shop_no, item_no) REFERENCES items, FOREIGN KEY (store_no, shop_no) REFERENCES stores);
CREATE TABLE counts (s integer NOT NULL, store integer NOT NULL, item integer NOT NULL, day date NOT NULL, counted integer,
	PRIMARY KEY (s, store, item, day), FOREIGN KEY (s, store, item) REFERENCES stock (shop_no, store_no, item_no));
CREATE TABLE suppliers (shop_no bigint NOT NULL REFERENCES shops, supplier_no integer NOT NULL, PRIMARY KEY (shop_no, supplier_no));
CREATE TABLE orders (shop_no integer NOT NULL, order_no integer NOT NULL, supplier_no integer, PRIMARY KEY (shop_no, order_no),
	FOREIGN KEY (shop_no, supplier_no) REFERENCES suppliers);
CREATE TABLE order_lines (shop_no integer NOT NULL, order_no integer NOT NULL, line_no integer NOT NULL, item_no integer,
	PRIMARY KEY (shop_no, order_no, line_no), FOREIGN KEY (shop_no, order_no) REFERENCES orders ON DELETE CASCADE,
	FOREIGN KEY (shop_no, item_no) REFERENCES items);
-- from one shop to another: two tenants in a row
CREATE TABLE moves (from_shop integer NOT NULL, to_shop integer NOT NULL, item_no integer NOT NULL, quantity integer,
	PRIMARY KEY (from_shop, to_shop, item_no), FOREIGN KEY (from_shop, item_no) REFERENCES items, FOREIGN KEY (to_shop, item_no) REFERENCES items);
CREATE TABLE notes (shop_no integer, note_no integer NOT NULL PRIMARY KEY, item_no integer, body text,
	FOREIGN KEY (shop_no, item_no) REFERENCES items);
CREATE TABLE labels (label_no integer PRIMARY KEY, shop_no smallint NOT NULL, title text);
CREATE TABLE units (unit text PRIMARY KEY);
CREATE TABLE item_units (shop_no integer NOT NULL, item_no integer NOT NULL, unit text NOT NULL REFERENCES units,
	PRIMARY KEY (shop_no, item_no, unit), FOREIGN KEY (shop_no, item_no) REFERENCES items);
CREATE INDEX ON stores (shop_no);
INSERT INTO shops VALUES (1, 'one'), (2, 'two');
INSERT INTO items SELECT s, i, 'item' FROM generate_series(1, 2) AS s, generate_series(1, 2) AS i;
INSERT INTO stores SELECT s, 7 FROM generate_series(1, 2) AS s;
INSERT INTO stock SELECT s, 7, i, s * 10 + i FROM generate_series(1, 2) AS s, generate_series(1, 2) AS i;
INSERT INTO counts SELECT shop_no, store_no, item_no, '2026-01-01', quantity FROM stock;
INSERT INTO units VALUES ('kg');
INSERT INTO moves VALUES (1, 2, 1, 5);
