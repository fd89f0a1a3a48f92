# A streaming standby guards what it shows, follows the primary without new
# connections, and is guarded when it is promoted.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = guarded_node('primary', 1, 'wal_level = replica', 'max_wal_senders = 4',
	'autovacuum = off');
install_guard($primary, 'postgres');
$primary->safe_psql('postgres', q{
	CREATE TABLE late (id bigint PRIMARY KEY, org_id bigint NOT NULL);
	CREATE INDEX ON late (org_id);
	INSERT INTO late VALUES (1, 1), (2, 2);
	CREATE TABLE parts (id bigint, org_id bigint NOT NULL) PARTITION BY HASH (org_id);
	CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT n, 1 + n % 2 FROM generate_series(1, 10) n;
	SELECT count(*) FROM tenantguard.protect('parts', 'org_id');
	SELECT tenantguard.register_lookup('status', 'organizations', '{id}', '{status}');
	CREATE ROLE copier LOGIN REPLICATION;
	CREATE ROLE keeper LOGIN;
	CREATE ROLE porter LOGIN BYPASSRLS;
	ALTER TABLE notes OWNER TO keeper;
	GRANT SELECT ON late, parts, parts0, parts1 TO app, keeper, porter;
	GRANT SELECT ON notes, organizations TO porter;});

# The base backup asks for no tenant: it copies files.
$primary->safe_psql('postgres', 'CREATE DATABASE living');
$primary->backup('base', backup_options => [ '-U', 'copier' ]);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

my $super = $primary->safe_psql('postgres', 'SELECT current_user');
my $own = 'SELECT id FROM notes ORDER BY id';

# bypass(sql): run sql on the primary under a bypass, until the standby has it
sub bypass
{
	my ($sql) = @_;

	$primary->safe_psql('postgres', "BEGIN; SELECT tenantguard.begin_bypass('administration'); $sql; COMMIT;");
	$primary->wait_for_catchup($standby);
}

# said(session, sql): the rows in one line, or the reason word of the refusal
sub said
{
	my ($session, $sql) = @_;
	my $out = $session->query($sql) =~ s/\n/ /gr;
	my $err = $session->{stderr};

	$session->{stderr} = '';
	return $out if $err eq '';
	return $err =~ /DETAIL:  (\w+): / ? $1 : $err;
}

#
# Reads
#
for my $role ($super, 'keeper', 'porter', 'app')
{
	my @as = (extra_params => [ '-U', $role ]);

	rows_are($standby, 'postgres',
		"BEGIN; SET LOCAL app.current_org_id = '1'; $own; SELECT count(*), min(org_id), max(org_id) FROM parts; COMMIT;",
		'11 12 5|1|1', "$role reads one tenant", @as);
	rows_are($standby, 'postgres',
		"BEGIN; SELECT set_config('app.current_org_id', '2', true); $own; SELECT count(*) FROM parts1; SELECT count(*) FROM parts0; COMMIT;",
		$primary->safe_psql('postgres', q{
			BEGIN; SET LOCAL app.current_org_id = '2'; SELECT '2 21 ' || (SELECT count(*) FROM parts1) || ' ' || (SELECT count(*) FROM parts0); COMMIT;}),
		"$role reads another, partitions by name too", @as);
	refused($standby, 'postgres', $own, 'no_context', "$role without a tenant reads nothing", @as);
	refused($standby, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '9'; $own", 'unknown_tenant',
		"$role as an unknown tenant reads nothing", @as);
	refused($standby, 'postgres', 'COPY notes TO STDOUT', 'no_context', "$role does not copy without a tenant", @as);
}
rows_are($standby, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '2'; COPY notes (id) TO STDOUT; COMMIT;",
	'21', 'COPY TO holds the rows of the tenant');
refused($standby, 'postgres',
	"BEGIN; SET LOCAL app.current_org_id = '1'; $own; SET LOCAL app.current_org_id = '2'; $own",
	'tenant_fixed', 'a tenant is fixed once it has read', extra_params => [ '-q', '-o', '/dev/null' ]);
rows_are($standby, 'postgres', q{SELECT tenantguard.lookup('status', '1')}, '{"status": "active"}', 'look-ups work');
rows_are($standby, 'postgres', 'SELECT bool_and(enforced), count(*) FROM tenantguard.relations', 't|3', 'the record is there');
like(rows_of($standby, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; DELETE FROM notes"),
	qr/cannot execute DELETE in a read-only transaction/, 'a standby writes nothing');
like(rows_of($standby, 'postgres', "SELECT tenantguard.protect('late', 'org_id')"),
	qr/read-only transaction|during recovery/, 'nor is anything protected there');

#
# Changes reach open sessions
#
my %open;
for my $role ($super, 'app')
{
	$open{$role} = $standby->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', $role ]);
	$open{$role}->query_safe(q{
		SET plan_cache_mode = force_generic_plan;
		PREPARE list AS SELECT id FROM notes ORDER BY id;
		PREPARE late AS SELECT id FROM late ORDER BY id;});
}

# all_say(sql, expected, shows): every open session, in a transaction of its own
sub all_say
{
	my ($sql, $expected, $shows) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(said($open{$_}, $sql), $expected, "$shows ($_)") for sort keys %open;
}

sub ends { said($_, 'ROLLBACK') for values %open }

all_say('EXECUTE late', '1 2', 'a table that is not guarded yet');
for my $tenant (1, 2, 3)
{
	all_say("BEGIN; SET LOCAL app.current_org_id = '$tenant'; EXECUTE list;",
		{ 1 => '11 12', 2 => '21', 3 => 'unknown_tenant' }->{$tenant}, "tenant $tenant before the changes");
	ends();
}

bypass("INSERT INTO organizations VALUES (3); INSERT INTO notes VALUES (31, 3, 'three')");
all_say("BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE list;", '31', 'a new tenant is known');
ends();

bypass("UPDATE organizations SET status = 'suspended' WHERE id = 2");
all_say("BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE list;", 'suspended_tenant', 'a suspended tenant is refused');
ends();
all_say("BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE list;", '11 12', 'another goes on');
ends();

bypass("UPDATE organizations SET status = 'active' WHERE id = 2");
all_say("BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE list;", '21', 'a tenant is back');
all_say("SELECT id FROM notes WHERE body = 'two'", '21', 'and works');
bypass("UPDATE organizations SET status = 'suspended' WHERE id = 2");
all_say('EXECUTE list', 'suspended_tenant', 'it is suspended inside its transaction');
ends();

bypass("UPDATE notes SET org_id = 1 WHERE id = 21; DELETE FROM organizations WHERE id = 2");
all_say("BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE list;", 'unknown_tenant', 'a removed tenant is unknown');
ends();
all_say("BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE list;", '11 12 21', 'its rows went to another');
ends();

all_say('EXECUTE late', '1 2', 'the plan of a table not guarded yet is kept');
$primary->safe_psql('postgres', q{SELECT count(*) FROM tenantguard.protect('late', 'org_id')});
$primary->wait_for_catchup($standby);
all_say('EXECUTE late', 'no_context', 'protect() reaches a cached plan');
all_say("BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE late;", '1', 'which is filtered from then on');
ends();

bypass(q{SELECT count(*) FROM tenantguard.unprotect('late', 'not needed')});
all_say('EXECUTE late', '1 2', 'and so does unprotect()');
$primary->safe_psql('postgres', q{SELECT count(*) FROM tenantguard.protect('late', 'org_id')});
$primary->wait_for_catchup($standby);
all_say('EXECUTE late', 'no_context', 'and protect() again');

$primary->safe_psql('postgres', q{SELECT tenantguard.grant_bypass('app', 'test')});
$primary->wait_for_catchup($standby);
is(said($open{app}, 'EXECUTE list'), '11 12 21 31', 'a standing grant reaches an open session');
is(said($open{$super}, 'EXECUTE list'), 'no_context', 'of the role that it was given to');
$primary->safe_psql('postgres', q{SELECT tenantguard.revoke_bypass('app')});
$primary->wait_for_catchup($standby);
like(said($open{app}, 'EXECUTE list'), qr/^(plan_mismatch|no_context)$/, 'and so does its end');
is(said($open{app}, 'EXECUTE list'), 'no_context', 'for good');

# The extension comes to a database in use.
$primary->safe_psql('living', q{CREATE TABLE notes (id bigint); INSERT INTO notes VALUES (1)});
$primary->wait_for_catchup($standby);
my $living = $standby->background_psql('living', on_error_stop => 0);
$living->query_safe('SET plan_cache_mode = force_generic_plan; PREPARE list AS SELECT id FROM notes ORDER BY id');
is(said($living, 'EXECUTE list'), '1', 'a database without the extension');
$primary->safe_psql('living', 'DROP TABLE notes');
install_guard($primary, 'living');
$primary->wait_for_catchup($standby);
is(said($living, 'EXECUTE list'), 'no_context', 'CREATE EXTENSION reaches a cached plan');
is(said($living, "BEGIN; SET LOCAL app.current_org_id = '2'; EXECUTE list; COMMIT"), '21', 'which is filtered');
$living->quit;

#
# A bypass on the standby
#
my $offset = -s $standby->logfile;
is(said($open{$super}, q{
	BEGIN; DO $$ BEGIN PERFORM tenantguard.begin_bypass('ticket 1'); END $$; EXECUTE list;}), '11 12 21 31',
	'a bypass opens on the standby');
like(said($open{$super}, 'DELETE FROM notes'), qr/read-only/, 'and reads only');
ends();
is(said($open{$super}, 'EXECUTE list'), 'no_context', 'it ends with its transaction');
my $log = slurp_file($standby->logfile, $offset);
like($log, qr/tenantguard: bypass opened: role=$super reason='ticket 1'\n/, 'the log of the standby has its beginning');
like($log, qr/tenantguard: bypass used: role=$super reason='ticket 1' statement=PREPARE list/, 'its use');
like($log, qr/tenantguard: bypass closed: role=$super reason='ticket 1'\n/, 'and its end');
refused($standby, 'postgres', "BEGIN; SELECT tenantguard.begin_bypass('none')", 'bypass_denied',
	'a role without a grant has none there', extra_params => [ '-U', 'app' ]);

#
# Promotion
#
$primary->stop;
$standby->promote;
all_say('EXECUTE list', 'no_context', 'after the promotion nothing is open');
all_say("BEGIN; SET LOCAL app.current_org_id = '1'; EXECUTE list;", '11 12 21', 'a tenant reads its rows');
is(said($open{app}, "INSERT INTO notes (id, body) VALUES (13, 'new') RETURNING org_id"), '1', 'and writes');
is(said($open{app}, "INSERT INTO notes VALUES (14, 3, 'foreign')"), 'foreign_tenant', 'its own only');
ends();
$standby->safe_psql('postgres', q{
	BEGIN; SELECT tenantguard.begin_bypass('administration');
	UPDATE organizations SET status = 'suspended' WHERE id = 3; COMMIT;});
all_say("BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE list;", 'suspended_tenant',
	'the registry is followed on the new primary');
$_->quit for values %open;

done_testing();
