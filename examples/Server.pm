# Server.pm
#   Asks the throw-away server, through psql, and tells answers from refusals.
#
# One psql for each script: what one attack leaves in its session cannot help
# the next one.

package Server;

use strict;
use warnings;
use File::Temp ();
use IPC::Open3;

# What the words app, owner and so on mean in the demo that runs.
our %ROLE = (superuser => $ENV{PGUSER} || 'postgres');

my $MARK = 'tenantguard demo: dropped and made again by every run';

$ENV{PGOPTIONS} =
  join(' ', grep { defined } $ENV{PGOPTIONS}, '-c client_min_messages=warning');

# Runs a script; returns its lines, and what stopped it, if anything did:
# SQLSTATE and, where the constraint field holds one, the reason word.
sub run
{
	my ($database, $role, $sql) = @_;
	my $in = temp_with("\\set VERBOSITY verbose\n$sql\n");
	my $err = File::Temp->new;
	my $pid = open3('<&' . fileno($in), my $out, '>&' . fileno($err),
		command($database, $role));
	my @lines = <$out>;
	chomp @lines;
	waitpid $pid, 0;
	return { lines => \@lines, status => $?, complaint($err) };
}

# A client of the server's version, where the caller has one in mind.
sub program
{
	my ($name) = @_;
	return "$ENV{PG_BINDIR}/$name" if $ENV{PG_BINDIR};
	return $ENV{ uc $name } || $name;
}

sub command
{
	my ($database, $role) = @_;
	return (
		program('psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-U', $ROLE{$role}, '-d',
		$database, '-f', '-');
}

sub temp_with
{
	my ($text) = @_;
	my $file = File::Temp->new;
	print {$file} $text;
	$file->flush;
	open my $in, '<', $file->filename or die "cannot read a temporary file: $!";
	return $in;
}

sub complaint
{
	my ($err) = @_;
	seek $err, 0, 0;
	my $text = join '', <$err>;
	my ($state) = $text =~ /(?:ERROR|FATAL):\s+(\w{5}):/;
	my ($field) = $text =~ /^CONSTRAINT NAME:\s+tenantguard_(\w+)/m;
	my ($word) = $text =~ /^DETAIL:\s+(\w+):/m;
	return (
		text   => $text,
		state  => $state,
		reason => defined $field && defined $word && $field eq $word
		? $field
		: undef);
}

# The lines of a script that must not fail.
sub ask
{
	my ($database, $role, $sql) = @_;
	my $answer = run($database, $role, $sql);
	die "$database, as $ROLE{$role}:\n$answer->{text}\nin:\n$sql\n"
	  if $answer->{status};
	return @{ $answer->{lines} };
}

sub run_file
{
	my ($database, $file) = @_;
	open my $in, '<', $file or die "cannot read $file: $!\n";
	local $/;
	return ask($database, 'superuser', scalar <$in>);
}

# ----------------------------------------------------------------------
# A demo's database
# ----------------------------------------------------------------------

# Makes a database, in place of what an earlier run left; one of that name
# that no demo made stops it.
sub make_database
{
	my ($database, $how) = @_;
	my ($mark) = ask('postgres', 'superuser',
		"SELECT coalesce(shobj_description(oid, 'pg_database'), '')"
		  . " FROM pg_database WHERE datname = '$database'");
	die "database \"$database\" exists and is not this demo's\n"
	  if defined $mark && $mark ne $MARK;
	ask('postgres', 'superuser', <<"SQL");
DROP DATABASE IF EXISTS $database WITH (FORCE);
CREATE DATABASE $database $how;
COMMENT ON DATABASE $database IS '$MARK';
ALTER DATABASE $database SET timezone = 'UTC';
SQL
}

# The command line of a statement run beside a script, for psql's \!.
sub shell_command
{
	my ($database, $sql) = @_;
	my @words = (command($database, 'superuser'), '-c', $sql);
	splice @words, -4, 2;
	s/'/'\\''/g for @words;
	return join ' ', map { "'$_'" } @words;
}

1;
