# pgbench: four clients, random tenants, the three ways to send a statement.
#
# Each transaction checks what it saw, and fails where a row was foreign or
# missing; none may fail.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('extended', 1, 'fsync = off', 'autovacuum = off');
install_guard($node, 'postgres');
$node->safe_psql('postgres', q{
	BEGIN; SELECT tenantguard.begin_bypass('fill');
	DELETE FROM notes; DELETE FROM organizations;
	INSERT INTO organizations SELECT generate_series(1, 40);
	INSERT INTO notes SELECT n, 1 + n % 40, 'note' FROM generate_series(0, 3999) n;
	COMMIT;
	CREATE TABLE parts (id bigint, org_id bigint NOT NULL REFERENCES organizations, PRIMARY KEY (org_id, id))
		PARTITION BY HASH (org_id);
	CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT n, 1 + n % 40 FROM generate_series(0, 399) n;
	SELECT count(*) FROM tenantguard.protect('parts', 'org_id');
	GRANT SELECT, INSERT, UPDATE, DELETE ON parts TO app;
	CREATE FUNCTION count_notes() RETURNS bigint LANGUAGE plpgsql AS
		'BEGIN RETURN (SELECT count(*) FROM notes); END';
	VACUUM ANALYZE;});

# Division by zero is the failed transaction: it needs no statement that the
# extended protocol would refuse.
my $script = "$PostgreSQL::Test::Utils::tmp_check/tenants.sql";
append_to_file($script, q{\set org random(1, 40)
\set low random(0, 3900)
\set note 40 * random(0, 99) + :org - 1
BEGIN;
SELECT set_config('app.current_org_id', (:org)::text, true);
SELECT 1 / (count(*) = 100 AND min(org_id) = :org AND max(org_id) = :org)::int FROM notes;
SELECT 1 / (count(*) = 1)::int FROM notes WHERE id = :note;
SELECT 1 / (count(*) = 0)::int FROM notes WHERE id = :note + 1;
SELECT 1 / (count(*) BETWEEN 1 AND 3 AND count(DISTINCT org_id) = 1)::int FROM notes WHERE id BETWEEN :low AND :low + 80;
SELECT 1 / (count(*) = 100)::int FROM notes n JOIN organizations o ON o.id = n.org_id;
SELECT 1 / (count(*) = 10 AND min(org_id) = :org AND max(org_id) = :org)::int FROM parts;
SELECT 1 / (count_notes() = 100)::int;
WITH changed AS (UPDATE notes SET body = 'seen' WHERE id BETWEEN :note AND :note + 5 RETURNING org_id)
SELECT 1 / (count(*) = 1 AND min(org_id) = :org)::int FROM changed;
WITH added AS (INSERT INTO parts (id) VALUES (1000000 + :low) ON CONFLICT DO NOTHING RETURNING org_id)
SELECT 1 / (count(*) = count(*) FILTER (WHERE org_id = :org))::int FROM added;
DELETE FROM parts WHERE id >= 1000000;
END;
});

# A client that sets nothing, in between.
my $bare = "$PostgreSQL::Test::Utils::tmp_check/bare.sql";
append_to_file($bare, q{SELECT tenantguard.current_tenant() IS NULL;
});

for my $mode (qw(simple extended prepared))
{
	my $offset = -s $node->logfile;
	my ($out, $err) = run_command([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 150, '-M', $mode,
		'-f', "$script\@9", '-f', "$bare\@1", $node->connstr('postgres') . ' user=app' ]);

	like($out, qr{number of transactions actually processed: 600/600}, "$mode: all transactions are done")
		or diag($err);
	like($out, qr/number of failed transactions: 0 /, "$mode: none failed");
	unlike(slurp_file($node->logfile, $offset), qr/ERROR|FATAL|PANIC/, "$mode: the log has no error");
}

# What comes before a change must be seen after it: the checks can fail.  Two
# tenants of the forty meet the change, and the first to do so ends the run.
my ($out, $err) = run_command([ 'pgbench', '-n', '-t', 1, '-M', 'prepared', '-f', $script,
	$node->connstr('postgres') ]);
$node->safe_psql('postgres', q{BEGIN; SELECT tenantguard.begin_bypass('spoil');
	UPDATE notes SET org_id = 1 + org_id % 40 WHERE id % 80 = 0; COMMIT;});
($out, $err) = run_command([ 'pgbench', '-n', '-t', 400, '-M', 'prepared', '-f', $script,
	$node->connstr('postgres') . ' user=app' ]);
like($err, qr/division by zero/, 'the checks see a row too few');

done_testing();
