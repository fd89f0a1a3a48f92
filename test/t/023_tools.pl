# Migration tools themselves, each with an application of its own: in a database
# without the extension, and in a guarded one, by the tables' owner without a
# grant and with the standing grant for migrations.
#
# What a tool says of each step is compared, what it leaves behind, and what
# check() finds then.  A tool that is not on the machine is skipped.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Utils;
use Streams;
use Test::More;

plan skip_all => 'left to the PostgreSQL of the machine itself (BRIEF)' if $ENV{BRIEF};
my $node = streams_node('tools');
my $python = '/usr/bin/python3';
my $dir = $PostgreSQL::Test::Utils::tmp_check;

# steps(command...): what a program says of its steps, in one line
sub steps
{
	my ($out, $err) = run_command([@_]);

	note($err) if $err ne '';
	return $out =~ s/\n/ /gr;
}

# timeless(facts): without the rows that say when they were made
sub timeless
{
	return $_[0] =~ s/^(?:django_migrations|ar_internal_metadata)\|\d+ \w{32}$//gmr;
}

# tool(name, command, steps without the extension, owner => [steps, findings],
# grant => the same): an undefined list of steps is the one without the extension
sub tool
{
	my ($name, $command, $bare, %expect) = @_;

	make_bare('bare');
	is(steps(@$command, $node->host, $node->port, 'bare', "$dir/$name"), $bare, "$name: without the extension");
	for my $as (qw(owner grant))
	{
		my ($steps, $findings) = @{ $expect{$as} };

		make_fresh('guarded', $as eq 'grant');
		is(steps(@$command, $node->host, $node->port, 'guarded', "$dir/$name"), $steps // $bare, "$name, $as: each step");
		my $now = look('guarded');
		is($now->{findings}, $findings, "$name, $as: findings");
		is("$now->{open}, $now->{open_to_superuser}", ', ', "$name, $as: no tenant sees rows of another");
		is(timeless($now->{facts}), timeless(facts_of('bare')), "$name, $as: has done the same") if !defined $steps;
	}
}

SKIP:
{
	skip 'no alembic with psycopg2 here', 1 if system("$python -c 'import alembic, psycopg2' 2>/dev/null") != 0;
	tool('alembic', [ $python, '-W', 'ignore', "$FindBin::Bin/alembic_steps.py" ],
		'schema=done data=done rename=done tenant_column=done',
		owner => [ 'schema=done data=42501 no_context rename=done tenant_column=42501 ddl_refused', '' ],
		grant => [ undef, 'TG105 tasks, TG201 tasks' ]);
}

SKIP:
{
	skip 'no django with psycopg2 here', 1 if system("$python -c 'import django, psycopg2' 2>/dev/null") != 0;
	my $auth = join ', ', map { "TG101 $_" } (map { "auth_$_" } qw(group group_permissions permission user user_groups user_user_permissions)),
		map { "django_$_" } qw(content_type migrations session);
	tool('django', [ $python, '-W', 'ignore', "$FindBin::Bin/django_steps.py" ],
		'contrib=done sessions=done schema=done rename=done data=done concurrently=done drop_index=done '
			. 'tenant_comes=done tenant_goes=done drop=done undo=done',
		owner => [ 'contrib=done sessions=done schema=done rename=done data=42501 no_context concurrently=done drop_index=done '
				. 'tenant_comes=done tenant_goes=42501 ddl_refused drop=done undo=done', $auth ],
		grant => [ undef, "$auth, TG105 tasks, TG201 tasks" ]);

	# The runner's test database is made of nothing, or of a guarded one.
	my $test = [ $python, '-W', 'ignore', "$FindBin::Bin/django_steps.py", $node->host, $node->port, 'test', "$dir/django" ];
	my %said = (
		owner => 'create=done tenant_None=42501 no_context tenant_1=[1] flush=42501 truncate_refused',
		grant => 'create=done tenant_None=[1, 2] tenant_1=[1] flush=done');
	for my $as (qw(owner grant))
	{
		make_fresh('guarded', $as eq 'grant');
		leave('guarded');
		is(steps(@$test), $said{$as}, "django, $as: a test database made of a guarded template");
	}
}

SKIP:
{
	skip 'no activerecord 6 with pg here', 1
		if system(q{/usr/bin/ruby -e 'require "active_record"; require "pg"; exit ActiveRecord::VERSION::MAJOR == 6' 2>/dev/null}) != 0;
	my $ours = 'TG101 ar_internal_metadata';
	tool('activerecord', [ '/usr/bin/ruby', '-W0', "$FindBin::Bin/activerecord_steps.rb" ],
		'schema=done concurrently=done key_later=done tenant_comes=done data=done rename=done drop=done dump=done '
			. 'truncate=done fixtures=done tenant_goes=done load=done load=done',
		owner => [ 'schema=done concurrently=done key_later=done tenant_comes=done data=42501 no_context rename=done drop=done dump=done '
				. 'truncate=42501 truncate_refused fixtures=42501 shared_read_only tenant_goes=42501 ddl_refused '
				. 'load=42501 ddl_refused load=42501',
			"$ours, TG101 countries, TG101 labels_tasks, TG101 marks, TG101 notes, TG101 schema_migrations" ],
		grant => [ 'schema=done concurrently=done key_later=done tenant_comes=done data=done rename=done drop=done dump=done '
				. 'truncate=done fixtures=done tenant_goes=2BP01 load=done load=42501',
			"$ours, TG101 countries, TG101 labels_tasks, TG101 marks, TG101 notes, TG101 organizations, TG101 projects, "
				. 'TG101 schema_migrations, TG101 tasks, TG118 database guarded' ]);

	# What is to be done after a schema.rb was loaded over the registry.
	in_session('guarded', q{INSERT INTO organizations VALUES (1), (2);
		SELECT count(*) FROM tenantguard.adopt_registry('organizations', 'id', 'status');
		SELECT count(*) FROM tenantguard.protect_all('public')});
	is(look('guarded')->{findings}, "$ours, TG101 countries, TG101 labels_tasks, TG101 schema_migrations", 'activerecord: repaired');
}

done_testing();
