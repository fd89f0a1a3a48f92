# A backend is killed, the server dies: nothing is lost, nothing is open.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('crash', 1, 'restart_after_crash = on', 'log_line_prefix = \'%p \'');
install_guard($node, 'postgres');

my $own = 'SELECT id FROM notes ORDER BY id';
my $counts = q{
	BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*), count(DISTINCT org_id), min(org_id) FROM notes; COMMIT;
	BEGIN; SET LOCAL app.current_org_id = '2'; SELECT count(*), count(DISTINCT org_id), min(org_id) FROM notes; COMMIT;};

# guarded(round): what must hold whenever the server is back
sub guarded
{
	my ($round) = @_;

	rows_are($node, 'postgres', $counts, '2|1|1 1|1|2', "$round: each tenant sees its rows");
	refused($node, 'postgres', $own, 'no_context', "$round: without a tenant nobody sees any");
	refused($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '3'; $own",
		'unknown_tenant', "$round: the registry is asked");
	rows_are($node, 'postgres', 'SELECT bool_and(enforced), count(*) FROM tenantguard.relations', 't|2',
		"$round: both relations are guarded");
	rows_are($node, 'postgres', 'SELECT tenantguard.current_bypass() IS NULL', 't',
		"$round: no bypass is open");
}

# in_the_middle(sql): a session that has run sql and is idle in transaction
sub in_the_middle
{
	my ($sql) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query_safe('SET client_min_messages = error');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_safe($sql);
	return ($session, $pid);
}

guarded('before');

# A backend dies with a tenant pinned and rows written.
my ($session, $pid) = in_the_middle(q{
	BEGIN; SET LOCAL app.current_org_id = '1';
	INSERT INTO notes (id, body) VALUES (13, 'lost'); DELETE FROM notes WHERE id = 11;});
my $offset = -s $node->logfile;
is(PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid), 0, 'a backend is killed');
$node->wait_for_log(qr/all server processes terminated; reinitializing.*database system is ready/s, $offset);
ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is back');
$session->{run}->kill_kill;
guarded('after kill -9 under a tenant');

# A backend dies with a bypass open, of the transaction and of the session.
($session, $pid) = in_the_middle(q{
	SELECT tenantguard.begin_bypass('until the crash', 'session', now() + interval '1 hour');
	BEGIN; UPDATE notes SET org_id = 2; SELECT tenantguard.unprotect('notes', 'half done');});
$offset = -s $node->logfile;
is(PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid), 0, 'another backend is killed');
$node->wait_for_log(qr/all server processes terminated; reinitializing.*database system is ready/s, $offset);
ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is back');
$session->{run}->kill_kill;
guarded('after kill -9 under a bypass');

# The server stops at once while sessions are in the middle of things.
($session) = in_the_middle(q{
	BEGIN; SET LOCAL app.current_org_id = '2'; UPDATE notes SET body = 'lost';});
my ($admin) = in_the_middle(q{
	BEGIN; SELECT tenantguard.begin_bypass('until the crash');
	UPDATE organizations SET status = 'suspended' WHERE id = 1;});
$node->stop('immediate');
$_->{run}->kill_kill for $session, $admin;
$node->start;
guarded('after an immediate shutdown');

# What was committed before an immediate shutdown is in force after it.
$node->safe_psql('postgres', q{
	BEGIN; SELECT tenantguard.begin_bypass('administration');
	UPDATE organizations SET status = 'suspended' WHERE id = 1; COMMIT;});
$node->stop('immediate');
$node->start;
refused($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; $own", 'suspended_tenant',
	'a suspended tenant stays suspended');

# A prepared transaction keeps what it wrote, not its tenant.
$node->safe_psql('postgres', q{
	BEGIN; SELECT tenantguard.begin_bypass('administration');
	UPDATE organizations SET status = 'active' WHERE id = 1; COMMIT;});
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->restart;
$node->safe_psql('postgres', q{
	BEGIN; SET LOCAL app.current_org_id = '1';
	UPDATE notes SET body = 'kept' WHERE id = 11; PREPARE TRANSACTION 'half';});
$node->stop('immediate');
$node->start;
refused($node, 'postgres', "COMMIT PREPARED 'half'; $own", 'no_context',
	'the session that commits it has no tenant by that');
rows_are($node, 'postgres',
	"BEGIN; SET LOCAL app.current_org_id = '1'; SELECT body FROM notes WHERE id = 11; COMMIT", 'kept',
	'its rows are there');
guarded('after a prepared transaction');

done_testing();
