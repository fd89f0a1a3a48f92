# Logical replication: one tenant's rows to another server, with the roles that
# serve, and what a replication role can read.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @settings = ('wal_level = logical', 'max_wal_senders = 8', 'max_replication_slots = 8',
	"wal_retrieve_retry_interval = '100ms'", 'autovacuum = off');
my $publisher = guarded_node('publisher', 1, @settings);
my $subscriber = guarded_node('subscriber', 1, @settings);

for my $node ($publisher, $subscriber)
{
	$node->safe_psql('postgres', q{
		CREATE ROLE app LOGIN;
		CREATE EXTENSION tenantguard;
		CREATE TABLE organizations (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'active');
		CREATE TABLE notes (org_id bigint NOT NULL REFERENCES organizations, id bigint, body text, PRIMARY KEY (org_id, id));
		SELECT count(*) FROM tenantguard.adopt_registry('organizations', 'id', 'status');
		SELECT count(*) FROM tenantguard.protect('notes', 'org_id');
		GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app;});
}
$publisher->safe_psql('postgres', q{
	INSERT INTO organizations VALUES (1), (2), (3);
	BEGIN; SELECT tenantguard.begin_bypass('fill');
	INSERT INTO notes VALUES (1, 11, 'one'), (2, 21, 'two'), (3, 31, 'three'), (3, 32, 'more of three');
	COMMIT;
	CREATE PUBLICATION tenant3 FOR TABLE notes WHERE (org_id = 3), organizations WHERE (id = 3);
	CREATE ROLE sender LOGIN REPLICATION;
	GRANT SELECT ON notes, organizations TO sender;});
my $super = $publisher->safe_psql('postgres', 'SELECT current_user');
my $sender = $publisher->connstr . ' dbname=postgres user=sender';

# everything(node): the rows of both relations, whoever they belong to
sub everything
{
	my ($node) = @_;

	return rows_of($node, 'postgres', q{
		SELECT tenantguard.begin_bypass('count', 'session', now() + interval '1 minute');
		SELECT id, status FROM organizations ORDER BY 1;
		SELECT id, org_id, body FROM notes ORDER BY 1;}) =~ s/^ //r;
}

# replicated(rows, what it shows): what the subscriber holds, once it caught up
sub replicated
{
	my ($rows, $shows) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$publisher->wait_for_catchup('tenant3');
	is(everything($subscriber), $rows, $shows);
}

# bypass(sql): run sql on the publisher across tenants
sub bypass
{
	$publisher->safe_psql('postgres', "BEGIN; SELECT tenantguard.begin_bypass('administration'); $_[0]; COMMIT;");
}

#
# The first copy asks for a grant of the publisher's role
#
my ($publisher_log, $subscriber_log) = (-s $publisher->logfile, -s $subscriber->logfile);
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION tenant3 CONNECTION '$sender' PUBLICATION tenant3");
$subscriber->wait_for_log(qr/could not start initial contents copy for table "public\.notes": ERROR:  no tenant is set/,
	$subscriber_log);
$publisher->wait_for_log(qr/DETAIL:  no_context: .*\n.*HINT: .*\n.*STATEMENT:  COPY/, $publisher_log);
is(everything($subscriber), '', 'without a grant nothing is copied');

for my $role ('sender', $super)
{
	my @walsender = (replication => 'database', extra_params => [ '-U', $role ]);

	refused($publisher, 'postgres', 'COPY notes TO STDOUT', 'no_context',
		"a walsender of $role does not COPY without a grant", @walsender);
	refused($publisher, 'postgres', 'SELECT id FROM notes', 'no_context', 'nor SELECT', @walsender);
}

$publisher->safe_psql('postgres', q{SELECT tenantguard.grant_bypass('sender', 'replication')});
$subscriber->wait_for_subscription_sync($publisher, 'tenant3');
replicated('3|active 31|3|three 32|3|more of three', 'with a grant the rows of the filter are copied');
like(slurp_file($publisher->logfile, $publisher_log),
	qr/bypass used: role=sender reason=replication statement=COPY/, 'which the log of the publisher says');

#
# Changes
#
bypass(q{
	INSERT INTO notes VALUES (3, 33, 'new'), (1, 12, 'new');
	UPDATE notes SET body = 'changed' WHERE id IN (11, 31);
	DELETE FROM notes WHERE id = 32});
replicated('3|active 31|3|changed 33|3|new', 'changes of the tenant arrive, others do not');
$publisher->safe_psql('postgres', q{
	BEGIN; SET LOCAL app.current_org_id = '3'; INSERT INTO notes (id, body) VALUES (34, 'its own'); COMMIT;});
replicated('3|active 31|3|changed 33|3|new 34|3|its own', 'also those that the tenant makes');
bypass('UPDATE notes SET org_id = 1 WHERE id = 33; UPDATE notes SET org_id = 3 WHERE id = 21');
replicated('3|active 21|3|two 31|3|changed 34|3|its own', 'a row that moves leaves and enters');

#
# The subscriber is guarded
#
my $own = 'SELECT id FROM notes ORDER BY id';
for my $role ($super, 'app')
{
	my @as = (extra_params => [ '-U', $role ]);

	refused($subscriber, 'postgres', $own, 'no_context', "$role reads nothing without a tenant", @as);
	rows_are($subscriber, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '3'; $own; COMMIT;", '21 31 34',
		"$role reads the tenant", @as);
	refused($subscriber, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '1'; $own", 'unknown_tenant',
		"$role knows no other", @as);
}

# The trigger of the registry fires as changes are applied.
my $session = $subscriber->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
$session->query_safe("SET plan_cache_mode = force_generic_plan; PREPARE list AS $own");
my $in_tenant = "BEGIN; SET LOCAL app.current_org_id = '3'; EXECUTE list;";
is($session->query_safe($in_tenant) =~ s/\n/ /gr, '21 31 34', 'an open session works');
bypass("UPDATE organizations SET status = 'suspended' WHERE id = 3");
$publisher->wait_for_catchup('tenant3');
$session->query('EXECUTE list');
like($session->{stderr}, qr/DETAIL:  suspended_tenant: /, 'a suspension that is applied reaches it');
$session->{stderr} = '';
$session->query_safe('ROLLBACK');
bypass("UPDATE organizations SET status = 'active' WHERE id = 3");
$publisher->wait_for_catchup('tenant3');
is($session->query_safe("$in_tenant COMMIT;") =~ s/\n/ /gr, '21 31 34', 'and so does its end');
$session->quit;

#
# No filter looks at TRUNCATE
#
bypass("TRUNCATE notes; INSERT INTO notes VALUES (3, 41, 'four')");
replicated('3|active 41|3|four', 'TRUNCATE of all tenants is applied');
$publisher->safe_psql('postgres', "ALTER PUBLICATION tenant3 SET (publish = 'insert, update, delete')");
bypass("TRUNCATE notes; INSERT INTO notes VALUES (3, 42, 'five')");
replicated('3|active 41|3|four 42|3|five', 'unless the publication leaves it out');

#
# Who may own the subscription: whom row security does not bind
#
$subscriber_log = -s $subscriber->logfile;
# From 16 on the table's owner would apply, and a password would be asked for.
my $as_owner = $subscriber->pg_version < 16 ? '' :
	'ALTER SUBSCRIPTION tenant3 SET (run_as_owner = true, password_required = false);';
$subscriber->safe_psql('postgres', qq{
	CREATE ROLE receiver LOGIN SUPERUSER;
	GRANT CREATE ON DATABASE postgres TO receiver;
	GRANT SELECT, INSERT, UPDATE, DELETE ON notes, organizations TO receiver;
	ALTER SUBSCRIPTION tenant3 DISABLE;
	$as_owner
	ALTER SUBSCRIPTION tenant3 OWNER TO receiver;
	ALTER ROLE receiver NOSUPERUSER;
	ALTER SUBSCRIPTION tenant3 ENABLE;});
bypass("INSERT INTO notes VALUES (3, 43, 'late')");
$subscriber->wait_for_log(qr/user "receiver" cannot replicate into relation with row-level security enabled: "notes"/,
	$subscriber_log);
$subscriber->safe_psql('postgres', 'ALTER ROLE receiver BYPASSRLS');
replicated('3|active 41|3|four 42|3|five 43|3|late', 'an owner with BYPASSRLS applies, without a grant');
bypass("UPDATE notes SET body = 'again' WHERE id = 43; DELETE FROM notes WHERE id = 42");
replicated('3|active 41|3|four 43|3|again', 'updates and deletes too');

# A trigger of the subscriber that reads or writes guarded rows is a statement
# like any other: the owner of the subscription needs a grant for it.
$subscriber_log = -s $subscriber->logfile;
$subscriber->safe_psql('postgres', q{
	CREATE TABLE changes (org_id bigint NOT NULL, id bigint);
	CREATE INDEX ON changes (org_id);
	SELECT count(*) FROM tenantguard.protect('changes', 'org_id');
	CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
		'BEGIN INSERT INTO public.changes VALUES (NEW.org_id, NEW.id); RETURN NULL; END';
	CREATE TRIGGER note_change AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION note_change();
	ALTER TABLE notes ENABLE ALWAYS TRIGGER note_change;});
bypass("INSERT INTO notes VALUES (3, 44, 'noted')");
$subscriber->wait_for_log(qr/ERROR:  no tenant is set.*CONTEXT:  .*note_change/s, $subscriber_log);
$subscriber->safe_psql('postgres', q{SELECT tenantguard.grant_bypass('receiver', 'replication')});
replicated('3|active 41|3|four 43|3|again 44|3|noted', 'a trigger that writes guarded rows works under a grant');
rows_are($subscriber, 'postgres', "BEGIN; SET LOCAL app.current_org_id = '3'; SELECT id FROM changes; COMMIT;", '44',
	'and has written');
like(slurp_file($subscriber->logfile, $subscriber_log),
	qr/bypass used: role=receiver reason=replication statement=INSERT INTO public\.changes/, 'which the log says');

#
# What is decoded is not filtered: through SQL it takes a grant, a walsender
# needs none
#
my $decode = q{SELECT data FROM pg_logical_slot_get_changes('plain', NULL, NULL)};
my @app = (extra_params => [ '-U', 'app' ]);

like(rows_of($publisher, 'postgres', q{SELECT pg_create_logical_replication_slot('plain', 'test_decoding')}, @app),
	qr/must be superuser or replication role|permission denied to use replication slots/, 'a plain role makes no slot');
$publisher->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('plain', 'test_decoding')});
bypass("INSERT INTO notes VALUES (1, 91, 'secret of one'), (2, 92, 'secret of two')");
refused($publisher, 'postgres', $decode, 'beyond_tenant', 'nor reads from one', @app);
ok($publisher->psql('postgres', 'IDENTIFY_SYSTEM', replication => 'database', @app) != 0,
	'nor connects as a walsender');
for my $role ('sender', $super)
{
	$publisher->safe_psql('postgres', q{SELECT tenantguard.revoke_bypass('sender')});
	for my $function (qw(get_changes peek_changes get_binary_changes peek_binary_changes))
	{
		refused($publisher, 'postgres', "SELECT data FROM pg_logical_slot_$function('plain', NULL, NULL)",
			'beyond_tenant', "$role does not call $function without a grant", extra_params => [ '-U', $role ]);
	}
}
$publisher->safe_psql('postgres', q{SELECT tenantguard.grant_bypass('sender', 'replication')});
like(rows_of($publisher, 'postgres', $decode, extra_params => [ '-U', 'sender' ]),
	qr/secret of one.*secret of two/, 'with a grant a role with REPLICATION reads the changes of all tenants');
$publisher->safe_psql('postgres', q{SELECT tenantguard.revoke_bypass('sender')});
bypass("INSERT INTO notes VALUES (1, 93, 'third secret')");
my ($received) = run_command([ 'pg_recvlogical', '-d', $publisher->connstr('postgres') . ' user=sender', '-S', 'plain',
	'--start', '--no-loop', '-f', '-', '--endpos', $publisher->lsn('insert') ]);
like($received, qr/third secret/, 'a walsender decodes without one');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION tenant3');
done_testing();
