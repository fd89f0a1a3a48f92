# COPY outside of SQL scripts: files and programs of the server, psql's \copy,
# the loaders of drivers, and partitions attached while rows are read.
use strict;
use warnings;
use Guarded;
use IPC::Run;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('bulk', 1, 'fsync = off');
my $dir = PostgreSQL::Test::Utils::tempdir_short();
install_guard($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE ROLE filer LOGIN IN ROLE app, pg_read_server_files, pg_write_server_files, pg_execute_server_program;
	CREATE TABLE days (id bigint, org_id bigint NOT NULL, day int NOT NULL) PARTITION BY LIST (org_id);
	CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1) PARTITION BY RANGE (day);
	CREATE TABLE days_others PARTITION OF days DEFAULT;
	SELECT count(*) FROM tenantguard.protect('days', 'org_id');
	CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := NEW.id + 1000; RETURN NEW; END';
	CREATE VIEW held AS SELECT string_agg(id || ':' || org_id, ' ' ORDER BY id) AS rows FROM notes;
	GRANT SELECT ON held TO app;});

# tenant(sql, key): a transaction of a tenant that leaves nothing
sub tenant
{
	my ($sql, $key) = @_;

	return "BEGIN; SET LOCAL app.current_org_id = @{[ $key // 1 ]};\n$sql;\nROLLBACK";
}

my $rows = 'SELECT rows FROM held';
my @filer = (extra_params => [ '-U', 'filer' ]);
append_to_file("$dir/own.csv", "org_id,id,body\n1,31,own\n1,32,\"of\ntwo lines\"\n");
append_to_file("$dir/mixed.csv", "33,1,own\n34,2,theirs\n35,1,own\n");
chmod 0755, $dir;

# Files and programs, by a role that may and one that may not.
my %sources = (
	'a file' => "'$dir/own.csv'",
	'a program' => "PROGRAM 'cat $dir/own.csv'");
for my $source (sort keys %sources)
{
	my $copy = "COPY notes (org_id, id, body) FROM $sources{$source} WITH (FORMAT csv, HEADER match)";

	rows_are($node, 'postgres', tenant("$copy; $rows"), '11:1 12:1 31:1 32:1', "$source, to a superuser");
	rows_are($node, 'postgres', tenant("$copy; $rows"), '11:1 12:1 31:1 32:1', "$source, to a member", @filer);
	refused($node, 'postgres', tenant($copy, 2), 'foreign_tenant', "$source of another tenant", @filer);
	refused($node, 'postgres', $copy, 'no_context', "$source without a tenant", @filer);
	like(rows_of($node, 'postgres', tenant("SET ROLE app; $copy")), qr/ERROR:  .*COPY.*\n.*pg_(read|execute)_server_|pg_(read|execute)_server_.*COPY/,
		"$source needs privileges");
}
like(rows_of($node, 'postgres', tenant("COPY notes (id) FROM '$dir/none'"), @filer),
	qr/could not open file "\Q$dir\E\/none" for reading: No such file/, 'a file that is not there');
like(rows_of($node, 'postgres', tenant("COPY notes (id) FROM PROGRAM 'echo 31; exit 3'"), @filer),
	qr/program "echo 31; exit 3" failed/, 'a program that fails');

# Binary out and in again, with the tenant as it is, and as NULL.
rows_are($node, 'postgres', tenant("COPY notes TO '$dir/one.bin' WITH (FORMAT binary)"), '', 'binary out', @filer);
rows_are($node, 'postgres', tenant("DELETE FROM notes; COPY notes FROM '$dir/one.bin' WITH (FORMAT binary); $rows"),
	'11:1 12:1', 'binary in', @filer);
refused($node, 'postgres', tenant("COPY notes FROM '$dir/one.bin' WITH (FORMAT binary)", 2), 'foreign_tenant',
	'binary of another tenant', @filer);
rows_are($node, 'postgres', "COPY (SELECT 41::bigint, NULL::bigint, 'nobody''s') TO '$dir/null.bin' WITH (FORMAT binary)", '',
	'a NULL for the tenant');
refused($node, 'postgres', tenant("COPY notes FROM '$dir/null.bin' WITH (FORMAT binary)"), 'foreign_tenant', 'is refused');
rows_are($node, 'postgres', tenant("COPY notes TO PROGRAM 'cat > $dir/two.txt'", 2), '', 'out to a program', @filer);
is(slurp_file("$dir/two.txt"), "21\t2\ttwo\n", 'it got the rows of the tenant');

# Rows that are stored out of line are judged like any other.
append_to_file("$dir/long", join '', map { "$_\t1\t" . join('', map { chr(97 + rand 26) } 1 .. 20000) . "\n" } 51 .. 60);
rows_are($node, 'postgres', tenant("COPY notes FROM '$dir/long'; SELECT count(*), min(length(body)) FROM notes WHERE id > 50"),
	'10|20000', 'long rows', @filer);
refused($node, 'postgres', tenant("COPY notes FROM '$dir/long'", 2), 'foreign_tenant', 'long rows of another', @filer);

# In functions: an error that was caught left nothing behind.
$node->safe_psql('postgres', qq{
	CREATE FUNCTION load_notes(source text) RETURNS bigint LANGUAGE plpgsql AS \$\$
	DECLARE loaded bigint;
	BEGIN
		EXECUTE format('COPY notes (id, org_id, body) FROM %L WITH (FORMAT csv)', source);
		GET DIAGNOSTICS loaded = ROW_COUNT;
		RETURN loaded;
	EXCEPTION WHEN insufficient_privilege THEN RETURN -1;
	END \$\$;});
rows_are($node, 'postgres', tenant("SELECT load_notes('$dir/mixed.csv'); $rows"), '-1 11:1 12:1', 'a load that failed', @filer);
append_to_file("$dir/fine.csv", "33,1,own\n35,1,own\n");
rows_are($node, 'postgres', tenant("SELECT load_notes('$dir/fine.csv'); $rows"), '2 11:1 12:1 33:1 35:1', 'one that did not', @filer);

# psql's \copy, as an ordinary role.
my @app = (extra_params => [ '-U', 'app' ]);
rows_are($node, 'postgres', tenant("\\copy notes (org_id, id, body) from '$dir/own.csv' with (format csv, header)\n$rows"),
	'11:1 12:1 31:1 32:1', '\copy from', @app);
my ($code, $out, $err) = $node->psql('postgres', tenant("\\copy notes (id, org_id, body) from '$dir/mixed.csv' with (format csv)\n$rows"),
	on_error_stop => 0, @app);
like($err, qr/DETAIL:  foreign_tenant: .*CONTEXT:  COPY notes, line 2: "34,2,theirs"/s, '\copy names the line');
rows_are($node, 'postgres', tenant("\\copy notes to '$dir/out.txt'\n"), '', '\copy to', @app);
is(slurp_file("$dir/out.txt"), "11\t1\tone\n12\t1\tone more\n", 'writes the rows of the tenant');
rows_are($node, 'postgres', tenant('SELECT count(*) FROM notes'), '2', 'nothing of all that stayed');

# A partition with a trigger is attached while a COPY reads: below a table
# that it has not opened yet, so it takes the rows.  The rows come from a pipe
# that is fed once the partition is there.
mkfifo("$dir/pipe", 0666) or die "cannot make a pipe: $!";
chmod 0666, "$dir/pipe";
$node->safe_psql('postgres', q{
	CREATE TABLE days_plain (id bigint, org_id bigint NOT NULL, day int NOT NULL);
	CREATE TABLE days_moved (LIKE days_plain);
	CREATE TRIGGER move BEFORE INSERT ON days_moved FOR EACH ROW EXECUTE FUNCTION move();});
for my $part ([ 'days_plain', 0, '3|1|5' ], [ 'days_moved', 10, 'copy_refused' ])
{
	my ($name, $low, $result) = @$part;
	my $day = $low + 5;
	my $high = $low + 10;
	my ($out, $err) = ('', '');
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
		map { ('-c', $_) } 'BEGIN', 'SET LOCAL app.current_org_id = 1', "COPY days (id, day) FROM '$dir/pipe'",
		"SELECT * FROM days WHERE day = $day", 'COMMIT' ], '>', \$out, '2>', \$err);

	open my $pipe, '>', "$dir/pipe" or die "cannot open the pipe: $!";
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_progress_copy WHERE relid = 'days'::regclass AND command = 'COPY FROM' AND type = 'FILE'})
		or die 'the COPY does not show';
	rows_are($node, 'postgres', "BEGIN; SELECT FROM tenantguard.begin_bypass('attach');
		ALTER TABLE days_1 ATTACH PARTITION $name FOR VALUES FROM ($low) TO ($high); COMMIT", '', "$name is attached meanwhile");
	print $pipe "3\t$day\n";
	close $pipe;
	$session->finish;
	is($err =~ /DETAIL:  (\w+): / ? $1 : $out =~ s/\n//r, $result, "what becomes of a row that $name takes");
}
rows_are($node, 'postgres', tenant('SELECT * FROM days'), '3|1|5', 'the row that a trigger touched unseen is gone');
rows_are($node, 'postgres', tenant("COPY days (id, day) FROM PROGRAM 'echo 4,15' WITH (DELIMITER ','); SELECT id FROM days WHERE day = 15"),
	'1004', 'the next load minds the trigger');

# Rows for another server are checked before they are sent, and behind the
# triggers of the foreign partition.
SKIP: {
	skip 'no postgres_fdw', 5
		if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'}) == 0;
	my ($host, $port) = ($node->host, $node->port);
	my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
	my $copy = "COPY parted (id, org_id, day) FROM PROGRAM 'printf \"%s\"' WITH (FORMAT csv)";
	my ($own, $mixed) = map { sprintf $copy, $_ } '1,1,5\n2,1,15\n3,1,16\n', '1,1,15\n2,2,16\n';

	$node->safe_psql('postgres', qq{
		CREATE EXTENSION postgres_fdw;
		CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres', batch_size '10');
		CREATE USER MAPPING FOR CURRENT_USER SERVER loop OPTIONS (user '$superuser');
		CREATE TABLE far (id bigint, org_id bigint, day int);
		CREATE TABLE parted (id bigint, org_id bigint NOT NULL, day int NOT NULL) PARTITION BY RANGE (day);
		CREATE TABLE parted_near PARTITION OF parted FOR VALUES FROM (0) TO (10);
		SELECT count(*) FROM tenantguard.protect('parted', 'org_id');
		BEGIN; SELECT FROM tenantguard.begin_bypass('far rows');
		CREATE FOREIGN TABLE parted_far PARTITION OF parted FOR VALUES FROM (10) TO (20) SERVER loop OPTIONS (table_name 'far');
		COMMIT;});
	my $list = "SELECT string_agg(id || ':' || org_id, ' ' ORDER BY id) FROM parted";
	rows_are($node, 'postgres', tenant("$own; $list"), '1:1 2:1 3:1', 'a foreign partition');
	refused($node, 'postgres', tenant($mixed), 'foreign_tenant', 'a foreign row for it');
	$node->safe_psql('postgres', 'CREATE TRIGGER move BEFORE INSERT ON parted_far FOR EACH ROW EXECUTE FUNCTION move()');
	rows_are($node, 'postgres', tenant("$own; $list"), '1:1 1002:1 1003:1', 'a foreign partition with a trigger');
	refused($node, 'postgres', tenant($mixed), 'foreign_tenant', 'a foreign row for that');
	$node->safe_psql('postgres', q{
		CREATE FUNCTION give() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.org_id := 2; RETURN NEW; END';
		CREATE TRIGGER owner BEFORE INSERT ON parted_far FOR EACH ROW EXECUTE FUNCTION give();});
	refused($node, 'postgres', tenant($own), 'foreign_tenant', 'a trigger there that gives rows away');
}

# Drivers.  Each prints what is compared here, a line for each step.
my ($python) = grep { -x } '/usr/bin/python3', map { "$_/python3" } split /:/, $ENV{PATH};
my %expected = (
	'left out' => '11:1 12:1 31:1 32:1',
	'stated' => '11:1 12:1 33:1',
	'foreign' => '42501 foreign_tenant line 2',
	'after it' => '11:1 12:1',
	'no tenant' => '42501 no_context',
	'out' => '11:1 12:1');
for my $driver (qw(psycopg2 psycopg asyncpg))
{
  SKIP: {
		skip 'no python3', 1 unless $python;
		skip "no python3-$driver", 1 if system("$python -c 'import $driver' 2>$dir/log") != 0;
		my $said = '';
		IPC::Run::run([ $python, "$ENV{TESTDIR}/test/t/bulk_loads.py", $driver, $node->host, $node->port ],
			'>', \$said, '2>&1');
		is_deeply({ map { /^([^=]+)=(.*)$/ ? ($1 => $2) : () } split /\n/, $said }, \%expected,
			"the loader of $driver") or diag($said);
	}
}

done_testing();
