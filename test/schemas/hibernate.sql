-- hibernate.sql: a shop as Hibernate leaves it with @TenantId: uuid tenants
-- without any foreign key to a table of them, defaults that invent a tenant,
-- joined inheritance, audit tables of Envers, names with and without quotes.
CREATE SCHEMA hibernate;
SET search_path = hibernate;
CREATE TABLE organisation (id uuid NOT NULL PRIMARY KEY, legal_name varchar(255));
CREATE TABLE customer (id bigint NOT NULL PRIMARY KEY, tenant_id uuid NOT NULL DEFAULT gen_random_uuid(), name varchar(255));
CREATE TABLE address (id bigint NOT NULL PRIMARY KEY, tenant_id uuid NOT NULL, customer_id bigint NOT NULL REFERENCES customer);
CREATE TABLE product (id bigint NOT NULL PRIMARY KEY, tenant_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000', sku varchar(64), dtype varchar(31) NOT NULL);
CREATE TABLE physical_product (id bigint NOT NULL PRIMARY KEY REFERENCES product, weight numeric(19, 2));
CREATE TABLE digital_product (id bigint NOT NULL PRIMARY KEY REFERENCES product, url varchar(255));
CREATE TABLE "Order" (id bigint NOT NULL PRIMARY KEY, "tenantId" uuid NOT NULL, customer_id bigint NOT NULL REFERENCES customer);
CREATE TABLE "OrderItem" (id bigint NOT NULL PRIMARY KEY, order_id bigint NOT NULL REFERENCES "Order", product_id bigint REFERENCES product, quantity integer NOT NULL);
CREATE TABLE discount (id bigint NOT NULL PRIMARY KEY, tenant_id varchar(36), rate numeric(5, 2));
CREATE TABLE employee (id bigint NOT NULL PRIMARY KEY, tenant_id uuid NOT NULL, company_id uuid NOT NULL, surname varchar(255));
CREATE TABLE ledger (id bigint NOT NULL PRIMARY KEY, company_id uuid NOT NULL, account_id uuid NOT NULL, amount numeric(19, 2));
CREATE TABLE revinfo (rev integer NOT NULL PRIMARY KEY, revtstmp bigint);
CREATE TABLE customer_aud (id bigint NOT NULL, rev integer NOT NULL REFERENCES revinfo, revtype smallint, tenant_id uuid, name varchar(255), PRIMARY KEY (id, rev));
CREATE TABLE product_tags (product_id bigint NOT NULL REFERENCES product, tags varchar(255));
CREATE TABLE currency (code varchar(3) NOT NULL PRIMARY KEY, digits integer NOT NULL);
CREATE TABLE price (id bigint NOT NULL PRIMARY KEY, tenant_id uuid NOT NULL, currency varchar(3) NOT NULL REFERENCES currency, product_id bigint NOT NULL REFERENCES product);
CREATE TABLE databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL, filename varchar(255) NOT NULL);
CREATE TABLE databasechangeloglock (id integer NOT NULL PRIMARY KEY, locked boolean NOT NULL);
CREATE TABLE hibernate_sequences (sequence_name varchar(255) NOT NULL PRIMARY KEY, next_val bigint);
CREATE INDEX ON customer (tenant_id);
CREATE INDEX ON product (tenant_id);
CREATE INDEX ON "Order" ("tenantId");
INSERT INTO organisation VALUES ('11111111-1111-1111-1111-111111111111', 'one'), ('22222222-2222-2222-2222-222222222222', 'two');
INSERT INTO customer VALUES (1, '11111111-1111-1111-1111-111111111111', 'ann'), (2, '22222222-2222-2222-2222-222222222222', 'bob');
INSERT INTO "Order" VALUES (1, '11111111-1111-1111-1111-111111111111', 1), (2, '22222222-2222-2222-2222-222222222222', 2);
INSERT INTO product VALUES (1, '11111111-1111-1111-1111-111111111111', 'a', 'P'), (2, '00000000-0000-0000-0000-000000000000', 'lost', 'P');
INSERT INTO discount VALUES (1, NULL, 5), (2, '22222222-2222-2222-2222-222222222222', 10);
INSERT INTO employee VALUES (1, '11111111-1111-1111-1111-111111111111', '99999999-9999-9999-9999-999999999999', 'x');
INSERT INTO ledger VALUES (1, '11111111-1111-1111-1111-111111111111', '99999999-9999-9999-9999-999999999999', 1);
INSERT INTO revinfo VALUES (1, 0);
INSERT INTO customer_aud VALUES (1, 1, 0, '11111111-1111-1111-1111-111111111111', 'ann');
INSERT INTO currency VALUES ('EUR', 2);
