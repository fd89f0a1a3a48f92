# pg_dump and pg_restore: a dump is complete or fails, and what it restores is
# guarded.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('dump', 1, 'fsync = off');
install_guard($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE TABLE parts (id uuid DEFAULT gen_random_uuid(), org_id bigint NOT NULL DEFAULT 1 REFERENCES organizations, PRIMARY KEY (org_id, id))
		PARTITION BY LIST (org_id);
	CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
	CREATE TABLE parts2 PARTITION OF parts DEFAULT;
	CREATE TABLE countries (code text PRIMARY KEY);
	CREATE TABLE colours (name text PRIMARY KEY, org_id bigint REFERENCES organizations);
	CREATE INDEX ON colours (org_id);
	INSERT INTO parts (org_id) VALUES (1), (1), (2);
	INSERT INTO countries VALUES ('de'), ('fr');
	INSERT INTO colours VALUES ('red', NULL), ('blue', 1), ('green', 2);
	CREATE POLICY short ON notes AS RESTRICTIVE USING (length(body) < 100);
	SELECT count(*) FROM tenantguard.protect('parts', 'org_id');
	SELECT count(*) FROM tenantguard.protect('colours', 'org_id', true);
	SELECT count(*) FROM tenantguard.share('countries');
	SELECT tenantguard.register_lookup('status', 'organizations', '{id}', '{status}');
	CREATE ROLE saver LOGIN BYPASSRLS;
	GRANT pg_read_all_data TO saver;
	CREATE ROLE auditor LOGIN SUPERUSER;});

my $dir = $PostgreSQL::Test::Utils::tmp_check;
sub pg_dump
{
	my ($role, @options) = @_;

	return run_command([ 'pg_dump', @options, $node->connstr('postgres') . " user=$role" ]);
}

# Without a bypass
for my $role (qw(auditor saver))
{
	my ($out, $err) = pg_dump($role);
	like($err, qr/DETAIL:  (no_context|copy_refused): /, "pg_dump by $role without a bypass fails");
	like($err, qr/HINT: /, 'and says what helps');
	unlike($out, qr/one more/, 'before it printed a row');
	(undef, $err) = pg_dump($role, '--data-only', '--inserts');
	like($err, qr/DETAIL:  no_context: /, 'the same with --inserts');
}
my ($schema, $err) = pg_dump('auditor', '--schema-only');
is($err, '', 'a dump without data needs none');

# With one
like(rows_of($node, 'postgres', q{SELECT tenantguard.grant_bypass('app', 'backup')}),
	qr/cannot take a backup.*BYPASSRLS/s, 'a role that row security would stop gets no such grant');
$node->safe_psql('postgres', q{SELECT tenantguard.grant_bypass('saver', 'backup'); SELECT tenantguard.grant_bypass('auditor', 'backup')});
my $offset = -s $node->logfile;
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/all.dump", $node->connstr('postgres') . ' user=auditor' ],
	'a superuser with a grant takes a backup');
like(slurp_file($node->logfile, $offset), qr/bypass used: role=auditor reason=backup statement=COPY public\.notes/,
	'which the log says');
$node->command_ok([ 'pg_dump', '-Fd', '-j', 2, '-f', "$dir/all.dir", $node->connstr('postgres') . ' user=auditor' ],
	'and one with two workers');
$node->command_ok([ 'pg_dump', '-f', "$dir/data.sql", '-t', 'public.*', $node->connstr('postgres') . ' user=saver' ],
	'a role with BYPASSRLS and a grant takes the rows');
like(slurp_file("$dir/data.sql"), qr/\n11\t1\tone\n12\t1\tone more\n21\t2\ttwo\n/, 'of all tenants');
$node->command_ok([ 'pg_dump', '-f', "$dir/all.sql", $node->connstr('postgres') . ' user=auditor' ], 'as SQL');
$node->command_ok([ 'pg_dump', '--inserts', '-f', "$dir/inserts.sql", $node->connstr('postgres') . ' user=auditor' ],
	'as INSERT statements');
$node->safe_psql('postgres', q{SELECT tenantguard.revoke_bypass('saver'); SELECT tenantguard.revoke_bypass('auditor')});

# complete(database): every row, and every guard
my $numbers = q{
	SELECT count(*), count(DISTINCT org_id) FROM notes;
	SELECT count(*), count(DISTINCT org_id) FROM parts;
	SELECT count(*), count(DISTINCT org_id) FROM colours;
	SELECT count(*) FROM countries;
	SELECT count(*) FROM organizations;};
my $guards = q{
	SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text;
	SELECT c.relname, relrowsecurity, relforcerowsecurity, string_agg(polname, ',' ORDER BY polname)
		FROM pg_class c LEFT JOIN pg_policy ON polrelid = c.oid
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') GROUP BY 1, 2, 3 ORDER BY 1;
	SELECT registry, key_column, status_column, active_values FROM tenantguard.registry;
	SELECT tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'tenantguard%' ORDER BY 1;
	SELECT name, relid::regclass FROM tenantguard.lookup_definition;
	SELECT original_default FROM tenantguard.guarded_relation WHERE relid = 'parts'::regclass;};
my $expected = $node->safe_psql('postgres', $guards);

sub complete
{
	my ($database, $how) = @_;

	rows_are($node, $database,
		"SELECT tenantguard.begin_bypass('count', 'session', now() + interval '1 minute');$numbers",
		' 3|2 3|2 3|2 2 2', "$how: all rows are there");
	is($node->safe_psql($database, $guards), $expected, "$how: so is the guard");
	refused($node, $database, 'SELECT id FROM notes', 'no_context', "$how: it holds a superuser");
	rows_are($node, $database,
		"BEGIN; SET LOCAL app.current_org_id = '2'; SELECT id FROM notes; SELECT name FROM colours ORDER BY 1; SELECT count(*) FROM parts; COMMIT;",
		'21 green red 1', "$how: a tenant sees its rows");
	refused($node, $database, "BEGIN; SET LOCAL app.current_org_id = '3'; SELECT id FROM notes",
		'unknown_tenant', "$how: an unknown one none");
	rows_are($node, $database, q{SELECT tenantguard.lookup('status', '1')}, '{"status": "active"}', "$how: look-ups work");
}

my %restore = (
	'pg_restore' => [ 'pg_restore', "$dir/all.dump" ],
	'pg_restore -1' => [ 'pg_restore', '-1', "$dir/all.dump" ],
	'pg_restore of a directory' => [ 'pg_restore', "$dir/all.dir" ],
	'psql' => [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/all.sql" ],
	'psql with INSERT' => [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/inserts.sql" ]);
my $number = 0;
for my $how (sort keys %restore)
{
	my $database = 'restored' . ++$number;

	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	$node->command_ok([ @{ $restore{$how} }, '-d', $node->connstr($database) ], "$how: no error");
	complete($database, $how);
}

# Section by section, each with several jobs
$node->safe_psql('postgres', 'CREATE DATABASE sections TEMPLATE template0');
for my $section (qw(pre-data data post-data))
{
	$node->command_ok([ 'pg_restore', '-j', 2, "--section=$section", '-d', $node->connstr('sections'), "$dir/all.dump" ],
		"section $section");
}
complete('sections', 'section by section');

# The schema alone
$node->safe_psql('postgres', 'CREATE DATABASE bare TEMPLATE template0');
$node->command_ok([ 'pg_restore', '-s', '-d', $node->connstr('bare'), "$dir/all.dump" ], 'the schema alone');
refused($node, 'bare', 'SELECT id FROM notes', 'no_context', 'it holds ordinary roles',
	extra_params => [ '-U', 'app' ]);
# ... the policies are all that says so, and they hold a superuser as well
my @guarded = split /\n/, $node->safe_psql('postgres',
	q{SELECT relation FROM tenantguard.relations WHERE mode IN ('tenant', 'root', 'tenant_or_shared') ORDER BY 1});
is($node->safe_psql('bare', 'SELECT count(*) FROM tenantguard.relations'), '0', 'without a record');
refused($node, 'bare', "SELECT * FROM $_", 'no_context', "it holds a superuser in $_") for @guarded;
refused($node, 'bare', 'INSERT INTO organizations (id) VALUES (1)', 'no_context', 'who does not write either');
refused($node, 'bare', q{SELECT tenantguard.exempt('notes', 'mine')}, 'ddl_refused', 'nor takes a table out');
refused($node, 'bare', q{SELECT tenantguard.record_relation('notes', 'exempt', NULL, 'mine', NULL)}, 'ddl_refused',
	'by the record alone');
refused($node, 'bare', 'ALTER TABLE notes DISABLE ROW LEVEL SECURITY', 'ddl_refused', 'by ALTER TABLE');
refused($node, 'bare', 'DROP POLICY tenantguard_tenant ON notes', 'ddl_refused', 'or by the policy');
rows_are($node, 'bare', q{BEGIN; SELECT FROM tenantguard.begin_bypass('first tenant');
	INSERT INTO organizations (id, status) VALUES (1, 'active'); COMMIT;
	BEGIN; SET LOCAL app.current_org_id = '1'; INSERT INTO notes (id, body) VALUES (1, 'first') RETURNING org_id; COMMIT;},
	'1', 'a tenant works in it');
$node->safe_psql('bare', q{SELECT tenantguard.adopt_registry('organizations', 'id', 'status');
	SELECT tenantguard.protect_all('public');});
refused($node, 'bare', q{BEGIN; SET LOCAL app.current_org_id = '9'; SELECT id FROM notes; COMMIT;}, 'unknown_tenant',
	'the registry is adopted anew without a bypass');
$node->safe_psql('bare', q{BEGIN; SELECT FROM tenantguard.begin_bypass('start over');
	SELECT count(*) FROM tenantguard.unprotect('notes', 'test'); COMMIT;});
is($node->safe_psql('bare', 'SELECT count(*) FROM notes'), '1', 'and a table is taken out under one');

done_testing();
