# The reason words of the code and those of the reference are the same, and
# each is raised somewhere.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $header = slurp_file('src/base/errors.h');
my %word = $header =~ /^#define\s+(REASON_\w+)\s+"(\w+)"/mg;
ok(keys %word > 10, 'the header has reason words');
is(keys %word, keys %{ { reverse %word } }, 'each once');

my $page = slurp_file('docs/reference/errors.md');
my @documented = sort $page =~ /^\|\s*`(\w+)`\s*\|/mg;
is_deeply(\@documented, [ sort values %word ], 'docs/reference/errors.md lists the same words');

my $code = join '', map { slurp_file($_) } grep { $_ ne 'src/base/errors.h' }
	glob('src/*.[ch] src/*/*.[ch]');
my $sql = join '', map { slurp_file($_) } glob('sql/*.sql');
for my $name (sort keys %word)
{
	ok($code =~ /\b$name\b/ || $sql =~ /'tenantguard_$word{$name}'|$word{$name}: /,
		"$word{$name} is raised");
}

# What SQL raises is in the header too.
my %known = reverse %word;
is_deeply([ grep { !$known{$_} } $sql =~ /CONSTRAINT = 'tenantguard_(\w+)'/g ], [],
	'SQL raises no other word');

done_testing();
