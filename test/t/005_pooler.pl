# Behind PgBouncer in transaction mode: clients share one connection of the
# server, and with it every setting that one of them leaves behind.
use strict;
use warnings;
use Guarded;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($pgbouncer) = grep { -x } '/usr/sbin/pgbouncer', map { "$_/pgbouncer" } split /:/, $ENV{PATH};
plan skip_all => 'no pgbouncer' unless $pgbouncer;

my $node = guarded_node('pooler', 1);
install_guard($node, 'postgres');
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();

# One connection to the server for each role.
append_to_file("$dir/pgbouncer.ini", join "\n", '[databases]',
	'postgres = host=' . $node->host . ' port=' . $node->port,
	'[pgbouncer]', 'listen_addr =', "listen_port = $port", "unix_socket_dir = $dir",
	"pidfile = $dir/pid", "logfile = $dir/log", 'auth_type = trust', "auth_file = $dir/users",
	'pool_mode = transaction', 'default_pool_size = 1', '');
append_to_file("$dir/users", qq("app" ""\n"porter" ""\n));

# In the foreground: it ends with us, however we end.
my $pooler = IPC::Run::start([ $pgbouncer, '-q', "$dir/pgbouncer.ini" ]);
my @clients;
END
{
	local $?;
	$_->quit for @clients;
	$pooler->kill_kill if $pooler;
}

# It is ready once it answers.
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if system("psql -XAtqc 'SELECT 1' 'host=$dir port=$port dbname=postgres user=app' >$dir/out 2>&1") == 0;
	select undef, undef, undef, 0.1;
}

# client(role): a connection to the pooler that stays
sub client
{
	my ($role) = @_;
	my $client = $node->background_psql('postgres', on_error_stop => 0,
		extra_params => [ '-d', "host=$dir port=$port dbname=postgres user=$role" ]);

	push @clients, $client;
	return $client;
}

# says(client, sql): its rows in one line, or the reason word
sub says
{
	my ($client, $sql) = @_;
	my $out = $client->query($sql);
	my $err = $client->{stderr};

	$client->{stderr} = '';
	return $1 if $err =~ /DETAIL:  (\w+): /;
	return $err ? "error: $err" : $out =~ s/\n/ /gr;
}

my ($one, $two) = (client('app'), client('app'));
my $own = 'SELECT id FROM notes ORDER BY id;';
my $pid = 'SELECT pg_backend_pid();';

is(says($one, $pid), says($two, $pid), 'both clients use one connection');

is(says($one, "BEGIN; SET LOCAL app.current_org_id = '1'; $own COMMIT;"), '11 12', 'one works for a tenant');
is(says($two, $own), 'no_context', 'two has none by that');
is(says($two, "BEGIN; SET LOCAL app.current_org_id = '2'; $own COMMIT;"), '21', 'two works for its own');

is(says($one, "SET app.current_org_id = '1';"), '', 'one forgets LOCAL');
is(says($two, 'SHOW app.current_org_id;'), '1', 'its value meets two');
is(says($two, $own), 'stale_context', 'and does not count');
is(says($two, "BEGIN; $own"), 'stale_context', 'in a transaction neither');
is(says($two, 'ROLLBACK;'), '', 'it is rolled back');
is(says($two, "INSERT INTO notes (id, body) VALUES (31, 'lost') RETURNING org_id;"), 'stale_context',
	'nor does it name the tenant of a new row');
is(says($two, 'SELECT tenantguard.current_tenant() IS NULL;'), 't', 'there is no tenant');
is(says($one, $own), 'stale_context', 'not for one itself');
is(says($two, "BEGIN; SET LOCAL app.current_org_id = '2'; $own COMMIT;"), '21', 'two sets its own');
is(says($two, $own), 'stale_context', 'until the end of its transaction');

is(says($one, "BEGIN; SET app.current_org_id = '1'; $own COMMIT;"), '11 12',
	'a SET without LOCAL counts in its transaction');
is(says($two, $own), 'stale_context', 'and not in the next one');
is(says($one, "BEGIN; SET app.current_org_id = '1'; $own ROLLBACK;"), '11 12', 'the same, rolled back');
is(says($two, $own), 'stale_context', 'nor then');

# Statements that one prepared are there for two, who runs them for its own.
is(says($one, "PREPARE list AS $own SET plan_cache_mode = force_generic_plan;"), '', 'one prepares a statement');
is(says($one, "BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE list; COMMIT;"), '11 12', 'one runs it');
is(says($two, 'EXECUTE list;'), 'stale_context', 'two has no tenant in it');
is(says($two, "BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE list; COMMIT;"), '21', 'two runs it');

# A statement that failed leaves nothing behind.
is(says($one, "BEGIN; SET LOCAL app.current_org_id = '1'; SELECT 1 / (id - id) FROM notes;") =~ /division/, 1,
	'one fails');
is(says($one, 'ROLLBACK;'), '', 'and rolls back');
is(says($two, $own), 'stale_context', 'two has no tenant by that');

# The bypass of a transaction ends with it.
$node->safe_psql('postgres', q{
	CREATE ROLE porter LOGIN; GRANT SELECT ON notes TO porter;
	SELECT tenantguard.grant_bypass('porter', 'support');});
my ($first, $second) = (client('porter'), client('porter'));
is(says($first, $pid), says($second, $pid), 'two clients of a role with a grant');
is(says($first, "BEGIN; DO \$\$ BEGIN PERFORM tenantguard.begin_bypass('ticket 1'); END \$\$; $own COMMIT;"),
	'11 12 21', 'the first opens a bypass');
is(says($second, $own), 'no_context', 'the second has none by that');

done_testing();
