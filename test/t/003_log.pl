# What the server log says: every use of a bypass, and what
# tenantguard.enforce = log would have refused or filtered.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('log', 1, "log_line_prefix = '%u> '", 'log_min_messages = log');
install_guard($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE ROLE porter LOGIN;
	GRANT SELECT, UPDATE ON notes TO porter;
	CREATE TABLE weather (day date);
	GRANT SELECT ON weather TO porter, app;
	CREATE FUNCTION count_notes() RETURNS bigint LANGUAGE plpgsql AS
		'BEGIN RETURN (SELECT count(*) FROM notes); END';
	CREATE FUNCTION look(times int) RETURNS void LANGUAGE plpgsql AS
		'BEGIN FOR i IN 1 .. times LOOP PERFORM count(*) FROM notes; END LOOP; END';
	SELECT tenantguard.grant_bypass('porter', 'support');});

my $super = $node->safe_psql('postgres', 'SELECT current_user');

# logged(sql, role): our lines that running sql as role adds to the log
sub logged
{
	my ($sql, $role) = @_;
	my $offset = -s $node->logfile;

	$node->psql('postgres', $sql, extra_params => [ '-U', $role ], on_error_stop => 0);
	my $added = slurp_file($node->logfile, $offset);
	return [ $added =~ /^(\w*> LOG:  tenantguard: .*(?:\n\t.*)*)/mg ];
}

sub says
{
	my ($sql, $role, $lines, $shows) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is_deeply(logged($sql, $role), [ map { "$role> LOG:  tenantguard: $_" } @$lines ], $shows);
}

sub bypass { "bypass $_[0]: role=porter reason=$_[1]" }

#
# A bypass
#
says(q{BEGIN; SELECT tenantguard.begin_bypass('ticket 1');
SELECT count(*) FROM notes;
UPDATE notes SET body = body WHERE id = 11;
SELECT * FROM weather;
COMMIT;
SELECT * FROM weather;}, 'porter',
	[ bypass(opened => "'ticket 1'"),
		bypass(used => "'ticket 1' statement=SELECT count(*) FROM notes;"),
		bypass(used => "'ticket 1' statement=UPDATE notes SET body = body WHERE id = 11;"),
		bypass(closed => "'ticket 1'") ],
	'opened, each statement that reaches guarded rows, closed');

says(q{BEGIN; SELECT tenantguard.begin_bypass('ticket 2');
SELECT tenantguard.end_bypass();
COMMIT;}, 'porter',
	[ bypass(opened => "'ticket 2'"), bypass(closed => "'ticket 2'") ], 'closed once, by its own call');

says(q{BEGIN; SELECT tenantguard.begin_bypass('ticket 3');
SELECT 1 / (id - id) FROM notes;
ROLLBACK;}, 'porter',
	[ bypass(opened => "'ticket 3'"),
		bypass(used => "'ticket 3' statement=SELECT 1 / (id - id) FROM notes;"),
		bypass(closed => "'ticket 3'") ], 'a statement that fails is in the log');

says(q{BEGIN; SELECT tenantguard.begin_bypass('ticket 4');
SELECT count_notes();
PREPARE list AS SELECT id FROM notes;
EXECUTE list;
EXECUTE list;
COMMIT;}, 'porter',
	[ bypass(opened => "'ticket 4'"),
		bypass(used => "'ticket 4' statement=(SELECT count(*) FROM notes)"),
		(bypass(used => "'ticket 4' statement=PREPARE list AS SELECT id FROM notes;")) x 2,
		bypass(closed => "'ticket 4'") ], 'inside a function, and prepared');

says(q{SELECT tenantguard.begin_bypass('long', 'session', now() + interval '1 hour');
SELECT id FROM notes;
SELECT tenantguard.end_bypass();}, 'porter',
	[ bypass(opened => "'long'"),
		bypass(used => "'long' statement=SELECT id FROM notes;"),
		bypass(closed => "'long'") ], 'a bypass of the session');

says("BEGIN; SELECT tenantguard.begin_bypass(E'it''s\nporter> LOG:  tenantguard: nothing happened'); COMMIT;",
	'porter',
	[ bypass(opened => "'it''s\n\tporter> LOG:  tenantguard: nothing happened'"),
		bypass(closed => "'it''s\n\tporter> LOG:  tenantguard: nothing happened'") ],
	'a reason cannot forge a line');

says(q{BEGIN; SELECT tenantguard.begin_bypass('none'); ROLLBACK;
SELECT id FROM notes;
SET client_min_messages = fatal;
SET log_min_messages = fatal;}, 'app', [], 'what is refused is no use');

$node->safe_psql('postgres', q{SELECT tenantguard.grant_bypass('porter', 'migration')});
says(q{SELECT id FROM notes;
BEGIN; SET LOCAL app.current_org_id = '1'; SELECT id FROM notes; COMMIT;
SELECT * FROM weather;}, 'porter',
	[ bypass(used => 'migration statement=SELECT id FROM notes;') ],
	'a standing grant, where no tenant is set');
$node->safe_psql('postgres', q{SELECT tenantguard.revoke_bypass('porter')});

# Commands that change or empty a guarded table.
is_deeply([ map { /statement=(.*)/ ? $1 : () }
	@{ logged(q{BEGIN; SELECT tenantguard.begin_bypass('ticket 5');
COPY notes TO STDOUT;
ALTER TABLE notes DISABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
DROP POLICY tenantguard_partner ON notes;
TRUNCATE notes;
ROLLBACK;}, $super) } ],
	[ 'COPY notes TO STDOUT;', 'ALTER TABLE notes DISABLE ROW LEVEL SECURITY;',
		'DROP POLICY tenantguard_partner ON notes;', 'TRUNCATE notes;' ],
	'commands that only a bypass permits');

#
# tenantguard.enforce = log
#
$node->safe_psql('postgres', q{BEGIN;
	SELECT FROM tenantguard.begin_bypass('report only'); ALTER ROLE app SET tenantguard.enforce = log; COMMIT});
# would(rows read, rows written, statement)
sub would
{
	my ($read, $written, $statement) = @_;

	return "would filter $read rows read and refuse $written rows written of other tenants in notes: "
		. "role=app tenant=1 statement=$statement";
}

my $tenant = "BEGIN; SET LOCAL app.current_org_id = '1';\n";

rows_are($node, 'postgres', 'SELECT id FROM notes ORDER BY id', '11 12 21',
	'statements run as before', extra_params => [ '-U', 'app' ]);
says("${tenant}SELECT id FROM notes;\nCOMMIT;", 'app',
	[ would(1, 0, 'SELECT id FROM notes;') ], 'a row that would be filtered');
says("${tenant}SELECT id FROM notes WHERE org_id = 1;\nSELECT * FROM weather;\nCOMMIT;", 'app', [],
	'nothing where the query filters by itself');
says("${tenant}SELECT n.id FROM notes n JOIN weather w ON true;\nCOMMIT;", 'app', [],
	'nothing where no row would differ');
says("SELECT id FROM notes;", 'app',
	[ 'would refuse (no_context): role=app tenant=(none) statement=SELECT id FROM notes;' ],
	'a statement without a tenant');
says("${tenant}SELECT look(3);\nCOMMIT;", 'app',
	[ (would(1, 0, 'SELECT count(*) FROM notes')) x 3 ], 'one line for each query in a function');
says("${tenant}PREPARE list AS SELECT id FROM notes;\nEXECUTE list;\nEXECUTE list;\nCOMMIT;", 'app',
	[ (would(1, 0, 'PREPARE list AS SELECT id FROM notes;')) x 2 ], 'and for each execution');
says("${tenant}INSERT INTO notes VALUES (22, 2, 'foreign');\nROLLBACK;", 'app',
	[ would(0, 1, "INSERT INTO notes VALUES (22, 2, 'foreign');") ], 'a row that would be refused');
says("${tenant}UPDATE notes SET body = 'same';\nROLLBACK;", 'app',
	[ would(1, 1, "UPDATE notes SET body = 'same';") ], 'a row read and written');
says("${tenant}DELETE FROM notes WHERE id = 21;\nROLLBACK;", 'app',
	[ would(1, 0, 'DELETE FROM notes WHERE id = 21;') ], 'a row that would stay');
says("${tenant}UPDATE notes SET body = look(1)::text WHERE id = 21;\nROLLBACK;", 'app',
	[ would(1, 0, 'SELECT count(*) FROM notes'),
		would(1, 1, 'UPDATE notes SET body = look(1)::text WHERE id = 21;') ],
	'a query inside another is counted apart');
is_deeply(logged("${tenant}SELECT id FROM notes;\nCOMMIT;", $super), [],
	'nobody else is in this mode');

# Foreign keys that cross, one line for a statement.
$node->safe_psql('postgres', q{CREATE TABLE marks (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations,
		note bigint REFERENCES notes ON DELETE CASCADE, later bigint REFERENCES notes DEFERRABLE INITIALLY DEFERRED);
	SELECT count(*) FROM tenantguard.protect('marks'); GRANT ALL ON marks TO app;
	BEGIN; SELECT FROM tenantguard.begin_bypass('cross'); INSERT INTO marks VALUES (1, 2, 12, NULL), (2, 2, 12, NULL), (3, 1, 11, NULL); COMMIT;});
my $crosses = "would refuse (foreign_reference: a reference to a row of another tenant in notes): role=app tenant=1 statement=";
my $carries = "would refuse (foreign_reference: constraint marks_note_fkey reaches rows of other tenants): role=app tenant=1 statement=";
says("${tenant}INSERT INTO marks SELECT i, 1, 21 FROM generate_series(4, 6) AS i;\nCOMMIT;", 'app',
	[ "${crosses}INSERT INTO marks SELECT i, 1, 21 FROM generate_series(4, 6) AS i;" ], 'a reference that would be refused');
says("${tenant}INSERT INTO marks VALUES (7, 1, NULL, 21);\nCOMMIT;", 'app', [ "${crosses}COMMIT;" ],
	'a deferred one, at the end');
says("${tenant}INSERT INTO marks VALUES (8, 1, 11, 12);\nCOMMIT;", 'app', [], 'nothing where it is the tenant\'s own');
says("${tenant}DELETE FROM notes WHERE id = 12;\nROLLBACK;", 'app', [ "${carries}DELETE FROM notes WHERE id = 12;" ],
	'a cascade that would be refused');
rows_are($node, 'postgres', "SELECT count(*) FROM marks WHERE note = 21 OR later = 21", '4',
	'they were all written', extra_params => [ '-U', 'app' ]);

#
# The extension goes
#
is(scalar(grep { /extension dropped: role=$super no longer guarded=.*notes/ }
	@{ logged('DROP EXTENSION tenantguard CASCADE', $super) }), 1,
	'what is no longer guarded when the extension is dropped');
rows_are($node, 'postgres', 'SELECT count(*) FROM notes', '3', 'the data stay');

done_testing();
