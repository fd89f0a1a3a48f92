# Attacks.pm
#   Thirty-six ways for one tenant to meet another's rows.
#
# The attacker is organization 2 (Birch Books).  An attack is a psql script;
# its last line of output is "foreign|own": rows of other tenants, and of its
# own, that it saw, changed or destroyed.  In the script <set N> is what the
# application does for tenant N, <mine TABLE> counts what is visible, and
# <whose ID TABLE> the same by the id of the parent, where rows do not say whose
# they are.  Nothing is committed.
#
# Every attack says what it must meet under the usual policy with ENABLE, under
# the same policy with FORCE, and under tenantguard: rows(foreign, own) or an
# SQLSTATE, for tenantguard with its reason word.

package Attacks;

use strict;
use warnings;
use Expected;

my $ME = 2;

sub rows
{
	return "rows($_[0], $_[1])";
}

# Everything, only one's own, nobody's: for the tenant column of a table.
sub all_of  { return rows(Expected::foreign_rows($_[0], $ME), own_of($_[0])); }
sub mine_of { return rows(0, own_of($_[0])); }
sub own_of  { return Expected::rows($_[0], $ME); }
sub taken   { return rows($_[0], 0); }
sub refused { return "42501 $_[0]"; }

my $month = Expected::count_of(2000, $ME);
my $mail = sub { int($_[0] / 10) % 5 == 0 };
my $open = sub { int($_[0] / 10) % 4 < 2 };
my $refund = sub { int($_[0] / 10) % 7 == 0 };

sub tickets_where
{
	my ($test) = @_;
	my @n = map { Expected::count_of(12000, $_, $test) } 1 .. 3;
	my $own = $n[ $ME - 1 ];
	return ($n[0] + $n[1] + $n[2] - $own, $own);
}

sub list
{
	my ($setting, $suspend) = @_;
	my @attacks = (context_attacks($suspend), plan_attacks(),
		privileged_attacks(), write_attacks(), linked_attacks());
	for my $attack (@attacks)
	{
		for ($attack->{sql})
		{
			s/<setting>/$setting/g;
			s/<set (\w*)>/SET LOCAL $setting = '$1';/g;
			s/<leave (\w*)>/SET $setting = '$1';/g;
			s/<mine ([^>]+)>/SELECT count(*) FILTER (WHERE org_id <> $ME), count(*) FILTER (WHERE org_id = $ME) FROM $1/g;
			s/<whose (\w+) ([^>]+)>/whose($1, $2)/ge;
		}
	}
	return @attacks;
}

sub whose
{
	my ($id, $table) = @_;
	my $owner = Expected::owner_sql($id);
	return "SELECT count(*) FILTER (WHERE $owner <> $ME),"
	  . " count(*) FILTER (WHERE $owner = $ME) FROM $table";
}

# The tenant is missing, wrong, or somebody else's.
sub context_attacks
{
	my ($suspend) = @_;
	my $theirs = Expected::rows('tickets', 1);
	my $closed = Expected::rows('tickets', 3);
	return (
		{   name  => 'SELECT that forgot its WHERE',
			as    => 'app',
			sql   => 'BEGIN; <set 2> <mine tickets>;',
			met   => [ (mine_of('tickets')) x 3 ] },
		{   name  => 'request that set no tenant',
			as    => 'app',
			sql   => '<mine tickets>;',
			met   => [ '42704', '42704', refused('no_context') ] },
		{   name  => "tenant ''",
			as    => 'app',
			sql   => 'BEGIN; <set > <mine tickets>;',
			met   => [ '22P02', '22P02', refused('no_context') ] },
		{   name  => 'tenant that does not exist',
			as    => 'app',
			sql   => 'BEGIN; <set 999> <mine tickets>;',
			met   => [ rows(0, 0), rows(0, 0), refused('unknown_tenant') ] },
		{   name  => 'tenant suspended a moment ago, open connection',
			as    => 'app',
			sql   => "BEGIN; <set 3> SELECT count(*) FROM tickets; COMMIT;\n"
			  . "\\! $suspend\n"
			  . 'BEGIN; <set 3> <mine tickets>;',
			met =>
			  [ taken($closed), taken($closed), refused('suspended_tenant') ] },
		{   name  => "pooled connection with yesterday's tenant",
			as    => 'app',
			sql   => 'BEGIN; <leave 1> <mine tickets>; COMMIT;'
			  . 'BEGIN; <mine tickets>;',
			met =>
			  [ taken($theirs), taken($theirs), refused('stale_context') ] },
		{   name  => 'tenant switched in mid-transaction',
			as    => 'app',
			sql   => 'BEGIN; <set 2> <mine tickets>; <set 1> <mine tickets>;',
			met =>
			  [ taken($theirs), taken($theirs), refused('tenant_fixed') ] },
		{   name  => 'tenant switched inside one statement',
			as    => 'app',
			sql   => switch_inside(),
			met =>
			  [ taken($theirs), taken($theirs), refused('tenant_fixed') ] });
}

# The setting changes while the statement runs, before the table is read.
sub switch_inside
{
	return <<'SQL';
BEGIN; <set 2>
<mine (SELECT set_config('<setting>', '1', true) AS s OFFSET 0) AS o,
	LATERAL (SELECT org_id FROM tickets WHERE o.s IS NOT NULL OFFSET 0) AS t>;
SQL
}

# The tenant's role is honest, the plan or the way to the table is not.
sub plan_attacks
{
	my @open = tickets_where($open);
	my @mail = tickets_where($mail);
	my $theirs = 2000 - $month;
	return (
		{   name  => 'prepared statement, then another tenant',
			as    => 'app',
			sql   => 'SET plan_cache_mode = force_generic_plan;'
			  . 'PREPARE q AS <mine tickets>;'
			  . 'BEGIN; <set 1> EXECUTE q; COMMIT; BEGIN; <set 2> EXECUTE q;',
			met => [ (mine_of('tickets')) x 3 ] },
		{   name  => 'plan cached in PL/pgSQL, then another tenant',
			as    => 'app',
			sql   => q{BEGIN; <set 1> <mine tickets_on('mail')>; COMMIT;}
			  . q{BEGIN; <set 2> <mine tickets_on('mail')>;},
			met => [ (rows(0, $mail[1])) x 3 ] },
		{   name  => 'partition addressed by its own name',
			as    => 'app',
			sql   => 'BEGIN; <set 2> <mine events_2025_06>;',
			met   => [
				rows($theirs, $month), rows($theirs, $month), rows(0, $month) ] },
		{   name  => "view owned by the tables' owner",
			as    => 'app',
			sql   => 'BEGIN; <set 2> <mine open_tickets>;',
			met   => [ rows(@open), (rows(0, $open[1])) x 2 ] },
		{   name  => 'view made by a BYPASSRLS migration role',
			as    => 'app',
			sql   => 'BEGIN; <set 2> SELECT'
			  . ' coalesce(sum(tickets) FILTER (WHERE org_id <> 2), 0),'
			  . ' sum(tickets) FILTER (WHERE org_id = 2) FROM ticket_report;',
			met => [ (all_of('tickets')) x 2, mine_of('tickets') ] },
		{   name  => 'SECURITY DEFINER function of the same role',
			as    => 'app',
			sql   => 'BEGIN; <set 2> SELECT'
			  . ' count(*) FILTER (WHERE ticket_org <> 2),'
			  . ' count(*) FILTER (WHERE ticket_org = 2)'
			  . ' FROM latest_tickets(20000);',
			met => [ (all_of('tickets')) x 2, mine_of('tickets') ] });
}

# The role is more than the application's.
sub privileged_attacks
{
	my @refund = tickets_where($refund);
	my $everything =
	  Expected::foreign_rows('tickets', $ME)
	  + Expected::foreign_rows('articles', $ME);
	my $own = own_of('tickets') + own_of('articles');
	return (
		{   name  => 'query by the owner, SQL function inlined',
			as    => 'owner',
			sql   => q{BEGIN; <set 2> <mine find_tickets('refund')>;},
			met   => [ rows(@refund), (rows(0, $refund[1])) x 2 ] },
		{   name  => 'query by a superuser',
			as    => 'superuser',
			sql   => 'BEGIN; <set 2> <mine tickets>;',
			met   => [ (all_of('tickets')) x 2, mine_of('tickets') ] },
		{   name  => 'UNION ALL with a cheap leaky function, superuser',
			as    => 'superuser',
			sql   => leaky_union(),
			met   => [ (rows($everything, $own)) x 2, rows(0, $own) ] },
		{   name  => 'COPY tickets TO STDOUT by a superuser',
			as    => 'superuser',
			sql   => 'BEGIN; <set 2> COPY tickets (org_id) TO STDOUT;',
			met   => [ (all_of('tickets')) x 2, mine_of('tickets') ] },
		{   name  => 'copy made by CREATE TABLE AS, superuser',
			as    => 'superuser',
			sql   => 'BEGIN; <set 2> CREATE TABLE backup_of AS'
			  . ' SELECT org_id FROM tickets; <mine backup_of>;',
			met =>
			  [ (all_of('tickets')) x 2, refused('materialize_refused') ] },
		{   name  => 'DISABLE ROW LEVEL SECURITY by the owner',
			as    => 'owner',
			sql   => 'BEGIN; ALTER TABLE tickets DISABLE ROW LEVEL SECURITY;'
			  . '<set 2> <mine tickets>;',
			met => [ (all_of('tickets')) x 2, refused('ddl_refused') ] });
}

# A function that costs nothing sorts before a filter that costs something: it
# counts the rows that it was shown, whatever the query returns.
sub leaky_union
{
	return <<'SQL';
CREATE FUNCTION pg_temp.peek(org bigint) RETURNS boolean
LANGUAGE plpgsql COST 0.0000001 AS $$
DECLARE
	seen text := CASE WHEN org = 2 THEN 'app.seen_own' ELSE 'app.seen_foreign' END;
BEGIN
	PERFORM set_config(seen, (current_setting(seen)::int + 1)::text, false);
	RETURN true;
END $$;
SET app.seen_own = 0; SET app.seen_foreign = 0;
BEGIN; <set 2>
\o /dev/null
SELECT * FROM (SELECT org_id, subject FROM tickets
	UNION ALL SELECT org_id, title FROM articles) AS t WHERE pg_temp.peek(org_id);
\o
SELECT current_setting('app.seen_foreign'), current_setting('app.seen_own');
SQL
}

# What changes rows.
sub write_attacks
{
	my $changed = 'SELECT count(*) FILTER (WHERE org_id <> 2), 0 FROM done;';
	my $ratings = Expected::foreign_rows('satisfaction_ratings', $ME);
	return (
		{   name  => 'INSERT of a row for another tenant',
			as    => 'app',
			sql   => q{BEGIN; <set 2> WITH done AS (INSERT INTO tags}
			  . qq{ VALUES (1, 'planted') RETURNING org_id) $changed},
			met => [ '42501', '42501', refused('foreign_tenant') ] },
		{   name  => 'UPDATE that moves a row to another tenant, owner',
			as    => 'owner',
			sql   => 'BEGIN; <set 2> WITH done AS (UPDATE tickets'
			  . " SET org_id = 1 WHERE id = 6 RETURNING org_id) $changed",
			met => [ taken(1), '42501', refused('foreign_tenant') ] },
		{   name  => "upsert onto another tenant's row, owner",
			as    => 'owner',
			sql   => 'BEGIN; <set 2> WITH done AS (INSERT INTO tickets'
			  . " (id, org_id, number, subject) VALUES (1, 2, 1, 'x')"
			  . ' ON CONFLICT (id) DO UPDATE SET subject = excluded.subject'
			  . " RETURNING org_id) $changed",
			met => [ taken(1), '42501', refused('foreign_conflict') ] },
		{   name  => "MERGE into another tenant's rows, superuser",
			as    => 'superuser',
			sql   => 'BEGIN; <set 2> MERGE INTO invoices i'
			  . ' USING (SELECT 1 AS org) AS s ON i.org_id = s.org'
			  . " WHEN MATCHED THEN UPDATE SET total = 0;\n\\echo :ROW_COUNT|0\n",
			met => [
				(taken(Expected::rows('invoices', 1))) x 2, rows(0, 0) ] },
		{   name  => 'DELETE that forgot its WHERE, owner',
			as    => 'owner',
			sql   => 'BEGIN; <set 2> WITH done AS (DELETE FROM'
			  . ' satisfaction_ratings RETURNING org_id) <mine done>;',
			met   => [
				all_of('satisfaction_ratings'),
				(mine_of('satisfaction_ratings')) x 2 ] },
		{   name  => 'TRUNCATE by the owner',
			as    => 'superuser',
			sql   => <<'SQL',
BEGIN; <set 2>
SELECT count(*) AS before FROM satisfaction_ratings WHERE org_id <> 2 \gset
SET LOCAL ROLE helpdesk_owner;
TRUNCATE satisfaction_ratings;
RESET ROLE;
SELECT :before - count(*), 0 FROM satisfaction_ratings WHERE org_id <> 2;
SQL
			met => [ (taken($ratings)) x 2, refused('truncate_refused') ] });
}

# Tables that say nothing of an organization, and what is attached to a row of
# another one.  The usual policy has no column to hold article_votes and
# comment_reactions by.
sub linked_attacks
{
	my $open = sub { (all_of($_[0])) x 2 };
	my $mine = mine_of('article_votes');
	my $insert = sub {
		my ($into, $values) = @_;
		return "BEGIN; <set 2> INSERT INTO $into VALUES $values;"
		  . "\n\\echo :ROW_COUNT|0\n";
	};
	my $attached = [ (taken(1)) x 2, '23503' ];
	return (
		{   name  => 'votes, which only their article ties to an owner',
			as    => 'app',
			sql   => 'BEGIN; <set 2> <whose article_id article_votes>;',
			met   => [ $open->('article_votes'), $mine ] },
		{   name  => "votes, view owned by the tables' owner",
			as    => 'app',
			sql   => 'BEGIN; <set 2> <whose article_id'
			  . ' article_scores, generate_series(1, votes)>;',
			met => [ $open->('article_votes'), $mine ] },
		{   name  => 'COPY article_votes TO STDOUT by a superuser',
			as    => 'superuser',
			sql   => 'BEGIN; <set 2> COPY article_votes (article_id) TO STDOUT;',
			owner => sub { Expected::owner_of($_[0] - 1) },
			met   => [ $open->('article_votes'), $mine ] },
		{   name  => 'DELETE of votes that forgot its WHERE, owner',
			as    => 'owner',
			sql   => 'BEGIN; <set 2> WITH done AS (DELETE FROM article_votes'
			  . ' RETURNING article_id) <whose article_id done>;',
			met   => [ $open->('article_votes'), $mine ] },
		{   name  => 'UPDATE of reactions that forgot its WHERE',
			as    => 'app',
			sql   => 'BEGIN; <set 2> WITH done AS (UPDATE comment_reactions'
			  . " SET emoji = 'no' RETURNING comment_id) <whose comment_id done>;",
			met =>
			  [ $open->('comment_reactions'), mine_of('comment_reactions') ] },
		{   name  => "comment on another tenant's ticket",
			as    => 'app',
			sql   => $insert->(
				'ticket_comments (org_id, ticket_id, body)', "(2, 1, 'x')"),
			met => $attached },
		{   name  => "vote for another tenant's article",
			as    => 'app',
			sql   => $insert->('article_votes', "(1, 'x', true)"),
			met   => $attached },
		{   name  => "reaction to another tenant's comment, owner",
			as    => 'owner',
			sql   => $insert->(
				'comment_reactions', "(1, md5('user5')::uuid, 'x')"),
			met => $attached },
		{   name  => "vote moved to another's article, superuser",
			as    => 'superuser',
			sql   => 'BEGIN; <set 2> UPDATE article_votes SET article_id = 1'
			  . " WHERE (article_id, voter) = (6, 'voter5');"
			  . "\n\\echo :ROW_COUNT|0\n",
			met => $attached },
		{   name  => "ON CONFLICT on another tenant's vote, superuser",
			as    => 'superuser',
			sql   => 'BEGIN; <set 2> WITH done AS (INSERT INTO article_votes'
			  . " VALUES (1, 'voter0', false) ON CONFLICT (article_id, voter)"
			  . ' DO UPDATE SET helpful = false RETURNING article_id)'
			  . ' <whose article_id done>;',
			met => [ (taken(1)) x 2, refused('foreign_conflict') ] });
}

1;
