# 200,000 tenants in the registry, whose last_seen changes all the time: the
# registry is asked by index, and no plan or verified tenant is invalidated by
# it.  Then more tables than the server has room to lock at once.
use strict;
use warnings;
use Guarded;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('scale', 1, 'fsync = off', 'autovacuum = off', 'jit = off',
	'max_parallel_workers_per_gather = 0', 'max_connections = 10', 'max_locks_per_transaction = 16');
install_guard($node, 'postgres');
$node->safe_psql('postgres', q{
	BEGIN; SELECT tenantguard.begin_bypass('many tenants');
	INSERT INTO organizations (id) SELECT generate_series(3, 200000);
	INSERT INTO notes SELECT 1000 + n, 1 + n, 'note' FROM generate_series(0, 199999) n;
	COMMIT;
	VACUUM ANALYZE;
	CREATE ROLE admin LOGIN SUPERUSER;
	CREATE ROLE watcher LOGIN IN ROLE app, pg_read_all_stats;
	SELECT tenantguard.grant_bypass('app', 'job');});

# scans(code): how the registry was read meanwhile, by index and in sequence
sub scans
{
	my ($code) = @_;
	my $sql = q{SELECT pg_stat_force_next_flush(); SELECT idx_scan, seq_scan FROM pg_stat_user_tables WHERE relname = 'organizations'};
	my $count = sub { split /\|/, (split /\n/, $node->safe_psql('postgres', $sql))[-1] };
	my @before = $count->();

	$code->();
	my @after = $count->();
	return [ map { $after[$_] - $before[$_] } 0, 1 ];
}

my @app = (extra_params => [ '-U', 'app' ]);
my $loop = join '', map { "BEGIN; SET LOCAL app.current_org_id = '$_'; SELECT id, org_id FROM notes; COMMIT;\n" }
	map { 7919 * $_ } 1 .. 20;
my $flush = "SELECT pg_stat_force_next_flush();";

my $found = '';
my $read = scans(sub { $found = rows_of($node, 'postgres', $loop . $flush, @app) });
is($found =~ s/ $//r, join(' ', map { (999 + 7919 * $_) . '|' . 7919 * $_ } 1 .. 20),
	'each of 20 tenants sees its row');
is($read->[1], 0, 'the registry is never read in sequence');
is($read->[0], 20, 'and once by index for each tenant');

$read = scans(sub { $node->safe_psql('postgres', ($loop =~ s/= '\d+'/= '77'/gr) . $flush, @app) });
is_deeply($read, [ 1, 0 ], 'one that is known is not read again');

like(rows_of($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '4711'; EXPLAIN (COSTS OFF) SELECT * FROM notes", @app),
	qr/Index Cond: \(org_id = /, 'a point query uses the index');
refused($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '200001'; SELECT id FROM notes",
	'unknown_tenant', 'number 200,001 is unknown', @app);

# Others write last_seen all the time, by key, in transactions of their own.
my $busy = "$PostgreSQL::Test::Utils::tmp_check/last_seen.sql";
append_to_file($busy, q{\set org random(1, 200000)
BEGIN;
SELECT set_config('app.current_org_id', (:org)::text, true);
UPDATE organizations SET last_seen = now() WHERE id = :org;
COMMIT;
});
my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
$session->query_safe(q{
	SET plan_cache_mode = force_generic_plan;
	PREPARE list AS SELECT id, org_id FROM notes;
	PREPARE seen AS SELECT id FROM organizations;});
my $both = "BEGIN; SET LOCAL app.current_org_id = '123'; EXECUTE list; EXECUTE seen; COMMIT;";
my $plans = q{SELECT name, generic_plans, custom_plans FROM pg_prepared_statements ORDER BY name;};
is($session->query_safe($both), "1122|123\n123", 'a session works for tenant 123');

my $pgbench = IPC::Run::start([ 'pgbench', '-n', '-c', 2, '-j', 1, '-T', 600, '-M', 'prepared', '-f', $busy,
	$node->connstr('postgres') . ' user=admin' ], '>', '/dev/null', '2>', "$busy.err");
ok($node->poll_query_until('postgres', q{SELECT tenantguard.begin_bypass('look', 'session', now() + interval '1 minute') IS NOT NULL;
	SELECT count(*) > 200 FROM organizations WHERE last_seen IS NOT NULL}, "t\nt"), 'last_seen is written');
my $wrong = 0;
$wrong += $session->query_safe($both) ne "1122|123\n123" for 1 .. 300;
is($wrong, 0, 'the session goes on, 300 transactions');
ok($pgbench->pumpable, 'and last_seen goes on');
$pgbench->kill_kill;
is(slurp_file("$busy.err") =~ /ERROR/ ? slurp_file("$busy.err") : '', '', 'no write of last_seen failed');
is($session->query_safe($plans), "list|301|0\nseen|301|0", 'its plans are the generic ones');

# A suspension in the middle of it reaches the session.
$node->safe_psql('postgres', q{BEGIN; SELECT tenantguard.begin_bypass('administration');
	UPDATE organizations SET status = 'suspended' WHERE id = 123; COMMIT;});
$session->query($both);
like($session->{stderr}, qr/DETAIL:  suspended_tenant: /, 'a suspension reaches it');
$session->{stderr} = '';
$session->query('ROLLBACK');
$session->quit;

# protect_all() says beforehand that its locks would fill the server's table.
my $tables = 130;
$node->safe_psql('postgres', 'CREATE SCHEMA many; GRANT USAGE ON SCHEMA many TO app;' . join '', map {
	"CREATE TABLE many.t$_ (org_id bigint NOT NULL REFERENCES organizations, id bigint, PRIMARY KEY (org_id, id));
	INSERT INTO many.t$_ VALUES (1, $_), (2, $_); GRANT SELECT ON many.t$_ TO app;" } 1 .. $tables);
my ($code, undef, $err) = $node->psql('postgres', q{\set VERBOSITY verbose
	SELECT count(*) FROM tenantguard.protect_all('many')});
ok($code != 0 && $err =~ /ERROR:  53400: too many tables to lock at once in schema many\nDETAIL:  Found: $tables tables .* about 160 locks/,
	'protect_all of more tables than there are locks is refused');
is($node->safe_psql('postgres', "SELECT count(*) FROM tenantguard.relations WHERE relation::text LIKE 'many.%'"), 0,
	'and has protected none');

# What its hint says protects them.
my ($way) = $err =~ /in psql, (SELECT .* \\gexec)\./;
$node->safe_psql('postgres', $way);
is($node->safe_psql('postgres', "SELECT count(*), bool_and(enforced) FROM tenantguard.relations WHERE relation::text LIKE 'many.%'"),
	"$tables|t", 'one by one, as its hint says, they are protected');
is($node->safe_psql('postgres', "SELECT count(*) FROM tenantguard.protect_all('many') WHERE action = 'already'"), $tables,
	'then protect_all has nothing to lock');
$node->safe_psql('postgres', 'CREATE TABLE many.later (org_id bigint PRIMARY KEY REFERENCES organizations)');
is($node->safe_psql('postgres', "SELECT relation FROM tenantguard.protect_all('many') WHERE action = 'protected'"), 'many.later',
	'and locks no more than what is new');

# More relations in turn than the front of the cache has room for.
my $all = join '', map { "SELECT id, org_id FROM many.t$_;\n" } (1 .. $tables) x 2;
my @found = split /\n/, $node->safe_psql('postgres', "BEGIN; SET LOCAL app.current_org_id = '2';\n$all COMMIT;
	SELECT used_bytes FROM pg_backend_memory_contexts WHERE name = 'tenantguard relations'",
	extra_params => [ '-U', 'watcher' ]);
my $bytes = pop @found;
is_deeply(\@found, [ map { "$_|2" } (1 .. $tables) x 2 ], 'each of them shows its own row');
cmp_ok($bytes, '<', 256 * $tables, 'and takes less than 256 bytes of a session');

done_testing();
