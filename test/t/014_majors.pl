# majors: what newer servers brought, each as a way around the guard.
#
# Every part runs where the server has it.
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guarded_node('majors', 1, 'fsync = off');
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');
plan skip_all => 'nothing newer than PostgreSQL 16 here' if $version < 170000;

install_guard($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE FUNCTION tell(body text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
		$$BEGIN IF body LIKE 'two%' THEN RAISE 'shown: %', body; END IF; RETURN body; END$$;
	CREATE VIEW seen AS SELECT * FROM notes;
	GRANT SELECT, INSERT, UPDATE, DELETE ON seen TO app;});

# as_tenant(sql, rows, what it shows): the same to a superuser and to a role
# that row security binds; nothing stays
sub as_tenant
{
	my ($sql, $rows, $shows) = @_;

	for my $role (qw(none app))
	{
		rows_are($node, 'postgres', "SET ROLE $role; BEGIN; SET LOCAL app.current_org_id = 1; $sql; ROLLBACK",
			$rows, "$shows, as role $role");
	}
}

sub refused_to_tenant
{
	my ($sql, $reason, $shows) = @_;

	for my $role (qw(none app))
	{
		refused($node, 'postgres', "SET ROLE $role; BEGIN; SET LOCAL app.current_org_id = 1; $sql; ROLLBACK",
			$reason, "$shows, as role $role");
	}
}

# said(sql): what a tenant is told of it
sub said
{
	my ($code, $out, $err) = $node->psql('postgres', "BEGIN; SET LOCAL app.current_org_id = 1; $_[0]; ROLLBACK");

	return $err;
}

# 17: MERGE finds rows that no source names, and returns them.
my $merge = 'MERGE INTO %s AS n USING (VALUES (11)) AS v (i) ON n.id = v.i';
for my $target (qw(notes seen))
{
	my $head = sprintf $merge, $target;
	as_tenant("$head WHEN MATCHED THEN UPDATE SET body = 'x' WHEN NOT MATCHED BY SOURCE AND tell(n.body) <> '' THEN DELETE
		RETURNING merge_action(), n.id", 'UPDATE|11 DELETE|12', "MERGE BY SOURCE into $target");
	refused_to_tenant("$head WHEN NOT MATCHED BY SOURCE THEN UPDATE SET org_id = 2", 'foreign_tenant',
		"MERGE BY SOURCE gives no row of $target away");
	refused($node, 'postgres', "$head WHEN NOT MATCHED BY SOURCE THEN DELETE", 'no_context',
		"MERGE BY SOURCE into $target without a tenant");
}
as_tenant('WITH m AS (' . sprintf($merge, 'notes') . ' WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING n.*)
	SELECT id, (SELECT count(*) FROM notes) FROM m', '12|2', 'MERGE in WITH');

# 17: a role that may maintain a table reads nothing by it.
$node->safe_psql('postgres', q{BEGIN; SELECT FROM tenantguard.begin_bypass('nightly maintenance'); GRANT MAINTAIN ON notes TO app; COMMIT});
rows_are($node, 'postgres', 'SET ROLE app; CLUSTER notes USING notes_pkey; REINDEX TABLE notes; ANALYZE notes', '',
	'MAINTAIN maintains');
refused($node, 'postgres', 'SET ROLE app; SELECT * FROM notes', 'no_context', 'MAINTAIN does not read');

# 17: COPY skips malformed rows.  A row of another tenant is not malformed.
# 16: it reads a marker for the default, which is the tenant.
my @loads = ([ 'notes', 'no trigger' ], [ 'watched', 'a BEFORE ROW trigger' ]);
my $rows = "31,1,own\nx,1,bad\n32,DEFAULT,own\n";
my $dir = PostgreSQL::Test::Utils::tempdir_short();
chmod 0755, $dir;
append_to_file("$dir/own", $rows);
append_to_file("$dir/mixed", "${rows}33,2,theirs\n34,1,own\n");
append_to_file("$dir/nobody", "35,,nobody\n");
append_to_file("$dir/more", "x,1,bad\ny,1,bad\n");
append_to_file("$dir/key", "36,own,bad\n37,1,own\n");
$node->safe_psql('postgres', q{
	GRANT pg_read_server_files TO app;
	CREATE TABLE watched (LIKE notes);
	CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TRIGGER keep BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION keep();
	SELECT count(*) FROM tenantguard.protect('watched', 'org_id');
	ALTER TABLE watched ALTER org_id DROP DEFAULT;
	GRANT ALL ON watched TO app;});
for my $load (@loads)
{
	my ($table, $with) = @$load;
	my $copy = sub { "COPY $table FROM '$dir/$_[0]' WITH (FORMAT csv, ON_ERROR ignore, DEFAULT 'DEFAULT'$_[1])" };
	my $list = "SELECT id, org_id FROM $table WHERE id > 30 ORDER BY id";

	as_tenant($copy->('own', '') . "; $list", '31|1 32|1', "ON_ERROR and DEFAULT with $with");
	as_tenant($copy->('key', '') . "; $list", '37|1', "a key that is malformed, with $with");
	refused_to_tenant($copy->('mixed', ''), 'foreign_tenant', "ON_ERROR skips no foreign row, with $with");
	refused_to_tenant($copy->('nobody', ''), 'foreign_tenant', "nor one of nobody, with $with");
	like(said($copy->('own', ', LOG_VERBOSITY verbose')),
		qr/NOTICE:  skipping row due to data type incompatibility at line 2 for column "?id"?: "x".*NOTICE:  1 row was skipped/s,
		"the skipped row is told, with $with");
	next if $version < 180000;
	like(said($copy->('more', ', REJECT_LIMIT 1')), qr/ERROR:  skipped more than REJECT_LIMIT \(1\) rows/,
		"REJECT_LIMIT with $with");
	as_tenant($copy->('own', ', REJECT_LIMIT 1') . "; $list", '31|1 32|1', "which is kept, with $with");
	is(said($copy->('own', ', LOG_VERBOSITY silent')), '', "a silent one, with $with");
}

if ($version >= 180000)
{
	as_tenant(q{UPDATE notes SET body = 'x' RETURNING old.id, old.body, new.body, tell(old.body)},
		'11|one|x|one 12|one more|x|one more', 'RETURNING OLD and NEW of UPDATE');
	as_tenant('DELETE FROM notes RETURNING WITH (OLD AS o, NEW AS n) o.org_id, n.org_id', '1| 1|', 'of DELETE');
	refused_to_tenant(q{INSERT INTO notes (id) VALUES (21) ON CONFLICT (id) DO UPDATE SET body = 'x' RETURNING old.body},
		'foreign_conflict', 'of ON CONFLICT');
	refused_to_tenant(q{INSERT INTO notes (id) VALUES (21) ON CONFLICT (id) DO UPDATE SET body = 'x' WHERE tell(notes.body) = ''},
		'foreign_conflict', 'WHERE of ON CONFLICT');

	# COPY takes a materialized view by its name.
	$node->safe_psql('postgres', q{
		BEGIN; SELECT FROM tenantguard.begin_bypass('copy');
		CREATE MATERIALIZED VIEW kept AS SELECT id, org_id FROM notes ORDER BY id; COMMIT;
		SELECT count(*) FROM tenantguard.protect('kept', 'org_id'); GRANT SELECT ON kept TO app;});
	as_tenant('COPY kept TO stdout', "11\t1 12\t1", 'COPY of a materialized view');
	refused($node, 'postgres', 'COPY kept TO stdout', 'no_context', 'and without a tenant');

	# A virtual column is computed where it is read: after the filter.
	$node->safe_psql('postgres', q{ALTER TABLE notes ADD COLUMN loud text GENERATED ALWAYS AS (upper(body)) VIRTUAL});
	as_tenant(q{SELECT id, loud FROM notes WHERE tell(lower(loud)) <> ''}, '11|ONE 12|ONE MORE', 'a virtual column');
	my ($code, $out, $err) = $node->psql('postgres', q{
		CREATE TABLE computed (id int, org bigint, org_id bigint GENERATED ALWAYS AS (org) VIRTUAL);
		SELECT tenantguard.protect('computed', 'org_id');});
	like($err, qr/cannot hold the tenant/, 'a virtual column is no tenant column');

	# The plans of SQL functions are cached for the session.
	$node->safe_psql('postgres', q{CREATE FUNCTION bodies(OUT org bigint, OUT n bigint) RETURNS SETOF record LANGUAGE sql AS
		'SELECT org_id, count(*) FROM notes GROUP BY 1 ORDER BY 1';});
	my $call = 'SELECT * FROM bodies()';
	rows_are($node, 'postgres', "BEGIN; SET LOCAL app.current_org_id = 1; $call; $call; COMMIT;
		BEGIN; SET LOCAL app.current_org_id = 2; $call; COMMIT;
		BEGIN; SELECT FROM tenantguard.begin_bypass('all'); $call; COMMIT;
		BEGIN; SET LOCAL app.current_org_id = 2; $call; COMMIT", '1|2 1|2 2|1 1|2 2|1 2|1',
		'an SQL function serves one tenant after the other');
	refused($node, 'postgres', $call, 'no_context', 'an SQL function without a tenant');

	# A foreign key that is not enforced asks nothing; to enforce it is DDL.
	$node->safe_psql('postgres', q{CREATE TABLE marks (id int, org_id bigint NOT NULL REFERENCES organizations, note bigint,
			CONSTRAINT marks_note FOREIGN KEY (note) REFERENCES notes NOT ENFORCED);
		SELECT count(*) FROM tenantguard.protect('marks', 'org_id'); GRANT ALL ON marks TO app;});
	as_tenant('INSERT INTO marks (id, note) VALUES (1, 21); SELECT m.id, n.id FROM marks m LEFT JOIN notes n ON n.id = m.note',
		'1|', 'a foreign key that is not enforced');
	refused($node, 'postgres', 'BEGIN; SET LOCAL app.current_org_id = 1; ALTER TABLE marks ALTER CONSTRAINT marks_note ENFORCED',
		'ddl_refused', 'enforcing it while a tenant is set');
	$node->safe_psql('postgres', q{BEGIN; SELECT FROM tenantguard.begin_bypass('rows of both');
		DELETE FROM marks; INSERT INTO marks VALUES (1, 1, 11), (2, 2, 21); COMMIT});
	my $enforce = 'ALTER TABLE marks ALTER CONSTRAINT marks_note ENFORCED';
	rows_are($node, 'postgres', "$enforce; SELECT convalidated FROM pg_constraint WHERE conname = 'marks_note'", 't',
		'enforcing it without one looks at the rows of all');
	$node->safe_psql('postgres', q{ALTER TABLE marks ALTER CONSTRAINT marks_note NOT ENFORCED;
		BEGIN; SELECT FROM tenantguard.begin_bypass('a dangling row'); INSERT INTO marks VALUES (3, 2, 99); COMMIT});
	like(rows_of($node, 'postgres', $enforce), qr/violates foreign key constraint "marks_note"/,
		'and finds what dangles, whoever it belongs to');

	# A foreign key of periods is checked among the rows that the tenant sees.
	$node->safe_psql('postgres', q{CREATE EXTENSION btree_gist;
		CREATE TABLE rooms (org_id bigint NOT NULL REFERENCES organizations, room int, during int4range,
			PRIMARY KEY (room, during WITHOUT OVERLAPS));
		CREATE TABLE stays (org_id bigint NOT NULL REFERENCES organizations, room int, during int4range,
			CONSTRAINT stays_room FOREIGN KEY (room, PERIOD during) REFERENCES rooms (room, PERIOD during));
		CREATE INDEX ON rooms (org_id); CREATE INDEX ON stays (org_id);
		INSERT INTO rooms VALUES (1, 1, '[1,10)'), (1, 1, '[10,20)'), (2, 2, '[1,20)');
		SELECT count(*) FROM tenantguard.protect('rooms', 'org_id');
		SELECT count(*) FROM tenantguard.protect('stays', 'org_id'); GRANT ALL ON rooms, stays TO app;});
	as_tenant(q{INSERT INTO stays (room, during) VALUES (1, '[5,15)') RETURNING org_id}, 1, 'a period of the tenant');
	for my $role (qw(none app))
	{
		my $head = "SET ROLE $role; BEGIN; SET LOCAL app.current_org_id = 1; INSERT INTO stays (room, during) VALUES";

		like(rows_of($node, 'postgres', "$head (2, '[5,15)')"), qr/violates foreign key constraint "stays_room"/,
			"a period of another tenant, as role $role");
		like(rows_of($node, 'postgres', "$head (1, '[5,25)')"), qr/violates foreign key constraint "stays_room"/,
			"a period beyond the end, as role $role");
		like(rows_of($node, 'postgres', "$head (1, '[5,15)'); DELETE FROM rooms"), qr/violates foreign key constraint "stays_room"/,
			"a referenced period stays, as role $role");
	}
	# So a reference that crosses tenants, made under a bypass, holds nobody.
	$node->safe_psql('postgres', q{BEGIN; SELECT FROM tenantguard.begin_bypass('cross'); INSERT INTO stays VALUES (2, 1, '[1,5)'); COMMIT});
	as_tenant('DELETE FROM rooms RETURNING room', '1 1', 'a period that another tenant refers to');
}

done_testing();
