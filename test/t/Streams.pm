# Streams.pm
#	  What the tests of migration tools share: a database that they migrate,
#	  guarded, and what has become of it.
package Streams;
use strict;
use warnings;
use Guarded;
use Exporter 'import';
our @EXPORT = qw(streams_node in_session leave make_bare make_fresh facts_of look);

my ($node, %made, %super);

my $fresh = q{
	DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION owner; GRANT USAGE ON SCHEMA public TO app;
	SET ROLE owner;
	CREATE TABLE organizations (id bigint PRIMARY KEY, name text, status text NOT NULL DEFAULT 'active');
	CREATE TABLE countries (code text PRIMARY KEY, name text);
	CREATE TABLE projects (id bigserial PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations, name text, UNIQUE (org_id, id));
	CREATE TABLE tasks (id bigserial PRIMARY KEY, org_id bigint NOT NULL REFERENCES organizations, project_id bigint,
		title text NOT NULL, state text DEFAULT 'new', FOREIGN KEY (org_id, project_id) REFERENCES projects (org_id, id) ON DELETE CASCADE);
	CREATE INDEX tasks_org ON tasks (org_id);
	INSERT INTO organizations VALUES (1, 'one'), (2, 'two');
	INSERT INTO countries VALUES ('ch', 'Switzerland');
	INSERT INTO projects (org_id, name) SELECT 1 + i % 2, 'project ' || i FROM generate_series(1, 20) i;
	INSERT INTO tasks (org_id, project_id, title) SELECT org_id, id, 'task of ' || name FROM projects;
	RESET ROLE;};

# What a stream may change: columns, constraints, indexes, and rows.  The
# default of a tenant column is the guard's affair.
my $facts = q{
	SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY 1, a.attnum;
	SELECT c.relname, n.conname, pg_get_constraintdef(n.oid), n.convalidated
	FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
	WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 2;
	SELECT pg_get_indexdef(i.indexrelid), i.indisvalid
	FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
	WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1;
	SELECT c.relname, t.tgname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE NOT t.tgisinternal AND t.tgname NOT LIKE 'tenantguard%' AND c.relnamespace = 'public'::regnamespace ORDER BY 1, 2;
	SELECT c.relname, (xpath('//rows/text()', query_to_xml(format(
		'SELECT concat_ws('' '', count(*), md5(string_agg(t::text, '','' ORDER BY t::text))) AS rows FROM %s t',
		c.oid::regclass), false, true, '')))[1]
	FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'm') ORDER BY 1;};

# Tables in which tenant 1 finds rows of another, to a role that row security
# binds and to a superuser.
my $open = join ' ', map { qq{
	SET ROLE $_;
	BEGIN; SET LOCAL app.current_org_id = 1;
	WITH held AS MATERIALIZED (
		SELECT c.oid::regclass AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE a.attname = 'org_id' AND c.relkind IN ('r', 'm') AND c.relnamespace = 'public'::regnamespace)
	SELECT concat_ws(' ', 'open', string_agg(name::text, ' ' ORDER BY name::text)) FROM held
	WHERE query_to_xml(format('SELECT 1 FROM %s WHERE org_id::bigint IS DISTINCT FROM 1 LIMIT 1', name),
		false, true, '')::text LIKE '%<row%';
	COMMIT; RESET ROLE;} } qw(app none);

my $findings = q{
	SELECT concat_ws(' ', 'findings', string_agg(f.code || ' ' || replace(f.object, 'public.', ''), ', ' ORDER BY f.code, f.object COLLATE "C"))
	FROM (SELECT * FROM tenantguard.check_relations('public') UNION ALL SELECT * FROM tenantguard.check_policies('public')) f
	JOIN tenantguard.check_rule USING (code) WHERE severity <> 'notice';};

# What the guard has made of the tables.
my $record = q{
	SELECT relation, mode, tenant_column, enforced FROM tenantguard.relations ORDER BY relation::text COLLATE "C";
	SELECT polrelid::regclass, polname, polpermissive, polcmd, pg_get_expr(polqual, polrelid) FROM pg_policy
	ORDER BY polrelid::regclass::text COLLATE "C", polname;
	SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'tenantguard%' ORDER BY 1, 2;};

# streams_node(name, lines of configuration): a server with roles "owner" of the
# tables and "app" that row security binds
sub streams_node
{
	my ($name, @conf) = @_;

	$node = guarded_node($name, 1, 'fsync = off', 'autovacuum = off', 'jit = off', 'tenantguard.new_table = protect', @conf);
	$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN CREATEDB; CREATE ROLE app LOGIN');
	return $node;
}

# in_session(database, sql): what the superuser's session there prints.  It
# stays, for what it knows of the catalogs.
sub in_session
{
	my ($database, $sql) = @_;

	if (!$super{$database})
	{
		if (!$made{$database}++)
		{
			$node->safe_psql('postgres', "CREATE DATABASE $database OWNER owner");
			$node->safe_psql($database, 'ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT ON TABLES TO app');
		}
		$super{$database} = $node->background_psql($database);
		$super{$database}->set_query_timer_restart;
		$super{$database}->query_safe('SET client_min_messages = error');
	}
	return $super{$database}->query_safe($sql);
}

# leave(database): end that session, so that the database can be copied
sub leave
{
	(delete $super{ $_[0] })->quit;
}

# make_bare(database): the tables as they were, without the extension
sub make_bare
{
	in_session($_[0], $fresh);
}

# make_fresh(database, granted): the same, guarded, with a grant for migrations
# or without
sub make_fresh
{
	my ($database, $granted) = @_;
	my $grant = $granted ? q{SELECT FROM tenantguard.grant_bypass('owner', 'migration')}
		: q{SELECT count(*) FROM tenantguard.revoke_bypass('owner', 'migration')};

	in_session($database, qq{CREATE EXTENSION IF NOT EXISTS tenantguard;
		BEGIN; SELECT FROM tenantguard.begin_bypass('start again');
		SET LOCAL tenantguard.new_table = ignore; $fresh
		SELECT count(*) FROM tenantguard.adopt_registry('organizations', 'id', 'status');
		SELECT count(*) FROM tenantguard.protect_all('public');
		SELECT count(*) FROM tenantguard.share('countries'); COMMIT;
		$grant;});
}

# facts_of(database): what a stream may change, in a database without the guard
sub facts_of
{
	return in_session($_[0], $facts);
}

# look(database): what a stream has left in a guarded one
sub look
{
	my ($database) = @_;
	my $out = in_session($database, qq{$findings $open
		BEGIN; SELECT FROM tenantguard.begin_bypass('compare'); $facts COMMIT;
		SELECT 'record'; $record});

	return $out =~ /\Afindings ?(.*)\nopen ?(.*)\nopen ?(.*)\n\n?((?s:.*))\nrecord\n?((?s:.*))\z/ ?
		{ findings => $1, open => $2, open_to_superuser => $3, facts => $4, record => $5 } : { facts => $out };
}

1;
