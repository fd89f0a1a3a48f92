# The library is missing from shared_preload_libraries: the extension says how
# to add it, and the policies hold ordinary roles until then.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('late', 0);
my @app = (extra_params => [ '-U', 'app' ]);
my $own = q{SELECT id FROM notes ORDER BY id};

my ($code, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION tenantguard; DROP EXTENSION tenantguard');
is($code, 0, 'the extension can be created');
like($err, qr/WARNING:  tenantguard is not preloaded/, 'which warns');
like($err, qr/HINT:  .*shared_preload_libraries.*restart/, 'and says what helps');

install_guard($node, 'postgres');
rows_are($node, 'postgres', 'SELECT tenantguard.preloaded()', 'f', 'preloaded() says so');
rows_are($node, 'postgres', 'SELECT bool_or(enforced) FROM tenantguard.relations', 'f',
	'and so does the view relations');

# The library comes with the first policy that is asked.
rows_are($node, 'postgres', $own, '', 'no tenant, no rows', @app);
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; $own; COMMIT;", '11 12',
	'a role that row security binds sees its rows', @app);
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '3'; $own; COMMIT;", '',
	'and none for another value', @app);
rows_are($node, 'postgres',
	"BEGIN; SELECT set_config('app.current_org_id', '2', true); $own; COMMIT;", '2 21',
	'set_config does the same', @app);
rows_are($node, 'postgres',
	"BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE notes SET body = body WHERE id = 21 RETURNING id; COMMIT;",
	'', 'a foreign row is not updated', @app);
like(rows_of($node, 'postgres',
		"BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO notes VALUES (99, 2, 'x')", @app),
	qr/row-level security policy "tenantguard_tenant"/, 'nor is one inserted');
rows_are($node, 'postgres', $own, '11 12 21', 'a superuser sees all: the library alone would hold it');

# So it is with tables whose rows are tied to a tenant by others; the role may
# read neither parent.
$node->safe_psql('postgres', q{
	CREATE TABLE marks (id int PRIMARY KEY, note_id bigint NOT NULL REFERENCES notes);
	CREATE TABLE votes (id int PRIMARY KEY, mark_id int REFERENCES marks, kind text, subject bigint);
	INSERT INTO marks VALUES (111, 11), (211, 21);
	INSERT INTO votes VALUES (1, 111, NULL, NULL), (2, 211, NULL, NULL), (3, NULL, NULL, NULL), (4, NULL, 'note', 12), (5, NULL, 'note', 21), (6, 111, 'note', 21), (7, NULL, 'else', 11);
	SELECT count(*) FROM tenantguard.derive('marks');
	SELECT count(*) FROM tenantguard.derive('votes');
	SELECT tenantguard.add_link('votes', '{subject}', 'notes', '{id}', 'kind', 'note');
	CREATE ROLE reader LOGIN;
	GRANT SELECT, INSERT, UPDATE, DELETE ON marks, votes TO reader;});
my @reader = (extra_params => [ '-U', 'reader' ]);
my $marks = 'SELECT id FROM marks ORDER BY id; SELECT id FROM votes ORDER BY id';
rows_are($node, 'postgres', $marks, '', 'no tenant, none of the rows tied to one', @reader);
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; $marks; COMMIT;", '111 1 4',
	'a role sees the rows that lead to its own', @reader);
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '2'; $marks; COMMIT;", '211 2 5',
	'and another its own', @reader);
rows_are($node, 'postgres',
	"BEGIN; SET LOCAL app.current_org_id = '1'; UPDATE votes SET kind = kind RETURNING id; DELETE FROM marks WHERE id = 211 RETURNING id; ROLLBACK;",
	'1 4', 'writes none but those', @reader);
like(rows_of($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO marks VALUES (9, 21)", @reader),
	qr/row-level security policy "tenantguard_tenant"/, 'and adds none to a foreign one');
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO marks VALUES (9, 11) RETURNING id; ROLLBACK;",
	'9', 'only to its own', @reader);

# One connection, as behind a pooler.
rows_are($node, 'postgres', "SET app.current_org_id = '1'; $own",
	'', 'a tenant set before the library came does not count in a later transaction', @app);
rows_are($node, 'postgres',
	"$own; BEGIN; SET app.current_org_id = '1'; $own; COMMIT; BEGIN; $own; COMMIT;",
	'11 12', 'nor does one set in an earlier transaction', @app);
rows_are($node, 'postgres', q{
	SET plan_cache_mode = force_generic_plan;
	PREPARE list AS SELECT id FROM notes ORDER BY id;
	BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE list; COMMIT;
	EXECUTE list;
	BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE list; COMMIT;},
	'11 12 21', 'a cached plan follows the tenant', @app);

$node->safe_psql('postgres', q{
	INSERT INTO organizations SELECT generate_series(3, 100);
	INSERT INTO notes SELECT 1000 + n, 3 + n % 98, 'more' FROM generate_series(1, 20000) n;
	ANALYZE notes;});
like(rows_of($node, 'postgres',
		"BEGIN; SET LOCAL app.current_org_id = '7'; EXPLAIN (COSTS OFF) SELECT * FROM notes", @app),
	qr/Index Cond: \(org_id = tenantguard.current_tenant_bigint\(\)\)/, 'the filter uses the index');

refused($node, 'postgres', "BEGIN; SELECT tenantguard.begin_bypass('reason')",
	'not_preloaded', 'a bypass is refused');
rows_are($node, 'postgres', 'SELECT tenantguard.current_bypass() IS NULL', 't', 'none is in force');

# Stock PostgreSQL validates a key with a query, which the policies filter for
# an owner under FORCE: it counts as valid, whatever rows were hidden.
$node->safe_psql('postgres', q{
	CREATE ROLE keeper LOGIN;
	CREATE TABLE topics (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations);
	CREATE TABLE replies (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations, topic int, size int, CONSTRAINT sized CHECK (size > 0) NOT VALID);
	INSERT INTO topics VALUES (1, 1), (2, 2);
	INSERT INTO replies VALUES (10, 1, 1, 1), (20, 2, 777, 1), (30, 2, 1, 1);
	ALTER TABLE topics OWNER TO keeper;
	ALTER TABLE replies OWNER TO keeper;
	SELECT count(*) FROM tenantguard.protect('topics');
	SELECT count(*) FROM tenantguard.protect('replies');});
$node->safe_psql('postgres', 'ALTER TABLE replies ADD CONSTRAINT replies_topic FOREIGN KEY (topic) REFERENCES topics', extra_params => [ '-U', 'keeper' ]);
rows_are($node, 'postgres', q{SELECT convalidated FROM pg_constraint WHERE conname = 'replies_topic'}, 't', 'a key is valid over a row that points at nothing');

# LOAD is too late for the hooks, and says nothing else.
rows_are($node, 'postgres', "LOAD 'tenantguard'; SELECT tenantguard.preloaded(); $own LIMIT 1",
	'f 11', 'LOAD does not preload');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tenantguard'");
$node->restart;
rows_are($node, 'postgres', 'SELECT tenantguard.preloaded()', 't', 'a restart with the library');
rows_are($node, 'postgres', 'SELECT bool_and(enforced) FROM tenantguard.relations', 't', 'enforces');
refused($node, 'postgres', $own, 'no_context', 'also for a superuser');
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; $own; COMMIT;", '11 12',
	'who sees one tenant');
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; $marks; COMMIT;", '111 1 4',
	'and of what is tied to one');

# The keys from before are validated again.
my $bypass = q{BEGIN; SELECT FROM tenantguard.begin_bypass('look at every row');};
rows_are($node, 'postgres', "$bypass SELECT code, object, detail FROM tenantguard.check_rows('public');",
	'TG519|replies_topic on public.replies|row {"id": 20} of tenant 2 refers to {"topic": 777}: it points at nothing; '
	. 'row {"id": 30} of tenant 2 refers to {"topic": 1}: it points at another tenant', 'rows that it did not look at are found');
like(rows_of($node, 'postgres', "$bypass SELECT tenantguard.revalidate('replies', 'replies_topic')"),
	qr/rows of public.replies do not satisfy constraint "replies_topic"\nDETAIL:  row \{"id": 20\}/, 'and stop its validation');
refused($node, 'postgres', 'SELECT * FROM tenantguard.check_rows()', 'bypass_denied', 'which takes a bypass');
$node->safe_psql('postgres', "$bypass DELETE FROM replies WHERE id > 10; COMMIT");
rows_are($node, 'postgres', "$bypass SELECT tenantguard.revalidate('replies', 'replies_topic'); SELECT count(*) FROM tenantguard.check_rows()", ' 0', 'until they are corrected');

done_testing();
