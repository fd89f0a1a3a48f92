# Screen.pm
#   What the demos print, and how a figure is held against its expectation.

package Screen;

use strict;
use warnings;
use Exporter qw(import);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(check checks commas heading names paint run_demo step);

my $COLOUR = -t STDOUT && !exists $ENV{NO_COLOR};
my ($checks, @wrong) = (0);

# Compares a figure of the server with its expectation; returns the figure.
sub check
{
	my ($what, $got, $expected) = @_;
	$checks++;
	$got = 'nothing' unless defined $got;
	push @wrong, "$what: $got, expected $expected" if $got ne $expected;
	return $got;
}

# How many figures were compared so far.
sub checks { return $checks; }

sub commas
{
	my ($n) = @_;
	1 while $n =~ s/^(-?\d+)(\d{3})/$1,$2/;
	return $n;
}

sub paint
{
	my ($colour, $text) = @_;
	my %code = (bold => 1, red => 31, green => 32, dim => 2);
	return $COLOUR ? "\e[$code{$colour}m$text\e[0m" : $text;
}

sub heading
{
	my ($text) = @_;
	print "\n", paint('bold', $text), "\n";
}

sub names
{
	return join ', ', sort @_;
}

# Does one step, and says what it did and how long it took.
sub step
{
	my ($call, $work) = @_;
	my $start = time;
	my $said = $work->();
	printf "  %-38s %-49s %4.0f ms\n", $call, $said, (time - $start) * 1000;
}

# Runs a demo to its end; returns the exit status: 0 all as expected, 1 a
# figure is wrong, 2 it could not run.
sub run_demo
{
	my ($demo) = @_;
	my $start = time;
	local $| = 1;
	if (!eval { $demo->(); 1 })
	{
		print STDERR "demo: $@";
		return 2;
	}
	printf "\n%s  (%.1f s)\n",
	  paint(@wrong ? 'red' : 'bold',
		"$checks checks, " . ($checks - @wrong) . ' as expected'), time - $start;
	print STDERR paint('red', "WRONG: $_"), "\n" for @wrong;
	return @wrong ? 1 : 0;
}

1;
