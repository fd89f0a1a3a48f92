# A tenant that comes with the connection, a role, a database, a function or a
# file: it never refuses the connection, and counts only in sessions that are
# declared to belong to one tenant.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

my $own = 'SELECT id FROM notes ORDER BY id';
my @app = (extra_params => [ '-U', 'app' ]);

# with_options(options, code): run code with these options of the connection
sub with_options
{
	local $ENV{PGOPTIONS} = $_[0];
	return $_[1]->();
}

#
# What was stored before the library knew the setting: the check hook of its
# definition could refuse nothing.
#
my $node = guarded_node('startup', 0);
install_guard($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE ROLE by_role LOGIN; CREATE ROLE by_both LOGIN;
	GRANT SELECT ON notes, organizations TO by_role, by_both;
	CREATE DATABASE other;
	ALTER ROLE by_role SET app.current_org_id = '1';
	ALTER ROLE by_both IN DATABASE postgres SET app.current_org_id = '1';
	ALTER DATABASE other SET app.current_org_id = '1';
	CREATE FUNCTION as_two() RETURNS SETOF bigint LANGUAGE plpgsql SET app.current_org_id = '2' AS
		'BEGIN RETURN QUERY SELECT id FROM notes ORDER BY id; END';
	CREATE FUNCTION as_none() RETURNS SETOF bigint LANGUAGE plpgsql SET app.current_org_id = '' AS
		'BEGIN RETURN QUERY SELECT id FROM notes ORDER BY id; END';
	CREATE FUNCTION inlined_as_two() RETURNS SETOF bigint LANGUAGE sql STABLE SET app.current_org_id = '2' AS
		'SELECT id FROM notes ORDER BY id';});
install_guard($node, 'other');
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'tenantguard'
app.current_org_id = '1'
});
$node->restart;

refused($node, 'postgres', $own, 'stale_context', 'a value of postgresql.conf is inert', @app);
refused($node, 'postgres', $own, 'stale_context', 'and of a role', extra_params => [ '-U', 'by_role' ]);
refused($node, 'postgres', $own, 'stale_context', 'and of a role in a database',
	extra_params => [ '-U', 'by_both' ]);
refused($node, 'other', $own, 'stale_context', 'and of a database', @app);
refused($node, 'postgres', 'SELECT * FROM as_two()', 'context_source',
	'a function cannot choose the tenant', @app);
refused($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM as_two()",
	'context_source', 'nor another one than is set', @app);
refused($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '2'; SELECT * FROM as_two()",
	'context_source', 'nor the same', @app);
refused($node, 'postgres', 'SELECT * FROM inlined_as_two()', 'context_source', 'nor in SQL', @app);
like(rows_of($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; SELECT * FROM as_none()", @app),
	qr/DETAIL:  \w+: /, 'nor take it away');
like(rows_of($node, 'postgres',
		"BEGIN; SET LOCAL app.current_org_id = '1'; SELECT count(*) FROM notes; SELECT * FROM as_two()", @app),
	qr/DETAIL:  (tenant_fixed|context_source): /, 'nor change one that was used');
rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '2'; $own; COMMIT;", '21',
	'the transaction does', extra_params => [ '-U', 'by_role' ]);

# Nothing new of the kind comes in.
for my $stored (
	"ALTER ROLE app SET app.current_org_id = '1'",
	"ALTER DATABASE postgres SET app.current_org_id = '1'",
	"ALTER ROLE app IN DATABASE postgres SET app.current_org_id = '1'",
	"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.current_org_id = '1' AS 'SELECT 1'",
	"ALTER FUNCTION as_two() SET app.current_org_id = '1'")
{
	refused($node, 'postgres', $stored, 'context_source', "refused: $stored");
}
like(rows_of($node, 'postgres', "ALTER SYSTEM SET app.current_org_id = '1'"),
	qr/cannot be changed/, 'nor is ALTER SYSTEM');
refused($node, 'postgres',
	"BEGIN; UPDATE pg_settings SET setting = '2' WHERE name = 'app.current_org_id'; $own",
	'stale_context', 'nor an update of pg_settings');

#
# The options of a connection
#
with_options("-c app.current_org_id=1", sub {
	rows_are($node, 'postgres', 'SHOW app.current_org_id', '1', 'a connection may bring a value', @app);
	refused($node, 'postgres', $own, 'stale_context', 'which is inert', @app);
	rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '2'; $own; COMMIT;", '21',
		'and in nobody\'s way', @app);
	refused($node, 'postgres', $own, 'stale_context', 'for a superuser too');
});
with_options("-c app.current_org_id=not\\ a\\ key", sub {
	rows_are($node, 'postgres', 'SELECT 1', '1', 'garbage does not refuse the connection', @app);
	refused($node, 'postgres', $own, 'stale_context', 'and is inert as well', @app);
});
with_options('-c tenantguard.context_scope=session -c app.current_org_id=1', sub {
	like(rows_of($node, 'postgres', $own, @app), qr/permission denied to set parameter "tenantguard.context_scope"/,
		'who connects cannot choose the scope');
});
for my $setting (qw(enforce=log missing_context=empty))
{
	with_options("-c tenantguard.$setting", sub {
		like(rows_of($node, 'postgres', $own, @app), qr/permission denied to set parameter/,
			"nor $setting");
	});
}

#
# Sessions of one tenant
#
$node->safe_psql('postgres', q{BEGIN; SELECT FROM tenantguard.begin_bypass('a login of one tenant');
	ALTER ROLE app SET tenantguard.context_scope = session; COMMIT});
with_options("-c app.current_org_id=1", sub {
	rows_are($node, 'postgres', "$own; $own", '11 12 11 12', 'in session scope it counts', @app);
	like(rows_of($node, 'postgres', "BEGIN; $own; SET LOCAL app.current_org_id = '2'", @app),
		qr/DETAIL:  tenant_fixed: /, 'and is fixed by its use');
});
with_options("-c app.current_org_id=3", sub {
	refused($node, 'postgres', $own, 'unknown_tenant', 'an unknown one is refused', @app);
});
with_options("-c app.current_org_id=not\\ a\\ key", sub {
	like(rows_of($node, 'postgres', 'SELECT 1', @app), qr/^1/, 'garbage does not refuse the connection');
	like(rows_of($node, 'postgres', $own, @app), qr/DETAIL:  (unknown_tenant|malformed_tenant): /,
		'but its first use');
});
refused($node, 'postgres', $own, 'stale_context', 'a value of a file is inert all the same', @app);
rows_are($node, 'postgres', "SET app.current_org_id = '1'; $own; BEGIN; $own; COMMIT;", '11 12 11 12',
	'SET counts until it is set again', @app);
rows_are($node, 'postgres', "SET app.current_org_id = '1'; $own; SET app.current_org_id = '2'; $own",
	'11 12 21', 'in the next transaction', @app);
refused($node, 'postgres', "SET app.current_org_id = '1'; DISCARD ALL; $own", 'stale_context',
	'DISCARD ALL leaves what the file said', @app);
$node->safe_psql('postgres', q{BEGIN; SELECT FROM tenantguard.begin_bypass('a login of one tenant');
	ALTER ROLE by_role SET tenantguard.context_scope = session; COMMIT});
refused($node, 'postgres', $own, 'stale_context', 'a value of the role is inert all the same',
	extra_params => [ '-U', 'by_role' ]);

done_testing();
