# A tenant column is filled while tenants work: the backfill is paused, killed
# with kill -9 and stopped with its server, and goes on where it was.  Then the
# table is switched to the column under load.
use strict;
use warnings;
use Guarded;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rows = 20_000;
my $node = guarded_node('backfill', 1, 'restart_after_crash = on', 'log_statement = none');
my $super = $node->safe_psql('postgres', 'SELECT current_user');
my $bypass = q{SELECT tenantguard.begin_bypass('carry', scope => 'session', until => now() + interval '1 hour');};

$node->safe_psql('postgres', qq{
	CREATE EXTENSION tenantguard;
	CREATE TABLE organizations (id int PRIMARY KEY);
	CREATE TABLE tickets (id int PRIMARY KEY, org_id int NOT NULL REFERENCES organizations);
	CREATE TABLE comments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ticket_id int NOT NULL REFERENCES tickets, body text, edited int NOT NULL DEFAULT 0);
	CREATE INDEX ON tickets (org_id);
	CREATE INDEX ON comments (ticket_id);
	CREATE FUNCTION edit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.edited := OLD.edited + 1; RETURN NEW; END';
	CREATE TRIGGER edit BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION edit();
	INSERT INTO organizations SELECT generate_series(1, 4);
	INSERT INTO tickets SELECT g, 1 + g % 4 FROM generate_series(1, 400) AS g;
	INSERT INTO comments (ticket_id, body) SELECT 1 + g % 400, repeat('x', 100) FROM generate_series(1, $rows) AS g;
	ANALYZE;
	SELECT count(*) FROM tenantguard.adopt_registry('organizations', 'id');
	SELECT count(*) FROM tenantguard.protect('tickets');
	SELECT count(*) FROM tenantguard.derive('comments');
	CREATE ROLE app LOGIN;
	GRANT SELECT, INSERT, UPDATE, DELETE ON comments, tickets TO app;});
$node->safe_psql('postgres', "$bypass SELECT count(*) FROM tenantguard.add_tenant_column('comments');");

# The application knows nothing of the column.
my $script = $node->basedir . '/load.sql';
append_to_file($script, q{
	\set tenant random(1, 4)
	\set ticket random(0, 99) * 4 + :tenant - 1
	BEGIN;
	SELECT set_config('app.current_org_id', (:tenant)::text, true);
	INSERT INTO comments (ticket_id, body) SELECT id, 'new' FROM tickets ORDER BY id OFFSET :ticket % 100 LIMIT 1;
	UPDATE comments SET body = 'changed' WHERE id IN (SELECT id FROM comments WHERE ticket_id = :ticket LIMIT 2);
	DELETE FROM comments WHERE id IN (SELECT id FROM comments WHERE body = 'new' LIMIT 1);
	COMMIT;
});

my ($out, $err) = ('', '');
# load(): pgbench in the background, until it is told to stop or dies
sub load
{
	return IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-U', 'app',
			'-c', 3, '-T', 600, '--max-tries=5', '-f', $script, 'postgres' ],
		'<', \undef, '>', \$out, '2>', \$err);
}

# backfill(options): CALL in the background; its handle
sub backfill
{
	my ($options) = @_;

	return IPC::Run::start([ 'psql', '-X', '-h', $node->host, '-p', $node->port, '-U', $super,
			'-c', $bypass, '-c', "CALL tenantguard.backfill_tenant_column('comments', $options)", 'postgres' ],
		'<', \undef, '>', \my $o, '2>', \my $e);
}

sub state { return $node->safe_psql('postgres', "SELECT state FROM tenantguard.backfills") }
sub filled { return $node->safe_psql('postgres', "SELECT rows_filled FROM tenantguard.backfills") }

# more_than(count): waits until the backfill has come so far
sub more_than
{
	my ($count) = @_;

	ok($node->poll_query_until('postgres', "SELECT rows_filled > $count FROM tenantguard.backfills"),
		"more than $count rows are filled");
}

my $agree = qq{$bypass SELECT count(*) FROM comments AS c JOIN tickets AS t ON t.id = c.ticket_id WHERE c.org_id <> t.org_id;};
my $load = load();

# Paused from another session; a call ends, and the next one says why.
my $call = backfill('100, 2000');
more_than(300);
is($node->safe_psql('postgres', "SELECT tenantguard.pause_backfill('comments')"), 't', 'it is paused');
$call->finish;
is(state(), 'paused', 'and stays so');
my $before = filled();
my ($code, $stdout, $stderr) = $node->psql('postgres', "$bypass CALL tenantguard.backfill_tenant_column('comments')");
like($stderr, qr/is paused/, 'a call says that it is paused');
is(filled(), $before, 'and fills nothing');
is($node->safe_psql('postgres', "SELECT tenantguard.resume_backfill('comments')"), 't', 'it is resumed');

# Ended by an administrator, in the middle.
$call = backfill('100, 2000');
more_than($before + 300);
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL %' AND pid <> pg_backend_pid()});
$call->finish;
is(state(), 'filling', 'what was committed before it was ended counts');

# Killed with kill -9: the server recovers, and it goes on where it was.
$call = backfill('100, 2000');
more_than(filled() + 300);
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL %' AND pid <> pg_backend_pid()});
my $offset = -s $node->logfile;
is(PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid), 0, 'its backend is killed');
$node->wait_for_log(qr/all server processes terminated; reinitializing.*database system is ready/s, $offset);
ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is back');
$call->finish;
$load->finish;
my $kept = filled();
cmp_ok($kept, '>', 600, 'rows filled before the crash are counted');
is($node->safe_psql('postgres', "$bypass SELECT count(*) >= $kept FROM comments WHERE org_id IS NOT NULL") =~ s/^\n//r, 't',
	'and they are filled');

# The whole server stops at once.
$load = load();
$call = backfill('100, 2000');
more_than($kept + 300);
$node->stop('immediate');
$call->finish;
$load->finish;
$node->start;
is(state(), 'filling', 'after an immediate shutdown it can go on');

# To its end, two at a time, under load.
$load = load();
my @calls = (backfill('500'), backfill('500'));
$_->finish for @calls;
is(state(), 'filled', 'two calls fill the rest together');
is($node->safe_psql('postgres', "$bypass SELECT count(*) FROM comments WHERE org_id IS NULL") =~ s/^\n//r, 0, 'no row is left');
is($node->safe_psql('postgres', $agree) =~ s/^\n//r, 0, 'every row has the tenant of its ticket');

# The switch, under load.
$node->safe_psql('postgres', 'CREATE INDEX CONCURRENTLY ON comments (org_id, ticket_id)');
$node->safe_psql('postgres', "$bypass CALL tenantguard.finish_tenant_column('comments')");
is($node->safe_psql('postgres', "SELECT mode, tenant_column FROM tenantguard.relations WHERE relation = 'comments'::regclass"),
	'tenant|org_id', 'the table is guarded by its column');
usleep(500_000);
$load->signal('TERM');    # INT may be ignored: a suite in the background
$load->finish;
unlike($err, qr/ERROR|client \d+ .*aborted/, 'no transaction of the application failed') or diag($err);
is($node->safe_psql('postgres', "$bypass SELECT count(*) > 100 FROM comments WHERE body = 'changed'") =~ s/^\n//r, 't', 'and it worked');
is($node->safe_psql('postgres', $agree) =~ s/^\n//r, 0, 'still every row has the tenant of its ticket');
is($node->safe_psql('postgres', "$bypass SELECT count(*) FROM comments WHERE edited > 0 AND body <> 'changed'") =~ s/^\n//r, 0,
	'no trigger of the application fired for the backfill');
is($node->safe_psql('postgres', "$bypass SELECT count(*) FROM tenantguard.disagreements('comments')") =~ s/^\n//r, 0, 'nothing disagrees');
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '3'; SELECT min(org_id), max(org_id) FROM comments; COMMIT;",
	'3|3', 'a tenant sees its rows', extra_params => [ '-U', 'app' ]);

# A dump takes all of it along.
$node->safe_psql('postgres', "SELECT tenantguard.grant_bypass('$super', 'backup')");
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('copy') ], 'restored');
is($node->safe_psql('copy', 'SELECT relation, column_name, state FROM tenantguard.backfills'), 'comments|org_id|kept', 'the record is there');
is($node->safe_psql('copy', "$bypass INSERT INTO comments (ticket_id) VALUES (1) RETURNING org_id") =~ s/^\n//r, '2', 'the column is filled');
is($node->safe_psql('copy', "$bypass UPDATE tickets SET org_id = 1 WHERE id = 1; SELECT DISTINCT org_id FROM comments WHERE ticket_id = 1") =~ s/^\n//r, '1',
	'and follows its parent');

$node->stop;
done_testing();
