# What check() finds about the server itself: its preload, now and after the
# next start, its configuration files, and its replication slots. And that what
# it proposes for a whole application, with data, runs as it stands.
use strict;
use warnings;
use FindBin;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('checked', 0, 'wal_level = logical');
my $server = q{SELECT code FROM (
	SELECT * FROM tenantguard.check_server()
	UNION ALL SELECT * FROM tenantguard.check_settings()) AS f ORDER BY code};

# run_fix(code): what check() proposes, as it stands
sub run_fix
{
	my ($code) = @_;
	my $fix = $node->safe_psql('postgres',
		"SELECT fix FROM tenantguard.check() WHERE code = '$code'");

	note($fix);
	$node->safe_psql('postgres', $fix);
}

install_guard($node, 'postgres');
rows_are($node, 'postgres', $server, 'TG601', 'the library is not preloaded');
like(rows_of($node, 'postgres', 'SELECT tenantguard.assert_guarded()'),
	qr/TG601 shared_preload_libraries/, 'which is critical');
$node->safe_psql('postgres', "ALTER SYSTEM SET shared_preload_libraries = ''");
run_fix('TG601');
$node->restart;
rows_are($node, 'postgres', $server, '', 'its fix preloads it');

$node->safe_psql('postgres', q{
	SELECT tenantguard.begin_bypass('a mistake', scope => 'session', until => now() + interval '1 hour');
	ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'});
rows_are($node, 'postgres', $server, 'TG602', 'the next start would not');
rows_are($node, 'postgres', "SET ROLE app; $server", '', 'others are not told what is in the files');
run_fix('TG602');
rows_are($node, 'postgres', $server, '', 'its fix keeps what else is loaded');
$node->restart;
rows_are($node, 'postgres', 'SHOW shared_preload_libraries', 'tenantguard, auto_explain',
	'as the next start shows');

$node->append_conf('postgresql.conf',
	"tenantguard.enforce = 'log'\ntenantguard.missing_context = 'empty'");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT current_setting('tenantguard.enforce') = 'log'"),
	'the files say to report only');
rows_are($node, 'postgres', $server, 'TG603 TG605', 'and check() says so');
run_fix($_) for 'TG603', 'TG605';
$node->reload;
ok($node->poll_query_until('postgres', "SELECT current_setting('tenantguard.enforce') = 'on'"),
	'the fix takes it back');
rows_are($node, 'postgres', $server, '', 'and nothing is left');

$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('decodes', 'pgoutput')");
rows_are($node, 'postgres', 'SELECT code, object FROM tenantguard.check_server()',
	'TG611|slot decodes', 'a logical slot');
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('decodes')");
rows_are($node, 'postgres', $server, '', 'is gone');

# The helpdesk of the examples. What foreign keys refer to is proposed once
# they are converted, so there is a second round, and nothing to do in a third.
# Some fixes are lines for psql, as this is.
my $app = "$FindBin::Bin/../../examples/helpdesk";
my $proposed = q{SELECT count(fix) FROM tenantguard.check('helpdesk') WHERE code > 'TG4'};

$node->safe_psql('postgres', 'CREATE DATABASE helpdesk');
$node->psql('helpdesk', undef, on_error_die => 1, extra_params => [ '-f', "$app/$_.sql" ])
	for 'schema', 'data';
$node->safe_psql('helpdesk', q{
	CREATE EXTENSION tenantguard;
	SELECT count(*) FROM tenantguard.adopt_registry('helpdesk.organizations', 'id');
	SELECT count(*) FROM tenantguard.protect_all('helpdesk');});
my $rows = rows_of($node, 'helpdesk', 'SELECT count(*) FROM pg_constraint WHERE contype = $$f$$');

cmp_ok(rows_of($node, 'helpdesk', $proposed), '>', 20, 'a whole application');
for my $round (1, 2)
{
	foreach my $fix (split /\n/, $node->safe_psql('helpdesk',
			q{SELECT fix FROM tenantguard.check('helpdesk') WHERE code > 'TG4' AND fix IS NOT NULL}))
	{
		$node->safe_psql('helpdesk', "SELECT FROM tenantguard.begin_bypass('what check() says', 'session', now() + '1 hour');\n$fix");
	}
}
rows_are($node, 'helpdesk', $proposed, '0', 'takes what is proposed');
rows_are($node, 'helpdesk', 'SELECT count(*) FROM pg_constraint WHERE contype = $$f$$', $rows,
	'and keeps its foreign keys');

done_testing();
