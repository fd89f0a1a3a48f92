# What would open the guard beside the tables: settings that ALTER SYSTEM writes,
# other databases, dumps with privileges, and a script of an extension.
use strict;
use warnings;
use lib 'test/bench';
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;
use Wire;

my $node = guarded_node('drift', 1);
install_guard($node, 'postgres');
my $super = $node->safe_psql('postgres', 'SELECT current_user');

# bypass(sql): run sql under a bypass of the session
sub bypass
{
	return $node->safe_psql('postgres',
		"SELECT FROM tenantguard.begin_bypass('administration', scope => 'session', until => now() + interval '1 hour'); $_[0]");
}

# written(): what ALTER SYSTEM has written, in one line
sub written
{
	return join ' ', grep { !/^#/ } split /\n/, slurp_file($node->data_dir . '/postgresql.auto.conf');
}

#
# ALTER SYSTEM
#
for my $set ("tenantguard.enforce = 'log'", "tenantguard.new_table = warn", "tenantguard.context_scope = 'session'",
	"session_replication_role = replica", "row_security = off", "allow_system_table_mods = on",
	"shared_preload_libraries = ''", "shared_preload_libraries = 'auto_explain', 'tenantguard'",
	"dynamic_library_path = '/tmp'")
{
	refused($node, 'postgres', "ALTER SYSTEM SET $set", 'ddl_refused', "ALTER SYSTEM SET $set");
}
is(written(), '', 'nothing was written');
for my $set ("tenantguard.new_table = 'refuse'", "tenantguard.missing_context = 'empty'", "work_mem = '5MB'",
	"shared_preload_libraries = 'tenantguard', 'auto_explain'", "session_preload_libraries = 'auto_explain'")
{
	is(rows_of($node, 'postgres', "ALTER SYSTEM SET $set"), '', "ALTER SYSTEM SET $set is stored");
}
for my $reset ('RESET shared_preload_libraries', 'SET shared_preload_libraries TO DEFAULT', 'RESET tenantguard.new_table', 'RESET ALL')
{
	refused($node, 'postgres', "ALTER SYSTEM $reset", 'ddl_refused', "ALTER SYSTEM $reset, where what is written is strict");
}
is(rows_of($node, 'postgres', 'ALTER SYSTEM RESET work_mem; ALTER SYSTEM RESET tenantguard.missing_context'), '', 'other RESETs pass');
like(written(), qr/shared_preload_libraries = 'tenantguard, auto_explain'/, 'what was strict is still written');
$node->restart;
refused($node, 'postgres', 'SELECT * FROM notes', 'no_context', 'and the next start guards');
# what is in front by now may stay there
bypass("ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'tenantguard'");
$node->restart;
is(rows_of($node, 'postgres', "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'tenantguard', 'pg_stat_statements'"), '',
	'a module in front that is there already');
bypass("ALTER SYSTEM RESET ALL; ALTER SYSTEM SET tenantguard.enforce = 'log'");
is(written(), "tenantguard.enforce = 'log'", 'under a bypass everything is written');
like(slurp_file($node->logfile), qr/bypass used: role=\Q$super\E reason='administration' statement=.*ALTER SYSTEM SET tenantguard\.enforce/,
	'and the log says so');
is(rows_of($node, 'postgres', 'ALTER SYSTEM RESET tenantguard.enforce'), '', 'what opens goes without one');

#
# By the extended protocol
#
my $wire = Wire->connect($node->host . '/.s.PGSQL.' . $node->port, $super, 'postgres');
for my $sql ('GRANT TRUNCATE ON notes TO app', 'ALTER ROLE app SET tenantguard.enforce = log',
	'CREATE PUBLICATION p FOR ALL TABLES')
{
	my $reason = '';

	$wire->put('P', "\0$sql\0" . pack('n', 0));
	$wire->put('B', "\0\0" . pack('n n n', 0, 0, 0));
	$wire->put('E', "\0" . pack('N', 0));
	$wire->put('S', '');
	syswrite $wire->{socket}, $wire->{out};
	$wire->{out} = '';
	while (1)
	{
		my ($type, $body) = $wire->message;

		($reason) = $body =~ /\0D(\w+): / if $type eq 'E';
		last if $type eq 'Z';
	}
	is($reason, 'ddl_refused', "$sql by the extended protocol");
}
$wire->close;

#
# A database without the extension: nobody could declare a bypass there
#
$node->safe_psql('postgres', 'CREATE DATABASE beside');
for my $sql ('ALTER DATABASE postgres SET tenantguard.enforce = log', "ALTER SYSTEM SET shared_preload_libraries = ''")
{
	my ($code, $out, $err) = $node->psql('beside', $sql);

	ok($code == 0 && $err =~ /WARNING: .* opens the guard/, "$sql elsewhere is warned of");
}
$node->safe_psql('beside', 'ALTER DATABASE postgres RESET tenantguard.enforce; ALTER SYSTEM RESET shared_preload_libraries');

#
# Dumps: what GRANT ALL left is restored, what a bypass granted is not, but
# by one
#
$node->safe_psql('postgres', q{
	CREATE ROLE etl; CREATE ROLE loader;
	GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
	BEGIN; SELECT FROM tenantguard.begin_bypass('the nightly load');
	GRANT SELECT, TRUNCATE ON notes TO etl; GRANT TRUNCATE ON notes TO loader;
	COMMIT;
	CREATE ROLE saver LOGIN SUPERUSER;
	SELECT tenantguard.grant_bypass('saver', 'backup')});
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/drift.dump';
$node->command_ok([ 'pg_dump', '-U', 'saver', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my ($stdout, $stderr);
IPC::Run::run [ 'pg_restore', '-d', $node->connstr('restored'), $dump ], '>', \$stdout, '2>', \$stderr;
unlike($stderr, qr/ERROR/, 'is restored') or diag($stderr);
my $held = q{SELECT string_agg(r || ' ' || p, ', ' ORDER BY r, p) FROM unnest('{app,etl,loader}'::text[]) AS r,
	unnest('{SELECT,TRUNCATE,TRIGGER,REFERENCES}'::text[]) AS p WHERE has_table_privilege(r, 'notes', p)};
rows_are($node, 'restored', $held, 'app SELECT, etl SELECT', 'nobody has more than without');
rows_are($node, 'postgres', $held, 'app SELECT, etl SELECT, etl TRUNCATE, loader TRUNCATE', 'as it was in the original');
$node->safe_psql('restored', q{BEGIN; SELECT FROM tenantguard.begin_bypass('restore'); GRANT TRUNCATE ON notes TO etl, loader; COMMIT});
rows_are($node, 'restored', $held, 'app SELECT, etl SELECT, etl TRUNCATE, loader TRUNCATE', 'a bypass grants them again');
# by a role with a standing grant in the dump everything is restored
$node->safe_psql('postgres', qq{BEGIN; SELECT FROM tenantguard.begin_bypass('a copy'); CREATE PUBLICATION whole FOR ALL TABLES; COMMIT;
	CREATE DATABASE again; SELECT tenantguard.grant_bypass('$super', 'backup')});
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'another dump');
$node->safe_psql('postgres', "SELECT tenantguard.revoke_bypass('$super')");
IPC::Run::run [ 'pg_restore', '-d', $node->connstr('again'), $dump ], '>', \$stdout, '2>', \$stderr;
is($stderr, '', 'is restored by the role that took it');
rows_are($node, 'again', $held, 'app SELECT, etl SELECT, etl TRUNCATE, loader TRUNCATE', 'with what a bypass had granted');
rows_are($node, 'again', 'SELECT pubname FROM pg_publication', 'whole', 'and with the publication');
refused($node, 'restored', 'SET ROLE etl; TRUNCATE notes', 'truncate_refused', 'to truncate takes one as well');

#
# The script of an extension
#
SKIP:
{
	my $share = `$ENV{TG_PREFIX}/pg_config --sharedir`;

	chomp $share;
	skip 'no directory of extensions to write to', 3 unless -w "$share/extension";
	append_to_file("$share/extension/tg_drift.control", "default_version = '1'\nrelocatable = false\n");
	append_to_file("$share/extension/tg_drift--1.sql", q{
		GRANT ALL ON public.notes TO PUBLIC;
		CREATE TABLE public.of_extension (LIKE public.notes);
		CREATE ROLE tg_drift_reader REPLICATION;});
	my ($code, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION tg_drift');

	is($code, 0, 'an extension that grants everything is created');
	like($err, qr/role "tg_drift_reader" gets past the guard/, 'its role is met, ...');
	rows_are($node, 'postgres', q{SELECT string_agg(privilege_type, ' ' ORDER BY privilege_type) FROM pg_class, aclexplode(relacl)
		WHERE oid = 'notes'::regclass AND grantee = 0}, 'DELETE INSERT SELECT UPDATE', 'and nobody got more than they may');
	unlink "$share/extension/tg_drift.control", "$share/extension/tg_drift--1.sql";
}

done_testing();
