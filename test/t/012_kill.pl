# Under load backends are killed, ended and cancelled, the disk fills up and
# the server stops at once: no tenant sees another's rows afterwards, nothing
# is half done, and no lock or slot of shared memory is lost.
#
# A full disk is a limit on the size of the server's files, which fails at the
# same places with another word.  WAL segments stay below it.
use strict;
use warnings;
use Guarded;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $tenants = 4;
my $clients = 12;
my $node = PostgreSQL::Test::Cluster->new('kill');
$node->init(extra => [ '--no-locale', '-E', 'UTF8', '--wal-segsize=1' ]);
$node->append_conf('postgresql.conf', join "\n",
	"shared_preload_libraries = 'tenantguard'", 'restart_after_crash = on',
	"max_connections = @{[ $clients + 5 ]}", 'autovacuum = off', 'log_statement = none',
	'min_wal_size = 2MB', 'max_wal_size = 32MB');
$node->start;
my $super = $node->safe_psql('postgres', 'SELECT current_user');

$node->safe_psql('postgres', qq{
	CREATE EXTENSION tenantguard;
	CREATE TABLE organizations (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active');
	CREATE TABLE accounts (org_id bigint NOT NULL REFERENCES organizations, id bigint, balance bigint NOT NULL DEFAULT 0, PRIMARY KEY (org_id, id));
	CREATE TABLE moves (org_id bigint NOT NULL, account bigint, amount bigint, FOREIGN KEY (org_id, account) REFERENCES accounts);
	CREATE INDEX ON moves (org_id);
	INSERT INTO organizations SELECT generate_series(1, $tenants);
	INSERT INTO accounts SELECT o, a FROM generate_series(1, $tenants) o, generate_series(1, 20) a;
	SELECT count(*) FROM tenantguard.adopt_registry('organizations', 'id', 'status');
	SELECT count(*) FROM tenantguard.protect_all('public');
	CREATE ROLE app LOGIN;
	GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, moves TO app;
	CREATE ROLE porter LOGIN;
	ALTER ROLE porter SET log_min_messages = fatal; -- or the log is full before the disk is
	GRANT SELECT, UPDATE ON accounts, moves, organizations TO porter;
	SELECT tenantguard.grant_bypass('porter', 'job');});

# The load: tenants at work, a worker that visits each, one that reads all and
# changes the registry.  A parallel plan where there may be one.
my %script = (
	tenant => q{
		\set tenant random(1, 4)
		\set account random(1, 20)
		\set amount random(-100, 100)
		BEGIN;
		SELECT set_config('app.current_org_id', (:tenant)::text, true);
		UPDATE accounts SET balance = balance + :amount WHERE id = :account;
		INSERT INTO moves (account, amount) VALUES (:account, :amount);
		SELECT 1 / (min(org_id) = max(org_id))::int FROM moves;
		COMMIT;},
	worker => q{
		BEGIN;
		SELECT tenantguard.begin_bypass('load');
		SELECT tenantguard.enter(1);
		SELECT 1 / (count(*) = 20)::int FROM accounts;
		SELECT tenantguard.enter(2);
		UPDATE accounts SET balance = balance WHERE id = 1;
		COMMIT;},
	porter => q{
		BEGIN;
		SELECT tenantguard.begin_bypass('load');
		SELECT 1 / (count(*) = 80)::int FROM accounts;
		UPDATE organizations SET status = 'suspended' WHERE id = 4;
		UPDATE organizations SET status = 'active' WHERE id = 4;
		COMMIT;
		SELECT tenantguard.begin_bypass('load', 'session', now() + interval '1 hour');
		SELECT sum(amount) FROM moves;});
my %role = (tenant => 'app', worker => 'porter', porter => 'porter');
my $dir = $PostgreSQL::Test::Utils::tmp_check;
append_to_file("$dir/$_.pgbench", $script{$_}) for keys %script;

my %connections = (tenant => 6, worker => 2, porter => 2);
my $options = '-c min_parallel_table_scan_size=0 -c parallel_setup_cost=0 -c parallel_tuple_cost=0';
my @load;

sub start_load
{
	my $lsn = $node->lsn('insert');

	for my $kind (sort keys %script)
	{
		local @ENV{qw(PGOPTIONS PGAPPNAME)} = ($options, 'load');
		push @load, IPC::Run::start(
			[ 'pgbench', '-n', '-M', $kind eq 'porter' ? 'simple' : 'prepared', '-T', 60, '-c', $connections{$kind},
				'-f', "$dir/$kind.pgbench", '-h', $node->host, '-p', $node->port, '-U', $role{$kind}, 'postgres' ],
			'<', \undef, '>&', "$dir/$kind.output");
	}
	$node->poll_query_until('postgres', qq{
		SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn') > 150000 AND
			(SELECT count(DISTINCT usename) = 2 FROM pg_stat_activity WHERE application_name = 'load' AND state <> 'idle')})
		or die 'no load: ' . join '', map { slurp_file("$dir/$_.output") } keys %script;
}

sub end_load
{
	$_->signal('TERM') for @load;    # INT may be ignored: a suite in the background
	$_->finish for @load;
	@load = ();
}

# one_of(role): the process of a random session of the load, at work
sub one_of
{
	my ($role) = @_;

	for (1 .. 1000)
	{
		my $pid = $node->safe_psql('postgres', qq{
			SELECT pid FROM pg_stat_activity
			WHERE application_name = 'load' AND usename = '$role' AND state <> 'idle' ORDER BY random() LIMIT 1});

		return $pid if $pid ne '';
	}
	die "no session of $role at work";
}

# kill_one(role): until the server has noticed.  A parallel worker, which may be
# at its end, is one as well: it is gone by then, or has ended and is still there
# to be killed, which nobody sees.
sub kill_one
{
	my ($role) = @_;
	my $offset = -s $node->logfile;

	for (1 .. 100)
	{
		next if PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', one_of($role)) != 0;
		for (1 .. 100)
		{
			return if slurp_file($node->logfile, $offset) =~ /was terminated by signal 9/;
			usleep(100_000);
		}
	}
	die 'nobody could be killed';
}

my $memory = q{SELECT name, size FROM pg_shmem_allocations WHERE name LIKE 'tenantguard%' ORDER BY 1};
my $allocated = $node->safe_psql('postgres', $memory);
my $record = q{SELECT relation, mode, enforced FROM tenantguard.relations ORDER BY relation::text};
my $recorded = $node->safe_psql('postgres', $record);

# holds(what happened): all that is promised
sub holds
{
	my ($after) = @_;

	ok($node->poll_query_until('postgres', q{
			SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'load'}), "$after: all sessions are gone");
	rows_are($node, 'postgres', q{SELECT count(*) FROM pg_locks WHERE pid IS DISTINCT FROM pg_backend_pid()}, '0',
		"$after: no lock is left");
	rows_are($node, 'postgres', 'SELECT count(*) FROM pg_prepared_xacts', '0', "$after: nor a prepared transaction");
	is($node->safe_psql('postgres', $memory), $allocated, "$after: shared memory is as before");
	is($node->safe_psql('postgres', $record), $recorded, "$after: so is what is guarded");
	rows_are($node, 'postgres', (join ' ', map { qq{
			BEGIN; SET LOCAL app.current_org_id = '$_';
			SELECT min(org_id), max(org_id), count(*), sum(balance) = (SELECT coalesce(sum(amount), 0) FROM moves) FROM accounts;
			SELECT count(*) FROM moves WHERE org_id <> $_;
			COMMIT;} } 1 .. $tenants), (join ' ', map { "$_|$_|20|t 0" } 1 .. $tenants),
		"$after: each tenant has its rows, and their sum is right", extra_params => [ '-U', 'app' ]);
	for my $role ($super, 'app', 'porter')
	{
		my @as = (extra_params => [ '-U', $role ]);

		refused($node, 'postgres', 'SELECT id FROM accounts', 'no_context', "$after: $role needs a tenant", @as);
		refused($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '9'; SELECT id FROM accounts",
			'unknown_tenant', "$after: which is known", @as);
	}
	rows_are($node, 'postgres', q{
		SELECT tenantguard.current_bypass() IS NULL;
		BEGIN; SELECT FROM tenantguard.begin_bypass('count');
		SELECT count(*), count(DISTINCT org_id) FROM accounts; SELECT count(*) FROM tenantguard.tenants WHERE active; COMMIT;},
		"t 80|$tenants $tenants", "$after: none is missing, and no bypass was open");
	$node->command_ok([ 'pgbench', '-n', '-t', 3, '-c', $clients, '-f', "$dir/tenant.pgbench",
			'-h', $node->host, '-p', $node->port, '-U', 'app', 'postgres' ], "$after: each connection can be had");
}

# ready(offset): the server has recovered from a crash after that of its log
sub ready
{
	$node->wait_for_log(qr/all server processes terminated; reinitializing.*database system is ready/s, $_[0]);
	$node->poll_query_until('postgres', 'SELECT true') or die 'no server';
}

for my $victim ('app', 'porter')
{
	start_load();
	my $offset = -s $node->logfile;
	kill_one($victim);
	ready($offset);
	end_load();
	holds("a session of $victim is killed");
}

# Others live on when a session is ended or its statement cancelled.
start_load();
for my $role ('app', 'porter')
{
	for my $way ('pg_terminate_backend', 'pg_cancel_backend')
	{
		my $pid = one_of($role);

		is($node->safe_psql('postgres', "SELECT count($way($pid))"), 1, "$way for a session of $role");
	}
}
my $lsn = $node->lsn('insert');
ok($node->poll_query_until('postgres', "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn') > 50000"),
	'the others go on');
end_load();
holds('sessions are ended');

# Whoever connects next gets the slots of a session that ended under a bypass,
# and so do the workers of its parallel plans.
$node->safe_psql('postgres', q{
	CREATE TABLE numbers AS SELECT generate_series(1, 10) AS n;
	CREATE FUNCTION balances() RETURNS numeric LANGUAGE plpgsql STABLE PARALLEL SAFE AS
		'BEGIN RETURN (SELECT sum(balance) FROM accounts); END';
	GRANT SELECT ON numbers TO app, porter;});
for my $role ('app', 'porter')
{
	my $session = $node->background_psql('postgres', extra_params => [ '-U', 'porter' ]);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_safe(q{SELECT FROM tenantguard.begin_bypass('cut short', 'session', now() + interval '1 hour')});
	$session->query_safe('SELECT count(*) FROM accounts');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'it lives';
	$session->{run}->kill_kill;

	local $ENV{PGOPTIONS} = "$options -c parallel_leader_participation=off";
	like(rows_of($node, 'postgres', 'SELECT n, balances() FROM numbers', extra_params => [ '-U', $role ]),
		qr/^error: .*no_context: .*parallel worker/s, "a worker of $role does not inherit the bypass of an ended session");
}

start_load();
$node->stop('immediate');
end_load();
$node->start;
holds('an immediate shutdown');

# limit(bytes): how long a file of the server's later sessions may become
sub limit
{
	my ($bytes) = @_;
	my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');

	PostgreSQL::Test::Utils::system_or_bail('prlimit', "--fsize=$bytes:", '--pid', $postmaster);
}

limit(4 * 1024 * 1024);
start_load();
like(rows_of($node, 'postgres', q{
		BEGIN; SET LOCAL app.current_org_id = '1';
		INSERT INTO moves (account, amount) SELECT 1, 0 FROM generate_series(1, 200000); COMMIT;}, extra_params => [ '-U', 'app' ]),
	qr/could not extend file/, 'the disk is full for a tenant');
like(rows_of($node, 'postgres', q{
		BEGIN; SELECT tenantguard.begin_bypass('too much');
		INSERT INTO moves SELECT 1 + n % 4, 1, 0 FROM generate_series(1, 200000) n; COMMIT;}),
	qr/could not extend file/, 'and under a bypass');
limit('unlimited');
end_load();
holds('a full disk');

# What a new database needs works as on the first day.
$node->safe_psql('postgres', 'CREATE DATABASE fresh TEMPLATE template0');
install_guard($node, 'fresh');
rows_are($node, 'fresh', "BEGIN; SET LOCAL app.current_org_id = '1'; SELECT id FROM notes ORDER BY id; COMMIT;", '11 12',
	'a new database is guarded', extra_params => [ '-U', 'app' ]);
refused($node, 'fresh', 'SELECT id FROM notes', 'no_context', 'for everybody');

done_testing();
