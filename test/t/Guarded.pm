# Guarded.pm
#	  What the TAP tests share: a server, and two tenants' notes in it.
package Guarded;
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Exporter 'import';
our @EXPORT = qw(guarded_node install_guard rows_are refused rows_of);

# guarded_node(name, preload, lines of configuration): a server that runs
sub guarded_node
{
	my ($name, $preload, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	# Names and messages are compared: the machine's locale stays outside.
	$node->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
	# Tests that are about new tables say what becomes of them.
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tenantguard'\ntenantguard.new_table = ignore")
		if $preload;
	$node->append_conf('postgresql.conf', join "\n", @conf) if @conf;
	$node->start;
	return $node;
}

# install_guard(node, database): the extension, two tenants, and a role
# "app" that row security binds
sub install_guard
{
	my ($node, $database) = @_;

	$node->safe_psql($database, q{
		CREATE EXTENSION tenantguard;
		CREATE TABLE organizations (id bigint PRIMARY KEY,
			status text NOT NULL DEFAULT 'active', last_seen timestamptz);
		CREATE TABLE notes (id bigint PRIMARY KEY,
			org_id bigint NOT NULL REFERENCES organizations, body text);
		CREATE INDEX ON notes (org_id);
		INSERT INTO organizations VALUES (1), (2);
		INSERT INTO notes VALUES (11, 1, 'one'), (12, 1, 'one more'), (21, 2, 'two');
		SELECT count(*) FROM tenantguard.adopt_registry('organizations', 'id', 'status');
		SELECT count(*) FROM tenantguard.protect('notes', 'org_id');
		DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
		GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app;
		GRANT SELECT, UPDATE ON organizations TO app;
	});
}

# rows_of(node, database, sql, options of psql->()): what a session prints
sub rows_of
{
	my ($node, $database, $sql, %options) = @_;
	my ($code, $out, $err) = $node->psql($database, $sql, %options);

	return $code == 0 ? $out =~ s/\n/ /gr : "error: $err";
}

# rows_are(node, database, sql, rows in one line, what it shows, options)
sub rows_are
{
	my ($node, $database, $sql, $rows, $shows, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(rows_of($node, $database, $sql, %options), $rows, $shows);
}

# refused(node, database, sql, reason word, what it shows, options)
sub refused
{
	my ($node, $database, $sql, $reason, $shows, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($code, $out, $err) = $node->psql($database, $sql, %options);

	ok($code != 0 && $err =~ /DETAIL:  \Q$reason\E: / && $out eq '', $shows)
		or diag("exit $code, printed: $out\n$err");
}

1;
