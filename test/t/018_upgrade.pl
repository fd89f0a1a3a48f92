# upgrade: pg_upgrade carries the guard from one major to the next.
#
# Starts with the oldest PostgreSQL of this machine and ends with the one under
# test.  The library is built for each, as an administrator would before the
# upgrade; no statement is sent afterwards.
use strict;
use warnings;
use Cwd;
use Guarded;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($current) = `$ENV{PG_CONFIG} --version` =~ /^PostgreSQL (\d+)/;
my %config = map { m{/(\d+)/bin/pg_config$} ? ($1 => $_) : () } glob '/usr/lib/postgresql/*/bin/pg_config';
my @majors = sort { $a <=> $b } grep { $_ >= 15 && $_ <= $current && -e `$config{$_} --pgxs` =~ s/\n//r } keys %config;
plan skip_all => "no PostgreSQL older than $current here, with its headers" if @majors < 2;

my $dir = Cwd::abs_path(PostgreSQL::Test::Utils::tempdir);

# built(major): a private installation with the library in it
sub built
{
	my ($major) = @_;
	my $copy = "$dir/build$major";

	return $ENV{TG_PREFIX} =~ s{/bin$}{}r if $major == $current;
	mkdir $copy;
	system_or_bail('cp', '-R', map({ "$ENV{TESTDIR}/$_" } qw(Makefile src sql test tenantguard.control)), $copy);
	local $ENV{PG_CONFIG} = $config{$major};
	my ($bin) = run_command([ 'bash', "$copy/test/tools/prefix", "$dir/pg$major" ]);
	my $log = "$dir/build$major.log";
	system("{ make -s -C $copy clean && make -s -C $copy all && make -s -C $copy install PG_CONFIG=$bin/pg_config; } >$log 2>&1") == 0
		or die slurp_file($log);
	unlike(slurp_file($log), qr/warning:/, "PostgreSQL $major: no warning of the compiler");
	return $bin =~ s{/bin$}{}r;
}

# server(major): one that preloads the library
sub server
{
	my ($major) = @_;
	my $node = PostgreSQL::Test::Cluster->new("upgrade$major", install_path => built($major));

	# From 18 on checksums are the default, and pg_upgrade wants both alike.
	$node->init(extra => [ '--no-locale', '-E', 'UTF8', $major >= 18 ? '--no-data-checksums' : () ]);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tenantguard'\ntenantguard.new_table = ignore\nfsync = off");
	return $node;
}

# upgraded(old, new): what pg_upgrade said, and whether it succeeded
sub upgraded
{
	my ($old, $new, @options) = @_;

	my $result = IPC::Run::run(
		[
			$new->config_data('--bindir') . '/pg_upgrade', '--no-sync',
			'-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
			'-d', $old->data_dir, '-D', $new->data_dir, '-s', $new->host,
			'-p', $old->port, '-P', $new->port, @options
		], '>&', \my $said);
	return ($result, $said);
}

my $guards = q{
	SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text;
	SELECT relid, mode, tenant_column, reason, original_default, since, recorded_by FROM tenantguard.guarded_relation ORDER BY relid::text;
	SELECT * FROM tenantguard.registry;
	SELECT * FROM tenantguard.lookup_definition ORDER BY name;
	SELECT * FROM tenantguard.bypass_grant ORDER BY grantee::text, purpose;
	SELECT c.relname, relrowsecurity, relforcerowsecurity, string_agg(polname, ',' ORDER BY polname)
		FROM pg_class AS c LEFT JOIN pg_policy ON polrelid = c.oid
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') GROUP BY 1, 2, 3 ORDER BY 1;
	SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname ~ '^(tenantguard|guarded|registry|bypass)' ORDER BY 1, 2;
	SELECT classid::regclass, pg_describe_object(classid, objid, 0) FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'tenantguard')
			AND classid <> 'pg_type'::regclass ORDER BY 1, 2;	-- pg_upgrade adds row types
	SELECT extversion, extconfig::regclass[] FROM pg_extension WHERE extname = 'tenantguard';};

# prepare(node): a database that uses all there is, and one for each other type
# of key
sub prepare
{
	my ($node) = @_;

	install_guard($node, 'postgres');
	$node->safe_psql('postgres', q{
		CREATE TABLE parts (id uuid DEFAULT gen_random_uuid(), org_id bigint NOT NULL DEFAULT 1 REFERENCES organizations,
			PRIMARY KEY (org_id, id)) PARTITION BY LIST (org_id);
		CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
		CREATE TABLE parts2 PARTITION OF parts DEFAULT;
		CREATE TABLE colours (name text PRIMARY KEY, org_id bigint REFERENCES organizations);
		CREATE INDEX ON colours (org_id);
		CREATE TABLE countries (code text PRIMARY KEY);
		CREATE TABLE jobs (id int);
		CREATE VIEW bodies AS SELECT body FROM notes;
		CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
		CREATE TRIGGER tell BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION tell();
		INSERT INTO parts (org_id) VALUES (1), (1), (2);
		INSERT INTO colours VALUES ('red', NULL), ('blue', 1), ('green', 2);
		INSERT INTO countries VALUES ('de'), ('fr');
		CREATE POLICY short ON notes AS RESTRICTIVE USING (length(body) < 5);
		CREATE POLICY everybody ON colours USING (true);
		SELECT count(*) FROM tenantguard.protect('parts', 'org_id');
		SELECT count(*) FROM tenantguard.protect('colours', 'org_id', true);
		SELECT count(*) FROM tenantguard.share('countries');
		SELECT count(*) FROM tenantguard.exempt('jobs', 'every tenant has the same');
		SELECT tenantguard.register_lookup('status', 'organizations', '{id}', '{status}');
		CREATE ROLE auditor LOGIN SUPERUSER;
		CREATE ROLE visitor LOGIN;
		SELECT tenantguard.grant_bypass('auditor', 'backup');
		SELECT tenantguard.grant_bypass('app', 'support');
		GRANT SELECT, INSERT ON parts, colours, countries, bodies TO app;
		GRANT SELECT ON notes TO visitor;});
	for ([ 'int', 'int', 1, 2 ], [ 'uuid', 'uuid', map { "00000000-0000-0000-0000-00000000000$_" } 1, 2 ],
		[ 'text', 'text', 'one', 'two' ])
	{
		my ($database, $type, $one, $two) = @$_;

		$node->safe_psql('postgres', "CREATE DATABASE key_$database");
		$node->safe_psql("key_$database", qq{
			CREATE EXTENSION tenantguard;
			CREATE TABLE firms (id $type PRIMARY KEY);
			CREATE TABLE notes (firm_id $type NOT NULL REFERENCES firms, body text);
			CREATE INDEX ON notes (firm_id);
			INSERT INTO firms VALUES ('$one'), ('$two');
			INSERT INTO notes VALUES ('$one', 'first'), ('$two', 'second');
			SELECT count(*) FROM tenantguard.adopt_registry('firms', 'id');
			SELECT count(*) FROM tenantguard.protect('notes', 'firm_id');});
	}
}

# in_force(node, what it shows): the guard, without a command of an administrator
sub in_force
{
	my ($node, $how) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @app = (extra_params => [ '-U', 'app' ]);
	my $tenant = "BEGIN; SET LOCAL app.current_org_id = '2'";
	my $reads = "$tenant; SELECT id FROM notes; SELECT name FROM colours ORDER BY 1; SELECT count(*) FROM parts;
		SELECT * FROM countries ORDER BY 1; SELECT * FROM bodies; COMMIT";

	for ([ 'a superuser' ], [ 'an ordinary role', @app ])
	{
		my ($who, @as) = @$_;

		rows_are($node, 'postgres', $reads, '21 green red 1 de fr two', "$how: $who sees the tenant's rows", @as);
		for my $table (qw(notes colours parts parts1 bodies))
		{
			next if $table eq 'parts1' && @as;
			refused($node, 'postgres', "SELECT * FROM $table", 'no_context', "$how: $who, $table without a tenant", @as);
		}
		refused($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '3'; SELECT * FROM notes", 'unknown_tenant',
			"$how: $who, an unknown tenant", @as);
		refused($node, 'postgres', "$tenant; INSERT INTO parts (org_id) VALUES (1)", 'foreign_tenant',
			"$how: $who writes for another tenant", @as);
		refused($node, 'postgres', "$tenant; INSERT INTO countries VALUES ('it')", 'shared_read_only',
			"$how: $who writes to a shared table", @as);
		rows_are($node, 'postgres', "$tenant; INSERT INTO notes (id, body) VALUES (9, 'new') RETURNING org_id; ROLLBACK", '2',
			"$how: the tenant of a new row is filled in, by $who", @as);
		rows_are($node, 'postgres', q{SELECT tenantguard.lookup('status', '1')}, '{"status": "active"}', "$how: look-up, by $who", @as);
	}
	refused($node, 'postgres', 'ALTER TABLE notes DISABLE ROW LEVEL SECURITY', 'ddl_refused', "$how: the guard stays on");
	refused($node, 'postgres', 'TRUNCATE notes', 'truncate_refused', "$how: no TRUNCATE");
	rows_are($node, 'postgres', 'SELECT count(*) FROM notes', '3', "$how: a standing bypass stands",
		extra_params => [ '-U', 'auditor' ]);
	rows_are($node, 'postgres', "BEGIN; SELECT FROM tenantguard.begin_bypass('look'); SELECT count(*) FROM parts; COMMIT", '3',
		"$how: a grant is kept", @app);
	refused($node, 'postgres', "BEGIN; SELECT FROM tenantguard.begin_bypass('look')", 'bypass_denied', "$how: no other is there",
		extra_params => [ '-U', 'visitor' ]);
	for ([ int => 2 ], [ uuid => '00000000-0000-0000-0000-000000000002' ], [ text => 'two' ])
	{
		my ($type, $key) = @$_;

		rows_are($node, "key_$type", "BEGIN; SET LOCAL app.current_org_id = '$key'; SELECT body FROM notes; COMMIT", 'second',
			"$how: a key of type $type");
		refused($node, "key_$type", 'SELECT * FROM notes', 'no_context', "$how: a key of type $type, no tenant");
	}
}

my $old = server(shift @majors);
$old->start;
prepare($old);
in_force($old, 'before');
my $expected = $old->safe_psql('postgres', $guards);

for my $major (@majors)
{
	my $new = server($major);
	my $how = "PostgreSQL $major";

	$old->stop;
	my ($done, $said) = upgraded($old, $new, $major == $majors[-1] ? '--link' : '--copy');
	ok($done, "$how: pg_upgrade needs no grant") or do { diag($said); last };
	$new->start;
	in_force($new, $how);
	is(rows_of($new, 'postgres', 'ANALYZE'), '', "$how: statistics need no grant");
	is($new->safe_psql('postgres', $guards), $expected, "$how: everything recorded is as it was");
	like(($new->psql('postgres', 'ALTER EXTENSION tenantguard UPDATE'))[2], qr/already installed/, "$how: the extension is current");
	$old = $new;
}
$old->stop;

done_testing();
