# Expected.pm
#   What every count of the helpdesk must be, from the generator's arithmetic.
#
# data.sql says how row i of a table finds its organization; this file says
# the same in another language and never asks the server, so that a figure of
# the demo and its expectation come from two places.

package Expected;

use strict;
use warnings;

our @TENANTS = ([1, 'Acme Bicycles'], [2, 'Birch Books'], [3, 'Cobalt Cafe']);

# Tables whose row i belongs to owner_of(i).
our %ROWS = (
	teams                => 60,
	team_members         => 300,
	api_keys             => 60,
	companies            => 500,
	customers            => 3000,
	sla_policies         => 30,
	custom_fields        => 50,
	tickets              => 12000,
	ticket_comments      => 30000,
	attachments          => 3000,
	tags                 => 100,
	'"ticketTags"'       => 10000,
	satisfaction_ratings => 2400,
	saved_filters        => 100,
	articles             => 600,
	mailboxes            => 20,
	email_log            => 4000,
	webhooks             => 30,
	webhook_deliveries   => 2000,
	notifications        => 790,
	invoices             => 240,
	invoice_lines        => 720,
	events               => 24000,
	comment_reactions    => 4000,
	article_votes        => 1200,);

# Those among them that were made without a tenant column.
our @LINKED = qw(article_votes comment_reactions);

# Tables in which no row is one organization's.
our %COMMON = (
	countries         => 20,
	plans             => 3,
	schema_migrations => 14,
	users             => 300,);

our $HOUSE_REPLIES = 10;

sub owner_of
{
	my ($i) = @_;
	my $digit = $i % 10;
	return $digit < 5 ? 1 : $digit < 8 ? 2 : 3;
}

# The owner of what refers to row i of a parent, whose id is i + 1: in SQL too,
# for tables that do not say.
sub owner_sql
{
	my ($id) = @_;
	return "CASE WHEN ($id - 1) % 10 < 5 THEN 1 WHEN ($id - 1) % 10 < 8 THEN 2"
	  . ' ELSE 3 END';
}

# The organizations of person i: the first hundred have a second one.
sub organizations_of
{
	my ($i) = @_;
	my $home = owner_of($i);
	return $i < 100 ? ($home, $home % 3 + 1) : ($home);
}

my %own;

# How many of n rows are the tenant's; $test looks at the row's number.
sub count_of
{
	my ($n, $tenant, $test) = @_;
	my @own = @{ $own{$n}{$tenant} ||=
		  [ grep { owner_of($_) == $tenant } 0 .. $n - 1 ] };
	return $test ? scalar grep { $test->($_) } @own : scalar @own;
}

sub memberships
{
	my ($tenant) = @_;
	return
	  scalar grep { $_ == $tenant } map { organizations_of($_) } 0 .. 299;
}

# The tenant's own rows of a table, and of the registry.
sub rows
{
	my ($table, $tenant) = @_;
	return 1 if $table eq 'organizations';
	return memberships($tenant) if $table eq 'memberships';
	return count_of(50, $tenant) if $table eq 'canned_replies';
	return count_of($ROWS{$table}, $tenant);
}

# The rows of all other tenants.
sub foreign_rows
{
	my ($table, $tenant) = @_;
	my $sum = 0;
	$sum += rows($table, $_) for grep { $_ != $tenant } map { $_->[0] } @TENANTS;
	return $sum;
}

# What the tenant sees: its own rows, and the shared ones.
sub visible
{
	my ($table, $tenant) = @_;
	return rows($table, $tenant)
	  + ($table eq 'canned_replies' ? $HOUSE_REPLIES : 0);
}

sub tenant_tables
{
	my @tables = sort(keys %ROWS, 'memberships', 'canned_replies');
	return @tables;
}

sub total
{
	my $sum = $HOUSE_REPLIES;
	for my $table (tenant_tables(), 'organizations')
	{
		$sum += rows($table, $_->[0]) for @TENANTS;
	}
	$sum += $_ for values %COMMON;
	return $sum;
}

1;
