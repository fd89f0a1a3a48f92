# Migrations among other sessions: held up, timed out, in a deadlock, killed,
# and tried again.
#
# Each runs in a quiet database, where nothing is in its way, and in a busy one.
# There an attempt that fails leaves nothing of a transaction, nor more of a
# CONCURRENTLY than PostgreSQL does; and in the end both databases are the same:
# tables, rows, what is recorded and enforced, and what check() finds.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Streams;
use Test::More;
use lib "$ENV{TESTDIR}/test/bench";
use Wire;

plan skip_all => 'left to the PostgreSQL of the machine itself (BRIEF)' if $ENV{BRIEF};
# Who waits last looks for a deadlock, so who does not is made patient.
my $node = streams_node('conflicts', 'deadlock_timeout = 100s', 'max_locks_per_transaction = 1000');
my $super = $node->safe_psql('postgres', 'SELECT current_user');
my @databases = qw(quiet busy);
local $SIG{PIPE} = 'IGNORE';
alarm 4 * $PostgreSQL::Test::Utils::timeout_default;    # a session that waits for ever

for my $database (@databases)
{
	make_fresh($database, 0);
	$node->safe_psql($database, 'GRANT INSERT, UPDATE, DELETE ON projects, tasks TO app');
}

# session(role, statements...): a session in the busy database that has run them
sub session
{
	my ($role, @statements) = @_;
	my $session = Wire->connect($node->host . '/.s.PGSQL.' . $node->port, $role, 'busy') or die "no session: $!";

	$session->query($_) for @statements;
	return $session;
}

# tenant(statements...): a transaction of tenant 1 that has run them
sub tenant
{
	return session('app', 'BEGIN', 'SET LOCAL app.current_org_id = 1', @_);
}

# came_of(code): "done", the error's SQLSTATE, or "closed"
sub came_of
{
	my ($code) = @_;

	return 'done' if eval { $code->(); 1 };
	return $@ =~ /^(\w{5}): / ? $1 : $@ =~ /closed the connection/ ? 'closed' : $@;
}

# attempt(session, statements...): up to the first error, which ends the transaction
sub attempt
{
	my ($session, @statements) = @_;
	my $outcome = came_of(sub { $session->query($_) for @statements });

	came_of(sub { $session->query('ROLLBACK') }) if $outcome ne 'done';
	return $outcome;
}

# A statement that waits for another session, until it does; and what came of it.
sub start
{
	my ($session, $statement) = @_;

	$session->put('Q', pack('Z*', $statement));
	$session->flush;
	$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $session->{pid}")
		or die "it does not wait: $statement";
}

sub finish
{
	my ($session) = @_;

	return came_of(sub { $session->finish });
}

sub kill_session
{
	my ($session) = @_;

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($session->{pid}, 100000)");
}

# state(database): everything that a migration leaves there
sub state
{
	my ($database) = @_;
	my $look = look($database);
	my $findings = in_session($database,
		q{SELECT code, object FROM tenantguard.check('public') WHERE severity <> 'notice' AND code < 'TG6' ORDER BY 1, 2});

	return join "\n", (map { "$_: $look->{$_}" } sort keys %$look), $findings;
}

# in_both(statements...): what comes before, in both databases
sub in_both
{
	my @statements = @_;

	$node->safe_psql($_, join(';', @statements), extra_params => [ '-U', 'owner' ]) for @databases;
}

# same(name, statements...): the busy database is what the quiet one becomes
sub same
{
	my ($name, @statements) = @_;

	$node->safe_psql('quiet', join(";\n", @statements), extra_params => [ '-U', 'owner' ]) if @statements;
	is(state('busy'), state('quiet'), "$name: in the end all is as in a quiet database");
}

# held_up(name, by a session, SQLSTATE, migration): fails, has done nothing,
# and is tried again when the other session is gone
sub held_up
{
	my ($name, $by, $error, @migration) = @_;
	my $before = state('busy');
	my $runner = session('owner');

	is(attempt($runner, @migration), $error, "$name: fails");
	is(state('busy'), $before, "$name: has done nothing");
	$by->query('ROLLBACK');
	is(attempt($runner, @migration), 'done', "$name: is tried again");
	same($name, @migration);
	$_->close for $runner, $by;
}

my $read_tasks = 'SELECT count(*) FROM tasks';
my $lock_timeout = q{SET LOCAL lock_timeout = '50ms'};

held_up('a reader of the second table', tenant($read_tasks), '55P03',
	'BEGIN', $lock_timeout,
	'CREATE TABLE labels (id bigserial PRIMARY KEY, org_id bigint NOT NULL, name text)',
	'ALTER TABLE labels ADD FOREIGN KEY (org_id) REFERENCES organizations',
	'ALTER TABLE tasks ADD COLUMN due date',
	'COMMIT');

held_up('a sign-up', session('owner', 'BEGIN', "INSERT INTO organizations VALUES (3, 'three')"), '55P03',
	'BEGIN', $lock_timeout,
	'CREATE TABLE notes (id bigserial PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations, body text)',
	'CREATE INDEX notes_org ON notes (org_id)',
	'COMMIT');

held_up('statement_timeout', tenant('SELECT count(*) FROM projects'), '57014',
	'BEGIN', q{SET LOCAL statement_timeout = '500ms'},
	'CREATE TABLE copies (LIKE tasks INCLUDING ALL)',
	'ALTER TABLE projects ADD COLUMN due date',
	'COMMIT');

held_up('DROP and CREATE', tenant('SELECT count(*) FROM labels'), '55P03',
	'BEGIN', $lock_timeout,
	'DROP TABLE notes',
	'CREATE TABLE notes (id serial PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)',
	'DROP TABLE IF EXISTS labels CASCADE',
	'CREATE TABLE labels (id serial PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)',
	'COMMIT');

in_both(map { "CREATE TABLE papers$_ (id bigint PRIMARY KEY, org_id bigint NOT NULL)" } 1 .. 5);
held_up('protect()', tenant('SELECT count(*) FROM papers1'), '55P03',
	'BEGIN', $lock_timeout, q{SELECT tenantguard.protect('papers1', 'org_id')}, 'COMMIT');
held_up('protect_all()', tenant('SELECT count(*) FROM papers3'), '55P03',
	'BEGIN', $lock_timeout, q{SELECT count(*) FROM tenantguard.protect_all('public', tenant_columns => '{org_id}')}, 'COMMIT');

# A tool that goes on after a savepoint.
{
	my $blocker = tenant($read_tasks);
	my $runner = session('owner', 'BEGIN', $lock_timeout,
		'CREATE TABLE kept (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)', 'SAVEPOINT s',
		'CREATE TABLE lost (LIKE tasks)');

	is(came_of(sub { $runner->query('ALTER TABLE tasks ADD COLUMN more text') }), '55P03', 'a savepoint: the statement fails');
	is(attempt($runner, 'ROLLBACK TO s', 'ALTER TABLE kept ADD COLUMN more text', 'CREATE TABLE lost (id bigint PRIMARY KEY)', 'COMMIT'),
		'done', 'a savepoint: the rest is done');
	same('a savepoint', 'CREATE TABLE kept (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations, more text)',
		'CREATE TABLE lost (id bigint PRIMARY KEY)');
	$_->close for $runner, $blocker;
}

# What is NOT VALID stays so when VALIDATE fails.
in_both('ALTER TABLE labels ADD COLUMN project_id bigint',
	'ALTER TABLE labels ADD CONSTRAINT labels_project FOREIGN KEY (org_id, project_id) REFERENCES projects (org_id, id) NOT VALID');
held_up('VALIDATE', session('owner', 'BEGIN', 'LOCK TABLE labels IN SHARE UPDATE EXCLUSIVE MODE'), '55P03',
	'BEGIN', $lock_timeout, 'ALTER TABLE labels VALIDATE CONSTRAINT labels_project', 'COMMIT');

# deadlock_victim(role): new sessions of this role look for deadlocks, others do not
sub deadlock_victim
{
	my ($victim) = @_;

	$node->safe_psql('postgres', "ALTER ROLE $_ SET deadlock_timeout = '" . ($_ eq $victim ? '10ms' : '100s') . "'")
		for qw(owner app);
}

# Two sessions that each want the other's table.
{
	my @migration = ('BEGIN', 'CREATE TABLE %1$s (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)',
		'ALTER TABLE tasks ADD COLUMN %1$s int', 'ALTER TABLE projects ADD COLUMN %1$s int', 'COMMIT');
	my $before = state('busy');

	deadlock_victim('owner');
	my @first = map { sprintf $_, 'first' } @migration;
	my ($tenant, $runner) = (tenant('SELECT count(*) FROM projects'), session('owner', @first[ 0 .. 2 ]));
	start($tenant, $read_tasks);
	is(attempt($runner, @first[ 3 .. 4 ]), '40P01', 'a deadlock with a tenant: the migration fails');
	is(finish($tenant), 'done', 'a deadlock with a tenant: which goes on');
	is(state('busy'), $before, 'a deadlock with a tenant: nothing is done');
	$tenant->query('COMMIT');
	is(attempt($runner, @first), 'done', 'a deadlock with a tenant: it is tried again');
	same('a deadlock with a tenant', @first);
	$_->close for $tenant, $runner;

	deadlock_victim('app');
	my @second = map { sprintf $_, 'second' } @migration;
	($tenant, $runner) = (tenant('SELECT count(*) FROM projects'), session('owner', @second[ 0 .. 2 ]));
	start($runner, $second[3]);
	is(attempt($tenant, $read_tasks), '40P01', 'a deadlock: the tenant fails');
	is(finish($runner), 'done', 'a deadlock: the migration goes on');
	$runner->query('COMMIT');
	same('a deadlock that the tenant lost', @second);
	$_->close for $tenant, $runner;
}

# Who guards a table waits for whoever does so in another transaction.
{
	in_both(map { "CREATE TABLE twin$_ (id bigint PRIMARY KEY, org_id bigint NOT NULL)" } 1 .. 2);
	my @protect = map { "SELECT tenantguard.protect('twin$_', 'org_id')" } 1 .. 2;
	my ($one, $other) = (session('owner', 'BEGIN', $protect[0]), session('owner', 'BEGIN'));

	start($other, $protect[1]);
	$one->query('COMMIT');
	is(finish($other), 'done', 'two that protect: one after the other');
	$other->query('COMMIT');
	same('two that protect', @protect);
	$_->close for $one, $other;
}

# Rails asks for its lock, Prisma, Flyway and golang-migrate wait for it; who
# holds it is killed in the middle.
{
	my @migration = ('BEGIN', 'CREATE TABLE parts (id bigserial PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)',
		'ALTER TABLE parts ADD COLUMN task_id bigint', 'COMMIT');
	my $before = state('busy');
	my $first = session('owner', 'SELECT pg_advisory_lock(72707369)', @migration[ 0 .. 1 ]);
	my $second = session('owner', q{SET lock_timeout = '100s'});
	my $asks = session('owner');
	my $try = sub { $asks->query('SELECT pg_try_advisory_lock(72707369)') =~ /t\nSELECT/ ? 't' : 'f' };

	is($try->(), 'f', 'two runners: one asks and gives up');
	start($second, 'SELECT pg_advisory_lock(72707369)');
	kill_session($first);
	is(came_of(sub { $first->query($migration[2]) }), 'closed', 'two runners: the first is killed');
	is(finish($second), 'done', 'two runners: the other goes on');
	is(state('busy'), $before, 'two runners: and finds nothing half done');
	is(attempt($second, @migration, 'SELECT pg_advisory_unlock(72707369)'), 'done', 'two runners: it does the work');
	is($try->(), 't', 'two runners: and leaves no lock');
	same('two runners', @migration);
	$_->close for $second, $asks;
}

# A runner that sleeps in its transaction, and a tenant that does.
{
	my @migration = ('BEGIN', 'CREATE TABLE slow (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)',
		'ALTER TABLE tasks ADD COLUMN slow int', 'COMMIT');
	my $before = state('busy');
	my $gone = sub { $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $_[0]->{pid}") };
	my $sleeps = session('owner', q{SET idle_in_transaction_session_timeout = '50ms'}, join(';', @migration[ 0 .. 2 ]));

	ok($gone->($sleeps), 'idle in transaction: the runner is ended');
	is(came_of(sub { $sleeps->query('COMMIT') }), 'closed', 'idle in transaction: and does not commit');
	is(state('busy'), $before, 'idle in transaction: nothing is done');

	my $tenant = tenant($read_tasks);
	my $runner = session('owner', @migration[ 0 .. 1 ]);
	start($runner, $migration[2]);
	$tenant->query(q{SET idle_in_transaction_session_timeout = '50ms'});
	is(finish($runner), 'done', 'idle in transaction: a tenant that is ended holds nobody up');
	$runner->query('COMMIT');
	same('idle in transaction', @migration);
	$runner->close;
}

# Runners that know no lock make the same table.
{
	my @table = ('CREATE TABLE %s (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)',
		'CREATE TABLE IF NOT EXISTS %s (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations)');

	for my $end (qw(COMMIT ROLLBACK))
	{
		for my $i (0 .. 1)
		{
			my $table = sprintf $table[$i], lc "made_${end}_$i";
			my ($one, $other) = (session('owner', 'BEGIN', $table), session('owner'));

			start($other, $table);
			$one->query($end);
			like(finish($other), $end eq 'COMMIT' ? qr/^(?:42P07|23505)$/ : qr/^done$/, "the same table twice, $end");
			same("the same table twice, $end", $table);
			$_->close for $one, $other;
		}
	}
}

# CONCURRENTLY: what is left is invalid, as ever, and check() says so.  A build
# waits for writers, so it is one that holds it up.
my $writer = sub { tenant('UPDATE tasks SET title = title WHERE id = 2') };
my $invalid = q{SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE NOT indisvalid};
my $said = q{SELECT string_agg(substring(object FROM '\w+'), ' ' ORDER BY object) FROM tenantguard.check('public') WHERE code = 'TG514'};

# left_invalid(name, index)
sub left_invalid
{
	my ($name, $index) = @_;

	is(in_session('busy', $invalid), $index, "$name: leaves an invalid index");
	is(in_session('busy', $said), $index, "$name: and check() says so");
}

{
	my $build = 'CREATE INDEX CONCURRENTLY %s tasks_state ON tasks (org_id, state)';
	my ($blocker, $runner) = ($writer->(), session('owner', q{SET lock_timeout = '50ms'}));

	is(attempt($runner, sprintf $build, ''), '55P03', 'a build: fails');
	left_invalid('a build', 'tasks_state');
	is(attempt($runner, sprintf $build, 'IF NOT EXISTS'), 'done', 'a build: IF NOT EXISTS is content');
	left_invalid('a build, IF NOT EXISTS', 'tasks_state');
	$blocker->query('COMMIT');
	is(attempt($runner, 'DROP INDEX CONCURRENTLY IF EXISTS tasks_state', sprintf $build, ''), 'done', 'a build: is tried again');
	same('a build', sprintf $build, '');

	$blocker = $writer->();
	is(attempt($runner, 'REINDEX INDEX CONCURRENTLY tasks_state'), '55P03', 'REINDEX: fails');
	left_invalid('REINDEX', 'tasks_state_ccnew');
	$blocker->query('COMMIT');
	is(attempt($runner, 'DROP INDEX CONCURRENTLY tasks_state_ccnew', 'REINDEX INDEX CONCURRENTLY tasks_state'), 'done', 'REINDEX: is tried again');
	same('REINDEX', 'REINDEX INDEX CONCURRENTLY tasks_state');

	is(attempt($runner, 'CREATE UNIQUE INDEX CONCURRENTLY tasks_unique ON tasks (org_id, state)'), '23505', 'a unique build: fails');
	left_invalid('a unique build', 'tasks_unique');
	is(attempt($runner, 'DROP INDEX CONCURRENTLY tasks_unique', 'CREATE UNIQUE INDEX CONCURRENTLY tasks_unique ON tasks (org_id, title)'),
		'done', 'a unique build: is corrected');
	same('a unique build', 'CREATE UNIQUE INDEX CONCURRENTLY tasks_unique ON tasks (org_id, title)');

	$blocker = $writer->();
	$runner->query('SET lock_timeout = 0');
	start($runner, 'CREATE INDEX CONCURRENTLY tasks_killed ON tasks (org_id, project_id)');
	kill_session($runner);
	is(finish($runner), 'closed', 'a killed build');
	left_invalid('a killed build', 'tasks_killed');

	# The same with the index that the tenant column has.
	$runner = session('owner', q{SET lock_timeout = '50ms'});
	is(attempt($runner, 'DROP INDEX CONCURRENTLY tasks_org'), '55P03', 'DROP INDEX: fails');
	left_invalid('DROP INDEX', 'tasks_killed tasks_org');
	$blocker->query('COMMIT');
	is(attempt($runner, map({ "DROP INDEX CONCURRENTLY $_" } qw(tasks_org tasks_killed)), 'CREATE INDEX CONCURRENTLY tasks_org ON tasks (org_id)'),
		'done', 'DROP INDEX: is tried again');
	same('DROP INDEX', 'DROP INDEX CONCURRENTLY tasks_org', 'CREATE INDEX CONCURRENTLY tasks_org ON tasks (org_id)');
	$_->close for $blocker, $runner;
}

# What takes the grant, from here on.
$node->safe_psql($_, q{SELECT tenantguard.grant_bypass('owner', 'migration')}) for @databases;

# A partition whose detaching was cut short is a partition, and guarded.
{
	my $detach = 'ALTER TABLE readings DETACH PARTITION readings_1 %s';

	in_both('CREATE TABLE readings (org_id bigint NOT NULL REFERENCES organizations, id bigint, PRIMARY KEY (org_id, id)) PARTITION BY RANGE (id)',
		(map { "CREATE TABLE readings_$_ PARTITION OF readings FOR VALUES FROM (${_}0) TO (${_}9)" } 1 .. 2),
		'INSERT INTO readings VALUES (1, 11), (2, 12), (2, 13), (1, 21)');
	my ($blocker, $runner) = (tenant('SELECT count(*) FROM readings'), session('owner'));

	start($runner, sprintf $detach, 'CONCURRENTLY');
	kill_session($runner);
	is($node->safe_psql('busy', 'SELECT inhrelid::regclass FROM pg_inherits WHERE inhdetachpending'), 'readings_1', 'DETACH: is cut short');
	for my $after ('cut short', 'done')
	{
		for my $role ('app', $super)
		{
			my ($code, $out, $err) = $node->psql('busy', 'SELECT id FROM readings_1', extra_params => [ '-U', $role ]);

			like("$out$err", qr/DETAIL:  no_context: /, "DETACH, $after: $role needs a tenant");
			is($node->safe_psql('busy', 'BEGIN; SET LOCAL app.current_org_id = 1; SELECT id FROM readings_1; COMMIT', extra_params => [ '-U', $role ]),
				'11', "DETACH, $after: and $role sees its rows");
		}
		last if $after eq 'done';
		$blocker->query('COMMIT');
		$runner = session('owner');
		is(attempt($runner, sprintf $detach, 'FINALIZE'), 'done', 'DETACH: is finished');
	}
	same('DETACH', sprintf $detach, 'CONCURRENTLY');
	$_->close for $blocker, $runner;
}

# Tenants wait for a table that is exchanged for its copy: they get the new one,
# and their rows of it.
{
	my $ids = q{SELECT 'tenants ' || string_agg(DISTINCT org_id::text, ' ') || ', ' || count(more) FROM tasks};
	my @migration = ('BEGIN', 'LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE',
		'CREATE TABLE tasks_new (LIKE tasks INCLUDING ALL)', 'INSERT INTO tasks_new SELECT * FROM tasks', q{UPDATE tasks_new SET more = 'new'},
		'GRANT SELECT ON tasks_new TO app', 'ALTER SEQUENCE tasks_id_seq OWNED BY tasks_new.id',
		'DROP TABLE tasks', 'ALTER TABLE tasks_new RENAME TO tasks', 'COMMIT');

	in_both('ALTER TABLE tasks ADD COLUMN more text');
	my @tenant = map { session($_, 'BEGIN', 'SET LOCAL app.current_org_id = 1') } 'app', $super;
	my $runner = session('owner', @migration[ 0 .. 1 ]);
	start($_, $ids) for @tenant;
	is(attempt($runner, @migration[ 2 .. 9 ]), 'done', 'an exchange: is done');
	for my $tenant (@tenant)
	{
		my $rows = eval { $tenant->finish } // $@;

		like($rows =~ tr/ -~\n//cdr, qr/tenants 1, 10\n/, 'an exchange: who waited sees its rows of the new table');
	}
	same('an exchange', @migration);
	$_->close for @tenant, $runner;
}

# A long stream under load: tenants at work, readers that keep their locks, and
# somebody who ends or cancels the runner, which starts again where it was.
my $rounds = 25;
my $columns = 'id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, org_id bigint NOT NULL';
my @style = (
	# Rails
	"BEGIN; CREATE TABLE s_K ($columns, body text); CREATE INDEX s_K_org ON s_K (org_id);
	ALTER TABLE s_K ADD FOREIGN KEY (org_id) REFERENCES organizations; DONE COMMIT;",
	# Django
	'BEGIN; ALTER TABLE tasks ADD COLUMN c_K int DEFAULT 1 NOT NULL; ALTER TABLE tasks ALTER COLUMN c_K DROP DEFAULT;
	ALTER TABLE tasks DROP COLUMN IF EXISTS c_J; DONE COMMIT;',
	# strong_migrations
	'DROP INDEX CONCURRENTLY IF EXISTS tasks_busy; CREATE INDEX CONCURRENTLY tasks_busy ON tasks (org_id, state, title); DONE',
	# a shadow copy
	'BEGIN; CREATE TABLE s_K_new (LIKE s_K INCLUDING ALL); INSERT INTO s_K_new SELECT * FROM s_K; DROP TABLE s_K;
	ALTER TABLE s_K_new RENAME TO s_K; ALTER TABLE s_K ADD FOREIGN KEY (org_id) REFERENCES organizations; DONE COMMIT;',
	# Sequelize
	"DROP TABLE IF EXISTS s_J CASCADE; CREATE TABLE IF NOT EXISTS s_J ($columns REFERENCES organizations); DONE",
	# savepoints
	'BEGIN; SAVEPOINT a; CREATE TABLE s_lost (LIKE tasks); ROLLBACK TO a; LOCK TABLE projects IN ACCESS EXCLUSIVE MODE;
	ALTER TABLE projects ADD COLUMN d_K text; SAVEPOINT b; ALTER TABLE projects DROP COLUMN d_K; RELEASE b; DONE COMMIT;');

sub migration
{
	my ($version) = @_;
	my $round = int(($version - 1) / @style);
	my $sql = $style[ ($version - 1) % @style ];

	$sql =~ s/_K/_$round/g;
	$sql =~ s/_J/'_' . ($round - 1)/ge if $round > 0;
	$sql =~ s/DONE/INSERT INTO versions VALUES ($version);/;
	return "$sql\n";
}

# catch_up(database): run what is missing, until nothing is; each attempt at the
# same migration waits longer for locks, ten times over.  Returns how often it failed.
sub catch_up
{
	my ($database) = @_;
	my $failures = 0;
	my %tries;

	while (1)
	{
		my $next = in_session($database, 'SELECT 1 + coalesce(max(id), 0) FROM versions');

		return $failures if $next > $rounds * @style;
		my $timeout = 10 * 2**($tries{$next}++ % 10);
		my ($code, $out, $err) = $node->psql($database,
			join('', "SET client_min_messages = error; SET lock_timeout = ${timeout};\n", map { migration($_) } $next .. $rounds * @style),
			extra_params => [ '-U', 'owner' ], on_error_stop => 1);

		$failures++ if $code != 0;
		note("$next: $err");
		die "no progress at $next: $err" if $tries{$next} > 100;
	}
}

my $dir = $PostgreSQL::Test::Utils::tmp_check;
my %script = (
	app => q{
		\set tenant random(1, 2)
		\set id random(1, 20)
		BEGIN;
		SET LOCAL app.current_org_id = :tenant;
		SELECT 1 / (min(org_id) = :tenant AND max(org_id) = :tenant)::int FROM tasks;
		UPDATE tasks SET title = title WHERE id = :id;
		\sleep 10 ms
		SELECT 1 / (min(org_id) = :tenant AND max(org_id) = :tenant)::int FROM projects;
		COMMIT;
		\sleep 10 ms},
	$super => q{
		SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'owner';
		\sleep 700 ms
		SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE usename = 'owner';
		\sleep 700 ms});

in_both('CREATE TABLE versions (id int PRIMARY KEY)', q{SELECT FROM tenantguard.exempt('versions', 'bookkeeping')},
	q{SELECT FROM tenantguard.exempt('lost', 'a test')}, 'GRANT UPDATE ON tasks TO app');
is(catch_up('quiet'), 0, 'a long stream in a quiet database');
my @load = map {
	append_to_file("$dir/$_.pgbench", $script{$_});
	IPC::Run::start([ 'pgbench', '-n', '-T', 600, '-c', $_ eq 'app' ? 4 : 1, '-f', "$dir/$_.pgbench",
			'-h', $node->host, '-p', $node->port, '-U', $_, 'busy' ], '<', \undef, '>&', "$dir/$_.output");
} sort keys %script;
my $failures = catch_up('busy');
cmp_ok($failures, '>', 0, "a long stream under load: it failed $failures times");
$_->signal('TERM') for @load;    # INT may be ignored: a suite in the background
$_->finish for @load;
unlike(slurp_file("$dir/$_.output"), qr/ERROR|aborted/, "a long stream under load: nothing happened to $_") for sort keys %script;
same('a long stream under load');
for my $database (@databases)
{
	is($node->safe_psql($database, q{SELECT tenantguard.assert_guarded('public')}), '', "$database: it is guarded");
}

done_testing();
