# The rules of check() and the pages that explain them are the same: each code
# has a page and a row in the index, with its severity and title, and no page
# explains a rule that is not there. Each rule is found by a query, and has
# been seen to fire by a test.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $sql = join '', map { slurp_file($_) } glob('sql/4[1-6]_*.sql');
my (%rule, @twice);
for ($sql =~ /^\t(\('TG\d+', '\w+', '(?:[^']|'')*'\))/mg)
{
	my ($code, $severity, $title) = /'(TG\d+)', '(\w+)', '(.*)'\)$/;
	$title =~ s/''/'/g;
	push @twice, $code if $rule{$code};
	$rule{$code} = "$severity: $title";
}
ok(keys %rule > 10, 'there are rules');
is_deeply(\@twice, [], 'no code is used twice');

my %page;
for my $file (glob('docs/rules/TG*.md'))
{
	my ($code) = $file =~ m{/(TG\d+)\.md$};
	my $text = slurp_file($file);
	my ($title) = $text =~ /\A# $code: (.*)$/m;
	my ($severity) = $text =~ /^Severity \*\*(\w+)\*\*/m;
	$page{$code} = join ': ', $severity // 'no severity', $title // 'no title';
	my @missing = grep { $text !~ /^## \Q$_\E$/m }
		('What can happen', 'How to fix it', 'When to suppress it');
	is("@missing", '', "$code has its sections");
}
is_deeply(\%page, \%rule, 'a page for each rule, and a rule for each page');

my $index = slurp_file('docs/rules/README.md');
my %row;
$row{$1} = "$2: $3" while $index =~ /^\| \[(TG\d+)\]\(\1\.md\) \| (\w+) \| (.*) \|$/mg;
is_deeply(\%row, \%rule, 'a row of the index for each rule');

# The code in a list of rules is not a query: it stands a second time.
my @silent = grep { my $count = () = $sql =~ /'$_'/g; $count < 2 } sort keys %rule;
is("@silent", '', 'each rule is found by a query');

my $seen = join '', map { slurp_file($_) } glob('expected/check_*.out test/t/*check*.pl');
my @untested = grep { $seen !~ /\b$_\b/ } sort keys %rule;
is("@untested", '', 'each rule is seen by a test');

done_testing();
