# Other modules in the same server, named in shared_preload_libraries before
# tenantguard and after it: isolation is what it is without them, and they do
# what they are there for.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

# In the order that they need among themselves: EXPLAIN with an index of
# hypopg fails where auto_explain comes before it.
my @companions = qw(pg_stat_statements pgaudit hypopg auto_explain set_user pg_cron);

my %help = `bash $ENV{TESTDIR}/test/tools/companions` =~ /^(\w+): (.*)/mg;
chomp(my $libraries = `$ENV{TG_PREFIX}/pg_config --pkglibdir`);
my %here = map { $_ => -e "$libraries/$_.so" } @companions;
my @app = (extra_params => [ '-U', 'app' ]);

# preload(order): the line of the configuration
sub preload
{
	my ($order) = @_;
	my @here = grep { $here{$_} } @companions;

	return "shared_preload_libraries = '"
		. join(', ', $order eq 'first' ? ('tenantguard', @here) : (@here, 'tenantguard')) . "'";
}

my $node = guarded_node('companions', 0, preload('first'), 'tenantguard.new_table = ignore',
	"log_line_prefix = '%u> '", 'max_worker_processes = 20', 'compute_query_id = on',
	"pgaudit.role = 'auditor'", 'pgaudit.log_catalog = off', "cron.database_name = 'postgres'",
	"set_user.superuser_allowlist = '*'", 'auto_explain.log_analyze = on', 'auto_explain.log_verbose = on',
	'auto_explain.log_nested_statements = on', 'auto_explain.log_triggers = on');
my $super = $node->safe_psql('postgres', 'SELECT current_user');

install_guard($node, 'postgres');
$node->safe_psql('postgres', join ';', map { "CREATE EXTENSION $_" }
	grep { $here{$_} && $_ ne 'auto_explain' } @companions);
$node->safe_psql('postgres', q{
	CREATE ROLE auditor;
	GRANT SELECT, INSERT ON notes TO auditor;
	CREATE ROLE porter LOGIN; CREATE ROLE keeper LOGIN BYPASSRLS;
	CREATE TABLE lines (id bigint PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations,
		note bigint NOT NULL REFERENCES notes ON DELETE CASCADE);
	CREATE INDEX ON lines (org_id);
	CREATE TABLE big (id bigint, org_id bigint NOT NULL REFERENCES organizations, body text);
	INSERT INTO big SELECT n, 1 + n % 2, 'b' || n FROM generate_series(1, 20000) n;
	ANALYZE big;
	SELECT count(*) FROM tenantguard.protect_all('public');
	GRANT SELECT, INSERT, UPDATE, DELETE ON notes, lines TO app, porter, keeper;
	GRANT SELECT ON organizations, big TO app, porter, keeper;
	SELECT tenantguard.grant_bypass('porter', 'support');
	CREATE FUNCTION from_id(bigint) RETURNS SETOF bigint LANGUAGE plpgsql AS
		'BEGIN RETURN QUERY SELECT id FROM notes WHERE id >= $1 ORDER BY id; END';});
# for these roles, since to explain the whole test takes its time
$node->safe_psql('postgres', "ALTER ROLE $_ SET auto_explain.log_min_duration = 0")
	for grep { $here{auto_explain} } 'app', 'porter';

my $own = 'SELECT id FROM notes ORDER BY id';

# for_tenant(sql, tenant): a transaction that leaves nothing behind
sub for_tenant
{
	my ($sql, $tenant) = @_;

	return "BEGIN; SET LOCAL app.current_org_id = '" . ($tenant // 1) . "';\n$sql;\nROLLBACK;";
}

# bypassing(sql): the same under a bypass
sub bypassing
{
	return "BEGIN; DO \$\$ BEGIN PERFORM tenantguard.begin_bypass('test'); END \$\$;\n$_[0];\nROLLBACK;";
}

sub copy_in { "COPY $_[0] FROM stdin;\n" . join('', map { "$_\n" } @{ $_[1] }) . '\.' . "\n" }

# logged(pattern, code): what lines that code adds to the log captured
sub logged
{
	my ($pattern, $code) = @_;
	my $offset = -s $node->logfile;

	$code->();
	return slurp_file($node->logfile, $offset) =~ /$pattern/g;
}

#
# What tenantguard promises, whoever else is there
#
sub isolates
{
	for my $role ($super, 'keeper', 'app')
	{
		my @as = (extra_params => [ '-U', $role ]);

		rows_are($node, 'postgres', for_tenant($own), '11 12', "$role reads the tenant's rows", @as);
		rows_are($node, 'postgres', for_tenant("COPY notes (id) TO STDOUT"), '11 12', 'also by COPY', @as);
		refused($node, 'postgres', $own, 'no_context', 'and without a tenant none', @as);
		refused($node, 'postgres', 'COPY notes TO STDOUT', 'no_context', 'neither by COPY', @as);
		rows_are($node, 'postgres', for_tenant(q{UPDATE notes SET body = 'x' RETURNING id}), '11 12',
			'updates them', @as);
		rows_are($node, 'postgres', for_tenant('DELETE FROM notes WHERE id > 11 RETURNING id'), '12',
			'deletes them', @as);
		rows_are($node, 'postgres', for_tenant('INSERT INTO notes (id) VALUES (13) RETURNING org_id'), '1',
			'inserts its own', @as);
		refused($node, 'postgres', for_tenant('INSERT INTO notes VALUES (23, 2)'), 'foreign_tenant',
			'and no foreign one', @as);
		rows_are($node, 'postgres', for_tenant(copy_in('notes', [ "13\t1\tx", "14\t1\tx" ]) . $own), '11 12 13 14',
			'copies its rows in', @as);
		rows_are($node, 'postgres', for_tenant(copy_in('notes (id)', [13]) . 'SELECT id, org_id FROM notes WHERE id = 13'),
			'13|1', 'which are given the tenant', @as);
		refused($node, 'postgres', for_tenant(copy_in('notes', [ "13\t1\tx", "23\t2\tx" ])), 'foreign_tenant',
			'and no foreign one', @as);
		refused($node, 'postgres', copy_in('notes', ["13\t1\tx"]), 'no_context', 'and none without a tenant', @as);
		rows_are($node, 'postgres', for_tenant(q{
			SET LOCAL plan_cache_mode = force_generic_plan;
			PREPARE list (bigint) AS SELECT id FROM notes WHERE id > $1 ORDER BY id;
			EXECUTE list(11); EXECUTE list(0); SELECT from_id(12)}), '12 11 12 12', 'plans that are kept', @as);
	}
	refused($node, 'postgres', for_tenant("$own; SET LOCAL app.current_org_id = '2'"), 'tenant_fixed',
		'the tenant is fixed', @app, extra_params => [ '-U', 'app', '-o', '/dev/null' ]);

	rows_are($node, 'postgres', bypassing($own), '11 12 21', 'a bypass reads all', extra_params => [ '-U', 'porter' ]);
	rows_are($node, 'postgres', bypassing(copy_in('notes', [ "13\t1\tx", "23\t2\tx" ]) . $own), '11 12 13 21 23',
		'and copies in what it likes', extra_params => [ '-U', 'porter' ]);
	refused($node, 'postgres', bypassing('SELECT 1'), 'bypass_denied', 'who has no grant has none', @app);

	# Foreign keys
	rows_are($node, 'postgres', for_tenant(q{
		INSERT INTO lines (id, note) VALUES (1, 11), (2, 11), (3, 12);
		DELETE FROM notes WHERE id = 11;
		SELECT id, org_id FROM lines}), '3|1', 'a foreign key cascades', @app);
	like(rows_of($node, 'postgres', for_tenant('INSERT INTO lines (id, note) VALUES (1, 99)'), @app),
		qr/violates foreign key constraint/, 'and is checked');
	like(rows_of($node, 'postgres', for_tenant(copy_in('lines (id, note)', ["1\t99"])), @app),
		qr/violates foreign key constraint/, 'by COPY too');

	# Parallel workers
	my $parallel = q{SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
		SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;};
	rows_are($node, 'postgres', for_tenant("$parallel SELECT count(*), min(org_id), max(org_id) FROM big"), '10000|1|1',
		'workers read the tenant\'s rows', @app);
	like(rows_of($node, 'postgres', for_tenant("$parallel EXPLAIN (ANALYZE, COSTS OFF) SELECT count(*) FROM big"), @app),
		qr/Workers Launched: [1-9].*Filter: \(org_id = /, 'there were some');

	# COPY that goes through the plan of an INSERT, for a BEFORE ROW trigger.
	$node->safe_psql('postgres', q{
		DROP TABLE IF EXISTS watched;
		CREATE TABLE watched (id bigint, org_id bigint NOT NULL);
		CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER keep BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION keep();
		SELECT count(*) FROM tenantguard.protect('watched', 'org_id'); GRANT SELECT, INSERT ON watched TO app;});
	rows_are($node, 'postgres', for_tenant(copy_in('watched (id)', ['14', '15']) . 'SELECT id, org_id FROM watched'), '14|1 15|1',
		'COPY with a trigger', @app);

	# COPY that is refused leaves nothing behind.
	rows_are($node, 'postgres', for_tenant("SAVEPOINT s; " . copy_in('notes', ["13\t1\tx"]) . "ROLLBACK TO s; $own; "
		. copy_in('notes', ["14\t1\tx"]) . $own), '11 12 11 12 14', 'COPY ends with its savepoint', @app);
	like(rows_of($node, 'postgres', for_tenant(copy_in('organizations', ['9'])), @app),
		qr/permission denied|DETAIL:  copy_refused/, 'COPY into the registry');
	like(rows_of($node, 'postgres', for_tenant(copy_in('notes (nothing)', ['9'])), @app),
		qr/column "nothing" of relation "notes" does not exist/, 'COPY of a column that is not there');
	like(rows_of($node, 'postgres', for_tenant(copy_in('big', ["1\t1\tx"])), @app),
		qr/permission denied for table big/, 'COPY without the privilege');
}

#
# What the others are there for
#
sub counts_statements
{
	my ($order) = @_;

	$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
	for my $tenant (1, 2)
	{
		$node->psql('postgres', "BEGIN; SELECT set_config('app.current_org_id', '$tenant', true); COMMIT", @app);
		$node->psql('postgres', for_tenant(qq{SELECT id FROM notes WHERE body = 'hush$tenant';
			DO \$\$ BEGIN PERFORM 'loud$tenant'; END \$\$;
			} . copy_in('notes (id)', [ 31, 32 ]), $tenant), @app);
	}
	my $counted = q{SELECT query, calls, rows FROM pg_stat_statements WHERE query ~ '^(SELECT id|COPY)' ORDER BY query COLLATE "C"};
	rows_are($node, 'postgres', $counted,
		($order eq 'first' ? 'COPY notes (id) FROM stdin|2|4 ' : '') . 'SELECT id FROM notes WHERE body = $1|2|0',
		'statements are counted, COPY FROM where tenantguard comes first');
	rows_are($node, 'postgres', q{SELECT bool_or(query ~ 'hush'), bool_or(query ~ 'loud1'), bool_or(query ~ 'loud2') FROM pg_stat_statements},
		'f|t|t', 'their texts have no literals, those of utility statements have', @app);
	rows_are($node, 'postgres', q{SELECT DISTINCT query FROM pg_stat_statements WHERE userid = 'app'::regrole},
		'<insufficient privilege>', 'other roles see none', extra_params => [ '-U', 'porter' ]);
	rows_are($node, 'postgres', q{SELECT count(*) FROM pg_stat_statements WHERE query ~ '^SET LOCAL app'},
		$node->pg_version < 18 ? 2 : 1, 'SET LOCAL is an entry for each tenant before PostgreSQL 18');
	rows_are($node, 'postgres', q{SELECT query, calls FROM pg_stat_statements WHERE query ~ 'set_config' AND query !~ 'stat'},
		'SELECT set_config($1, $2, $3)|2', 'set_config is one for all');
}

sub audits
{
	my ($order) = @_;
	my $audit = sub {
		my ($sql, @options) = @_;
		my @parts = logged(qr/^\w+> LOG:  AUDIT: (\w+),\d+,\d+,(.*),<(?:not|previously) logged>(?:,\d+)?$/m, sub {
			$node->psql('postgres', $sql, @app, @options) });
		my @lines;
		push @lines, join(' ', splice @parts, 0, 2) =~ s/;("?)$/$1/r while @parts;	# gone in 18
		return \@lines;
	};
	my $session = "SET LOCAL pgaudit.log = 'read,write'; ";

	$node->safe_psql('postgres', 'GRANT SET ON PARAMETER pgaudit.log, pgaudit.log_rows TO app');
	is_deeply($audit->(for_tenant(copy_in('notes', ["13\t1\tx"]))),
		[ 'OBJECT WRITE,INSERT,TABLE,public.notes,COPY notes FROM stdin' ],
		'COPY FROM is in the audit of the object, once');
	is_deeply($audit->(for_tenant('COPY notes TO STDOUT')),
		[ 'OBJECT READ,SELECT,TABLE,public.notes,COPY notes TO STDOUT' ], 'so is COPY TO');
	is_deeply($audit->(for_tenant($session . copy_in('lines (id, note)', ["1\t11"]) . 'DELETE FROM lines')),
		[ 'SESSION WRITE,COPY,,,"COPY lines (id, note) FROM stdin"', 'SESSION WRITE,DELETE,,,DELETE FROM lines' ],
		'and in that of the session, with nothing of our own');
	is_deeply($audit->(for_tenant('INSERT INTO notes VALUES (23, 2)')),
		[ 'OBJECT WRITE,INSERT,TABLE,public.notes,"INSERT INTO notes VALUES (23, 2)"' ],
		'what is refused is there');
	is_deeply($audit->(for_tenant("$session SET LOCAL pgaudit.log_rows = on; " . copy_in('lines (id, note)', ["1\t11"]))),
		$order eq 'first' ? [ 'SESSION WRITE,COPY,,,"COPY lines (id, note) FROM stdin"' ] : [],
		'with the number of rows, where tenantguard comes first');

	# A COPY that is refused must not stand for the INSERT after it.
	my $insert = 'INSERT INTO notes VALUES (24, 2)';
	is_deeply($audit->("BEGIN; SAVEPOINT s;\n" . copy_in('notes', []) . "ROLLBACK TO s;\n"
			. "DO \$\$ BEGIN PERFORM tenantguard.begin_bypass('test'); END \$\$; $insert; ROLLBACK;",
			on_error_stop => 0, extra_params => [ '-U', 'porter' ]),
		[ ($order eq 'first' ? () : 'OBJECT WRITE,INSERT,TABLE,public.notes,COPY notes FROM stdin'),
			qq{OBJECT WRITE,INSERT,TABLE,public.notes,"$insert"} ], 'an INSERT after a refused COPY');
}

sub explains_to_the_log
{
	my @plans = logged(qr/^\tQuery Text: (.*)/m, sub {
		$node->safe_psql('postgres', for_tenant(q{
			PREPARE list (bigint) AS SELECT id FROM notes WHERE id > $1 ORDER BY id;
			EXECUTE list(11);
			SELECT from_id(12);
			INSERT INTO lines (id, note) VALUES (1, 11);
			DELETE FROM notes WHERE id = 11}), @app) });
	is(scalar(grep { $_ eq 'PREPARE list (bigint) AS SELECT id FROM notes WHERE id > $1 ORDER BY id;' } @plans), 1,
		'the plan of a prepared statement is logged');
	is(scalar(grep { $_ eq 'SELECT id FROM notes WHERE id >= $1 ORDER BY id' } @plans), 1, 'and that of a function');
	is(scalar(grep { $_ eq 'DELETE FROM ONLY "public"."lines" WHERE $1 OPERATOR(pg_catalog.=) "note"' } @plans), 1,
		'and that of a cascade');
	ok(grep(/^SELECT 1 FROM ONLY "public"."notes" x/, @plans), 'and that of a check');
}

sub supposes_indexes
{
	my $rare = q{SELECT id FROM big WHERE body = 'b8'};
	my $suppose = q{DO $$ BEGIN PERFORM hypopg_create_index('CREATE INDEX ON big (org_id, body)'); END $$;};

	like(rows_of($node, 'postgres', "$suppose " . for_tenant("EXPLAIN (COSTS OFF) $rare"), @app),
		qr/^(Index|Bitmap Heap) .*btree_big_org_id_body.* Index Cond: \(\(org_id = .*\) AND \(body = 'b8'/,
		'an index that is only supposed serves the filter');
	rows_are($node, 'postgres', "$suppose " . for_tenant($rare), '8', 'what is read is the tenant\'s', @app);
	rows_are($node, 'postgres', "$suppose " . for_tenant($rare, 2), '', 'and nobody else\'s', @app);
	refused($node, 'postgres', "$suppose $rare", 'no_context', 'or refused', @app);
	rows_are($node, 'postgres', q{BEGIN; DO $$ BEGIN PERFORM tenantguard.begin_bypass('propose'); END $$;
		SELECT columns, would_be_used FROM tenantguard.propose_indexes('public') WHERE relation = 'big'::regclass},
		'{org_id,body}|t', 'what pg_stat_statements asks for is proposed and tried')
		if $here{pg_stat_statements};
}

sub sets_the_user
{
	my $become = "SELECT set_user_u('$super')";
	my $quiet = "\\o /dev/null\n";

	$node->safe_psql('postgres', q{
		GRANT EXECUTE ON FUNCTION set_user(text), set_user_u(text), reset_user() TO app;
		DO $$ BEGIN CREATE ROLE mover; EXCEPTION WHEN duplicate_object THEN END $$;
		GRANT SELECT ON notes, organizations TO mover;
		SELECT tenantguard.grant_bypass('mover', 'migration');});
	rows_are($node, 'postgres', "$become; " . for_tenant($own) . 'SELECT session_user, current_user; SELECT reset_user(); '
		. for_tenant($own, 2), "OK 11 12 app|$super OK 21", 'who became a superuser is held', @app);
	refused($node, 'postgres', "$quiet$become;\n\\o\n$own", 'no_context', 'and refused without a tenant', @app);
	refused($node, 'postgres', "$quiet$become;\n\\o\n" . bypassing('SELECT 1'), 'bypass_denied', 'and has no bypass', @app);
	refused($node, 'postgres', "${quiet}SELECT set_user('mover');\n\\o\n$own", 'no_context', 'a grant is not taken over', @app);
	like(rows_of($node, 'postgres', "$become; " . for_tenant(q{COPY notes FROM PROGRAM 'true'}), @app),
		qr/COPY PROGRAM blocked by set_user/, 'what it blocks is blocked for guarded tables');
	like(rows_of($node, 'postgres', for_tenant("$own; $become"), @app),
		qr/not allowed within transaction block/, 'nobody switches inside a transaction');
	rows_are($node, 'postgres', "SELECT set_user('app'); " . bypassing($own), 'OK 11 12 21',
		'a superuser who became another keeps the right to a bypass');
	rows_are($node, 'postgres', for_tenant(q{COPY notes FROM PROGRAM 'printf "13\t1\tx\n"'; } . $own), '11 12 13',
		'a superuser of one\'s own may run a program');
}

# schedule_jobs(): jobs that run whenever the server starts
sub schedule_jobs
{
	my $note = sub { "INSERT INTO seen (job, context, notes) SELECT '$_[0]', $_[1], count(*) FROM notes" };
	my $lease = "SELECT tenantguard.begin_bypass('nightly'";
	my %jobs = (
		none => [ app => $note->('none', 'NULL') ],
		config => [ app => q{SELECT set_config('app.current_org_id', '1', true); }
			. $note->('config', 'tenantguard.current_tenant()') ],
		local => [ app => q{SET LOCAL app.current_org_id = '2'; } . $note->('local', 'tenantguard.current_tenant()') ],
		standing => [ night => $note->('standing', 'tenantguard.current_bypass()') ],
		session => [ worker => "$lease, 'session', now() + interval '10 minutes'); "
			. $note->('session', 'tenantguard.current_bypass()') ],
		transaction => [ worker => "$lease); " . $note->('transaction', 'tenantguard.current_bypass()') ],
		forgotten => [ worker => $note->('forgotten', 'NULL') ]);

	$node->safe_psql('postgres', q{
		CREATE TABLE seen (job text, context text, notes bigint, server timestamptz DEFAULT pg_postmaster_start_time());
		CREATE ROLE night LOGIN; CREATE ROLE worker LOGIN;
		GRANT SELECT ON notes TO night, worker;
		GRANT USAGE ON SCHEMA cron TO app, night, worker;
		GRANT INSERT ON seen TO app, night, worker;
		SELECT tenantguard.grant_bypass('night', 'migration');
		SELECT tenantguard.grant_bypass('worker', 'job');});
	for my $job (sort keys %jobs)
	{
		my ($role, $command) = @{ $jobs{$job} };
		$node->safe_psql('postgres', "SELECT cron.schedule('$job', '\@reboot', \$\$$command\$\$)",
			extra_params => [ '-U', $role ]);
	}
	$node->safe_psql('postgres', "UPDATE cron.job SET nodename = '" . $node->host . "'");
}

# Over a connection, then in background workers: these have no transaction
# block, so that begin_bypass() refuses its scope "transaction".
sub runs_jobs
{
	my ($order) = @_;
	my $block = $order eq 'first';

	my $runs = 'cron.job_run_details WHERE start_time >= pg_postmaster_start_time() AND status';

	$node->poll_query_until('postgres', qq{
		SELECT count(*) = (SELECT count(*) FROM cron.job) FROM $runs IN ('succeeded', 'failed')});
	rows_are($node, 'postgres', q{
		SELECT job, context, notes FROM seen WHERE server = pg_postmaster_start_time() ORDER BY job},
		'config|1|2 local|2|1 session|nightly|3 standing|migration|3' . ($block ? ' transaction|nightly|3' : ''),
		'jobs see what their tenant or grant lets them');
	rows_are($node, 'postgres', qq{
		SELECT jobname, substring(return_message FROM 'DETAIL: +(\\w+):')
		FROM cron.job JOIN (SELECT * FROM $runs = 'failed') runs USING (jobid) ORDER BY 1},
		'forgotten|no_context none|no_context' . ($block ? '' : ' transaction|bypass_scope'),
		'and without either they are refused, which is recorded');
}

my %shows = (
	pg_stat_statements => \&counts_statements, pgaudit => \&audits, auto_explain => \&explains_to_the_log,
	hypopg => \&supposes_indexes, set_user => \&sets_the_user, pg_cron => \&runs_jobs);

schedule_jobs() if $here{pg_cron};
for my $order ('first', 'last')
{
	$node->append_conf('postgresql.conf', preload($order));
	$node->append_conf('postgresql.conf', 'cron.use_background_workers = on') if $order eq 'last';
	$node->restart;
	subtest "tenantguard $order" => \&isolates;
	for my $companion (@companions)
	{
	  SKIP:
		{
			skip "$companion is not here" . ($help{$companion} ? ": $help{$companion}" : ''), 1
				unless $here{$companion};
			subtest "tenantguard $order: $companion" => sub { $shows{$companion}->($order) };
		}
	}
}
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC:|TRAP:|reference leak|not closed|speaks against/,
	'nothing crashed or leaked');

done_testing();
