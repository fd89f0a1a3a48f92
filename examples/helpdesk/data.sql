-- data.sql
--   The helpdesk's 100,000 rows: the same ones in every run.
--
-- Nothing is random.  Row i of a table (counted from 0) belongs to the
-- organization that owner_of(i) names: of every ten rows five are Acme's (1),
-- three Birch's (2) and two Cobalt's (3).  A row points at a parent through
-- twin(i, n), which keeps the last digit, hence the organization.  The demo
-- repeats this arithmetic to know what every count must be.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET search_path = helpdesk;
SET ROLE helpdesk_owner;
BEGIN;
\o /dev/null

CREATE FUNCTION pg_temp.owner_of(i integer) RETURNS integer
LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN i % 10 < 5 THEN 1 WHEN i % 10 < 8 THEN 2 ELSE 3 END $$;

-- A parent among n (a multiple of ten) rows, with i's last digit.
CREATE FUNCTION pg_temp.twin(i integer, n integer) RETURNS integer
LANGUAGE sql IMMUTABLE
AS $$ SELECT i % 10 + 10 * (i / 10 * 7 % (n / 10)) $$;

CREATE FUNCTION pg_temp.key(kind text, i integer) RETURNS uuid
LANGUAGE sql IMMUTABLE
AS $$ SELECT md5(kind || i)::uuid $$;

CREATE FUNCTION pg_temp.word(i integer) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
	SELECT (ARRAY['refund', 'login', 'invoice', 'delivery', 'printer',
				  'password', 'upgrade'])[i / 10 % 7 + 1]
$$;

INSERT INTO countries
SELECT code, 'Country ' || code
FROM unnest(string_to_array('AT BE CH CZ DE DK EE ES FI FR '
							'GB GR IE IT LU NL NO PL PT SE', ' ')) AS code;
INSERT INTO plans VALUES
	('free', 'Free', 0), ('team', 'Team', 49), ('scale', 'Scale', 490);
INSERT INTO schema_migrations
SELECT to_char(v, 'FM0000') FROM generate_series(1, 14) AS v;

INSERT INTO organizations (id, name, host, plan_code, country_code) VALUES
	(1, 'Acme Bicycles', 'acme.helpdesk.example', 'scale', 'NL'),
	(2, 'Birch Books', 'birch.helpdesk.example', 'team', 'SE'),
	(3, 'Cobalt Cafe', 'cobalt.helpdesk.example', 'free', 'PT');
SELECT setval(pg_get_serial_sequence('organizations', 'id'), 3);

INSERT INTO users
SELECT pg_temp.key('user', i), format('user%s@people.example', i),
	   md5('password' || i)
FROM generate_series(0, 299) AS i;

-- Everybody has one organization; the first hundred work for the next too.
INSERT INTO memberships
SELECT pg_temp.owner_of(i), pg_temp.key('user', i),
	   CASE WHEN i < 10 THEN 'owner' ELSE 'agent' END::member_role,
	   'Person ' || i
FROM generate_series(0, 299) AS i
UNION ALL
SELECT pg_temp.owner_of(i) % 3 + 1, pg_temp.key('user', i), 'viewer',
	   'Person ' || i
FROM generate_series(0, 99) AS i;

INSERT INTO teams (id, org_id, name)
SELECT i + 1, pg_temp.owner_of(i), 'Team ' || i
FROM generate_series(0, 59) AS i;
INSERT INTO team_members
SELECT pg_temp.owner_of(i), pg_temp.twin(i, 60) + 1, pg_temp.key('user', i)
FROM generate_series(0, 299) AS i;
INSERT INTO api_keys (id, org_id, label, secret_hash)
SELECT pg_temp.key('api', i), pg_temp.owner_of(i), 'Key ' || i,
	   md5('secret' || i)
FROM generate_series(0, 59) AS i;

INSERT INTO companies
SELECT 'company-' || to_char(i, 'FM0000'), pg_temp.owner_of(i), 'Company ' || i,
	   (SELECT code FROM countries ORDER BY code OFFSET i % 20 LIMIT 1)
FROM generate_series(0, 499) AS i;
INSERT INTO customers
SELECT pg_temp.key('customer', i), pg_temp.owner_of(i),
	   'company-' || to_char(pg_temp.twin(i, 500), 'FM0000'),
	   format('customer%s@mail.example', i), 'Customer ' || i
FROM generate_series(0, 2999) AS i;

INSERT INTO sla_policies
SELECT 'sla-' || i, pg_temp.owner_of(i), make_interval(hours => i % 24 + 1)
FROM generate_series(0, 29) AS i;
INSERT INTO custom_fields
SELECT pg_temp.owner_of(i), 'field_' || i, 'text'
FROM generate_series(0, 49) AS i;

INSERT INTO tickets (id, org_id, number, subject, body, status, priority,
					 customer_id, team_id, sla_code, custom, created_at)
SELECT i + 1, pg_temp.owner_of(i), i + 1,
	   format('A question about the %s', pg_temp.word(i)),
	   format('Case %s of our shop: please help.', md5('ticket' || i)),
	   (enum_range(NULL::ticket_status))[i / 10 % 4 + 1],
	   i / 10 % 3 + 1,
	   pg_temp.key('customer', pg_temp.twin(i, 3000)),
	   pg_temp.twin(i, 60) + 1,
	   'sla-' || pg_temp.twin(i, 30),
	   jsonb_build_object('channel', (ARRAY['mail', 'chat', 'phone', 'web',
											'app'])[i / 10 % 5 + 1]),
	   timestamptz '2025-01-01 00:00+00' + make_interval(mins => i * 40)
FROM generate_series(0, 11999) AS i;

INSERT INTO ticket_comments (id, org_id, ticket_id, author_id, body, internal)
SELECT i + 1, pg_temp.owner_of(i), pg_temp.twin(i, 12000) + 1,
	   pg_temp.key('user', pg_temp.twin(i, 300)),
	   format('Note %s on the %s', md5('comment' || i), pg_temp.word(i)),
	   i / 10 % 4 = 0
FROM generate_series(0, 29999) AS i;
INSERT INTO comment_reactions
SELECT pg_temp.twin(i, 30000) + 1, pg_temp.key('user', pg_temp.twin(i, 300)),
	   'heart'
FROM generate_series(0, 3999) AS i;
INSERT INTO attachments (id, org_id, ticket_id, file_name, meta)
SELECT pg_temp.key('file', i), pg_temp.owner_of(i),
	   pg_temp.twin(i, 12000) + 1, format('photo-%s.jpg', i),
	   jsonb_build_object('bytes', 1000 + i)
FROM generate_series(0, 2999) AS i;

INSERT INTO tags
SELECT pg_temp.owner_of(i), 'tag' || i FROM generate_series(0, 99) AS i;
INSERT INTO "ticketTags"
SELECT pg_temp.owner_of(i), pg_temp.twin(i, 12000) + 1,
	   'tag' || pg_temp.twin(i, 100)
FROM generate_series(0, 9999) AS i;

INSERT INTO satisfaction_ratings
SELECT pg_temp.twin(i, 12000) + 1, pg_temp.owner_of(i), i / 10 % 5 + 1
FROM generate_series(0, 2399) AS i;
INSERT INTO saved_filters (org_id, name, conditions)
SELECT pg_temp.owner_of(i), 'Filter ' || i, '{"status": "open"}'
FROM generate_series(0, 99) AS i;
INSERT INTO canned_replies (org_id, title, body)
SELECT pg_temp.owner_of(i), 'Reply ' || i, 'Thank you.'
FROM generate_series(0, 49) AS i
UNION ALL
SELECT NULL, 'House reply ' || i, 'Thank you.'
FROM generate_series(0, 9) AS i;

INSERT INTO articles (id, org_id, slug, title, body)
SELECT i + 1, pg_temp.owner_of(i), 'article-' || i,
	   format('How to handle a %s', pg_temp.word(i)), 'Read this first.'
FROM generate_series(0, 599) AS i;
INSERT INTO article_votes
SELECT pg_temp.twin(i, 600) + 1, 'voter' || i, i % 3 > 0
FROM generate_series(0, 1199) AS i;

INSERT INTO mailboxes
SELECT format('support%s@helpdesk.example', i), pg_temp.owner_of(i)
FROM generate_series(0, 19) AS i;
INSERT INTO email_log (org_id, mailbox, subject)
SELECT pg_temp.owner_of(i),
	   format('support%s@helpdesk.example', pg_temp.twin(i, 20)),
	   'About the ' || pg_temp.word(i)
FROM generate_series(0, 3999) AS i;
INSERT INTO webhooks
SELECT pg_temp.key('hook', i), pg_temp.owner_of(i),
	   format('https://hooks.example/%s', i)
FROM generate_series(0, 29) AS i;
INSERT INTO webhook_deliveries (org_id, webhook_id, http_status, payload)
SELECT pg_temp.owner_of(i), pg_temp.key('hook', pg_temp.twin(i, 30)),
	   CASE WHEN i / 10 % 20 = 0 THEN 500 ELSE 200 END,
	   jsonb_build_object('ticket', pg_temp.twin(i, 12000) + 1)
FROM generate_series(0, 1999) AS i;
INSERT INTO notifications
SELECT pg_temp.key('notice', i), pg_temp.owner_of(i),
	   pg_temp.key('user', pg_temp.twin(i, 300)), 'You were mentioned.'
FROM generate_series(0, 789) AS i;

INSERT INTO invoices
SELECT 'INV-' || to_char(i, 'FM00000'), pg_temp.owner_of(i), 'team', 49
FROM generate_series(0, 239) AS i;
INSERT INTO invoice_lines
SELECT 'INV-' || to_char(pg_temp.twin(i, 240), 'FM00000'), i / 240 + 1,
	   pg_temp.owner_of(i), 'Seats'
FROM generate_series(0, 719) AS i;

-- Every month has the same share of every organization.
INSERT INTO events
SELECT i + 1, pg_temp.owner_of(i),
	   timestamptz '2025-01-15 12:00+00'
	   + make_interval(months => i / 10 % 12),
	   (ARRAY['ticket.created', 'ticket.solved', 'comment.added'])
	   [i / 10 % 3 + 1],
	   jsonb_build_object('ticket', pg_temp.twin(i, 12000) + 1)
FROM generate_series(0, 23999) AS i;

-- The generator chose these keys itself; the next ones come after them.
SELECT setval(pg_get_serial_sequence('teams', 'id'), 60);
SELECT setval(pg_get_serial_sequence('tickets', 'id'), 12000);
SELECT setval(pg_get_serial_sequence('ticket_comments', 'id'), 30000);
SELECT setval(pg_get_serial_sequence('articles', 'id'), 600);

\o
COMMIT;
RESET ROLE;
VACUUM ANALYZE;
