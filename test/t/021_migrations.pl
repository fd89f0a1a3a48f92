# What migration tools send, with tenantguard and without it.
#
# Each stream of statements runs in a database without the extension, and twice
# in one with it: by the tables' owner with no grant, and with the standing
# grant for migrations.  It does there what it does without, or is refused with
# a reason and a hint; and no table is open afterwards without a WARNING to the
# client and a finding of check().
use strict;
use warnings;
use Guarded;
use PostgreSQL::Test::Utils;
use Streams;
use Test::More;

plan skip_all => 'left to the PostgreSQL of the machine itself (BRIEF)' if $ENV{BRIEF};
my $node = streams_node('migrations', 'max_locks_per_transaction = 1000');
my @owner = (extra_params => [ '-U', 'owner' ]);

# run_stream(database, sql, stop at an error): what the client is told
sub run_stream
{
	my ($database, $sql, $stop) = @_;
	my ($code, $out, $err) = $node->psql($database, $sql, @owner, on_error_stop => $stop);
	my $said = $err =~ s/^psql:<stdin>:\d+: //gmr;

	return { code => $code, out => $out, said => $said, errors => join("\n", $said =~ /^(ERROR:  .*)$/gm),
		reasons => join(' ', $said =~ /^ERROR:.*\n(?:LINE.*\n.*\n)?DETAIL:  (\w+): .*\nHINT: /gm) };
}

# stream(name, sql, owner => outcome, grant => outcome, options): an outcome is
# [what becomes of it, findings, open tables].  It is 'same' as without
# tenantguard, or the reason word of the refusal.
sub stream
{
	my ($name, $sql, %expect) = @_;
	my $stop = $expect{stop} // 1;

	make_bare('bare');
	my $bare = run_stream('bare', $sql, $stop);
	my $facts = facts_of('bare');

	note("$name: $bare->{said}");
	for my $as (qw(owner grant))
	{
		my ($outcome, $findings, $open) = map { $_ // '' } @{ $expect{$as} }[ 0 .. 2 ];

		make_fresh('guarded', $as eq 'grant');
		my $did = run_stream('guarded', $sql, $stop);
		my $now = look('guarded');
		note("$as: $did->{said}");
		if ($outcome eq 'same')
		{
			is("$did->{code} $did->{out} $did->{errors}", "$bare->{code} $bare->{out} $bare->{errors}", "$name, $as: runs as ever");
			is($now->{facts}, $facts, "$name, $as: does what it does");
		}
		else
		{
			is($did->{reasons} || $did->{errors}, $outcome, "$name, $as: is refused, with a hint");
		}
		is($now->{findings}, $findings, "$name, $as: findings");
		is("$now->{open}, $now->{open_to_superuser}", "$open, $open", "$name, $as: open tables");
		like($did->{said}, qr/^WARNING:  .*\b(?:$_\b|was the registry)/m, "$name, $as: and the client is told of $_") for split / /, $open;
	}
}


stream('drizzle-kit push', q{
	ALTER TABLE "tasks" DISABLE ROW LEVEL SECURITY;
	DROP POLICY IF EXISTS "tenantguard_tenant" ON "tasks" CASCADE;
	ALTER TABLE "tasks" ADD COLUMN "due" date;
	CREATE TABLE "labels" ("id" serial PRIMARY KEY NOT NULL, "org_id" bigint NOT NULL, "name" text);
	ALTER TABLE "labels" ADD CONSTRAINT "labels_org_id_organizations_id_fk" FOREIGN KEY ("org_id")
		REFERENCES "public"."organizations"("id") ON DELETE no action ON UPDATE no action;},
	owner => [ 'ddl_refused' ],
	grant => [ 'same', 'TG102 tasks, TG201 tasks', 'tasks' ]);

stream('drizzle-kit push, policies alone', q{
	DROP POLICY IF EXISTS "tenantguard_insert" ON "tasks" CASCADE;
	DROP POLICY IF EXISTS "tenantguard_tenant" ON "tasks" CASCADE;},
	owner => [ 'ddl_refused' ],
	grant => [ 'same', 'TG201 tasks' ]);

stream('TypeORM synchronize', q{
	START TRANSACTION;
	CREATE TYPE "tasks_state_enum" AS ENUM ('new', 'done');
	DROP INDEX "public"."tasks_org";
	ALTER TABLE "tasks" ADD "due" TIMESTAMP;
	ALTER TABLE "tasks" ALTER COLUMN "state" DROP DEFAULT;
	ALTER TABLE "tasks" ALTER COLUMN "state" TYPE "tasks_state_enum" USING "state"::"text"::"tasks_state_enum";
	ALTER TABLE "tasks" ALTER COLUMN "state" SET DEFAULT 'new';
	ALTER TYPE "public"."tasks_state_enum" RENAME TO "tasks_state_enum_old";
	CREATE TYPE "public"."tasks_state_enum" AS ENUM ('new', 'done', 'late');
	ALTER TABLE "tasks" ALTER COLUMN "state" DROP DEFAULT;
	ALTER TABLE "tasks" ALTER COLUMN "state" TYPE "public"."tasks_state_enum" USING "state"::"text"::"public"."tasks_state_enum";
	ALTER TABLE "tasks" ALTER COLUMN "state" SET DEFAULT 'new';
	DROP TYPE "public"."tasks_state_enum_old";
	ALTER TABLE "tasks" DROP COLUMN "title";
	ALTER TABLE "tasks" ADD "title" character varying(200);
	ALTER TABLE "projects" ALTER COLUMN "name" TYPE character varying;
	CREATE INDEX "IDX_5f3b" ON "tasks" ("org_id", "title");
	COMMIT;},
	owner => [ 'same' ], grant => [ 'same' ]);

# It makes a column whose type differs anew, the tenant column as any other.
stream('TypeORM synchronize, the tenant column', q{
	START TRANSACTION;
	ALTER TABLE "tasks" DROP CONSTRAINT "tasks_org_id_fkey";
	ALTER TABLE "tasks" DROP COLUMN "org_id";
	ALTER TABLE "tasks" ADD "org_id" integer;
	COMMIT;},
	owner => [ 'ddl_refused' ],
	grant => [ 'ERROR:  cannot drop column org_id of table tasks because other objects depend on it' ]);

stream('Sequelize sync force', q{
	DROP TABLE IF EXISTS "tasks" CASCADE;
	DROP TABLE IF EXISTS "projects" CASCADE;
	CREATE TABLE IF NOT EXISTS "projects" ("id" SERIAL, "org_id" BIGINT NOT NULL REFERENCES "organizations" ("id")
		ON DELETE CASCADE ON UPDATE CASCADE, "name" VARCHAR(255), "createdAt" TIMESTAMP WITH TIME ZONE, PRIMARY KEY ("id"));
	CREATE INDEX "projects_org_id" ON "projects" ("org_id");
	CREATE TABLE IF NOT EXISTS "tasks" ("id" SERIAL, "org_id" BIGINT NOT NULL REFERENCES "organizations" ("id"),
		"project_id" INTEGER REFERENCES "projects" ("id") ON DELETE SET NULL ON UPDATE CASCADE, PRIMARY KEY ("id"));
	CREATE INDEX "tasks_org_id" ON "tasks" ("org_id");},
	owner => [ 'same' ], grant => [ 'same' ]);

stream('Sequelize sync force, the registry too', q{
	DROP TABLE IF EXISTS "tasks" CASCADE;
	DROP TABLE IF EXISTS "projects" CASCADE;
	DROP TABLE IF EXISTS "organizations" CASCADE;
	CREATE TABLE IF NOT EXISTS "organizations" ("id" BIGINT PRIMARY KEY, "name" TEXT, "status" TEXT NOT NULL DEFAULT 'active');
	CREATE TABLE IF NOT EXISTS "projects" ("id" SERIAL PRIMARY KEY, "org_id" BIGINT NOT NULL REFERENCES "organizations" ("id"));
	INSERT INTO "organizations" VALUES (1), (2);
	INSERT INTO "projects" ("org_id") VALUES (1), (2);},
	owner => [ 'ddl_refused' ],
	grant => [ 'same', 'TG101 organizations, TG101 projects, TG118 database guarded', 'projects' ]);

stream('Rails schema.rb', q{
	SELECT pg_try_advisory_lock(2053462845);
	DROP TABLE IF EXISTS "tasks" CASCADE;
	CREATE TABLE "tasks" ("id" bigserial primary key, "org_id" bigint NOT NULL, "title" character varying, "created_at" timestamp(6) NOT NULL);
	CREATE INDEX "index_tasks_on_org_id" ON "tasks" ("org_id");
	CREATE TABLE "labels" ("id" bigserial primary key, "org_id" bigint NOT NULL, "name" character varying);
	CREATE UNIQUE INDEX "index_labels_on_org_id_and_name" ON "labels" ("org_id", "name");
	ALTER TABLE "tasks" ADD CONSTRAINT "fk_rails_1" FOREIGN KEY ("org_id") REFERENCES "organizations" ("id");
	ALTER TABLE "labels" ADD CONSTRAINT "fk_rails_2" FOREIGN KEY ("org_id") REFERENCES "organizations" ("id");
	CREATE TABLE "schema_migrations" ("version" character varying NOT NULL PRIMARY KEY);
	CREATE TABLE "ar_internal_metadata" ("key" character varying NOT NULL PRIMARY KEY, "value" character varying);
	INSERT INTO "schema_migrations" (version) VALUES ('20260101000000'), ('20260102000000');
	INSERT INTO "ar_internal_metadata" ("key", "value") VALUES ('environment', 'test') RETURNING "key";
	SELECT pg_advisory_unlock(2053462845);},
	owner => [ 'same', 'TG101 ar_internal_metadata, TG101 schema_migrations' ],
	grant => [ 'same', 'TG101 ar_internal_metadata, TG101 schema_migrations' ]);

my $django = q{
	BEGIN;
	CREATE TABLE "shop_note" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "body" text NOT NULL, "org_id" bigint NOT NULL);
	CREATE TABLE "shop_note_tags" ("id" bigserial NOT NULL PRIMARY KEY, "note_id" bigint NOT NULL, "code" text NOT NULL);
	ALTER TABLE "shop_note" ADD CONSTRAINT "shop_note_org_id_fk" FOREIGN KEY ("org_id") REFERENCES "organizations" ("id") DEFERRABLE INITIALLY DEFERRED;
	ALTER TABLE "shop_note_tags" ADD CONSTRAINT "shop_note_tags_uniq" UNIQUE ("note_id", "code");
	ALTER TABLE "shop_note_tags" ADD CONSTRAINT "shop_note_tags_fk" FOREIGN KEY ("note_id") REFERENCES "shop_note" ("id") DEFERRABLE INITIALLY DEFERRED;
	CREATE INDEX "shop_note_org_id" ON "shop_note" ("org_id");
	ALTER TABLE "tasks" ADD COLUMN "weight" integer DEFAULT 1 NOT NULL;
	ALTER TABLE "tasks" ALTER COLUMN "weight" DROP DEFAULT;
	ALTER TABLE "tasks" ADD COLUMN "owner_note_id" bigint NULL CONSTRAINT "tasks_note_fk" REFERENCES "shop_note"("id") DEFERRABLE INITIALLY DEFERRED;
	SET CONSTRAINTS "tasks_note_fk" IMMEDIATE;
	%s
	SET CONSTRAINTS ALL IMMEDIATE;
	SET CONSTRAINTS ALL DEFERRED;
	ALTER TABLE "tasks" ADD CONSTRAINT "positive" CHECK ("weight" > 0);
	CREATE TABLE "django_migrations" ("id" serial PRIMARY KEY, "app" varchar(255) NOT NULL);
	INSERT INTO "django_migrations" ("app") VALUES ('shop');
	COMMIT;};
stream('Django', sprintf($django, ''),
	owner => [ 'same', 'TG101 django_migrations' ],
	grant => [ 'same', 'TG101 django_migrations' ]);
stream('Django with RunSQL and RunPython', sprintf($django, q{UPDATE "tasks" SET "weight" = 2;
	INSERT INTO "shop_note" ("body", "org_id") SELECT "title", "org_id" FROM "tasks" ORDER BY "id";}),
	owner => [ 'no_context' ],
	grant => [ 'same', 'TG101 django_migrations' ]);

stream('Django, atomic = False', q{
	ALTER TABLE "tasks" ADD COLUMN "weight" integer NULL;
	CREATE INDEX CONCURRENTLY "tasks_weight" ON "tasks" ("weight");
	CREATE TABLE "shop_note" ("id" bigserial PRIMARY KEY, "org_id" bigint NOT NULL, "body" text);
	CREATE INDEX CONCURRENTLY "shop_note_body" ON "shop_note" ("body");
	ALTER TABLE "shop_note" ADD CONSTRAINT "shop_note_fk" FOREIGN KEY ("org_id") REFERENCES "organizations" ("id") DEFERRABLE INITIALLY DEFERRED;
	DROP INDEX CONCURRENTLY "tasks_org";
	CREATE INDEX CONCURRENTLY "tasks_org_2" ON "tasks" ("org_id");
	REINDEX TABLE CONCURRENTLY "tasks";},
	owner => [ 'same' ], grant => [ 'same' ]);

stream('Django, a tenant column with a default', q{
	CREATE TABLE "shop_tag" ("id" bigserial NOT NULL PRIMARY KEY, "name" text NOT NULL);
	BEGIN;
	ALTER TABLE "shop_tag" ADD COLUMN "org_id" bigint DEFAULT 1 NOT NULL CONSTRAINT "shop_tag_org_fk"
		REFERENCES "organizations"("id") DEFERRABLE INITIALLY DEFERRED;
	SET CONSTRAINTS "shop_tag_org_fk" IMMEDIATE;
	ALTER TABLE "shop_tag" ALTER COLUMN "org_id" DROP DEFAULT;
	CREATE INDEX "shop_tag_org_id" ON "shop_tag" ("org_id");
	COMMIT;},
	owner => [ 'same' ], grant => [ 'same' ]);

stream('Prisma migrate', (q{
	-- CreateTable
	CREATE TABLE "Label" ("id" TEXT NOT NULL, "org_id" BIGINT NOT NULL, "name" TEXT NOT NULL, CONSTRAINT "Label_pkey" PRIMARY KEY ("id"));
	CREATE TABLE "_LabelToTask" ("A" TEXT NOT NULL, "B" BIGINT NOT NULL);
	CREATE UNIQUE INDEX "Label_org_id_name_key" ON "Label"("org_id", "name");
	CREATE UNIQUE INDEX "_LabelToTask_AB_unique" ON "_LabelToTask"("A", "B");
	ALTER TABLE "Label" ADD CONSTRAINT "Label_org_id_fkey" FOREIGN KEY ("org_id") REFERENCES "organizations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
	ALTER TABLE "_LabelToTask" ADD CONSTRAINT "_LabelToTask_A_fkey" FOREIGN KEY ("A") REFERENCES "Label"("id") ON DELETE CASCADE;
	ALTER TABLE "_LabelToTask" ADD CONSTRAINT "_LabelToTask_B_fkey" FOREIGN KEY ("B") REFERENCES "tasks"("id") ON DELETE CASCADE;
	} =~ s/;(?=.*;)/\\;/gsr),
	owner => [ 'same' ], grant => [ 'same' ]);

stream('Prisma migrate reset', q{
	DROP SCHEMA "public" CASCADE;
	CREATE SCHEMA "public"; GRANT USAGE ON SCHEMA "public" TO app;
	CREATE TABLE "organizations" ("id" BIGINT PRIMARY KEY);
	CREATE TABLE "projects" ("id" SERIAL PRIMARY KEY, "org_id" BIGINT NOT NULL REFERENCES "organizations");
	INSERT INTO "organizations" VALUES (1), (2);
	INSERT INTO "projects" ("org_id") VALUES (1), (2);},
	owner => [ 'ddl_refused' ],
	grant => [ 'same', 'TG101 organizations, TG101 projects, TG118 database guarded', 'projects' ]);

stream('Flyway, Liquibase, goose, golang-migrate', q{
	SELECT pg_advisory_lock(7346895439);
	CREATE TABLE IF NOT EXISTS "flyway_schema_history" (installed_rank int PRIMARY KEY, script text, installed_on timestamp);
	BEGIN; LOCK TABLE "flyway_schema_history" IN SHARE ROW EXCLUSIVE MODE;
	ALTER TABLE tasks ADD COLUMN note text;
	INSERT INTO "flyway_schema_history" VALUES (1, 'V1', '2026-01-01'); COMMIT;
	CREATE TABLE databasechangeloglock (id int PRIMARY KEY, locked boolean NOT NULL, lockedby text);
	CREATE TABLE databasechangelog (id text NOT NULL, orderexecuted int NOT NULL);
	DELETE FROM databasechangeloglock; INSERT INTO databasechangeloglock VALUES (1, false);
	UPDATE databasechangeloglock SET locked = true WHERE id = 1 AND NOT locked;
	CREATE TABLE goose_db_version (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL);
	INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true);
	CREATE TABLE "schema_migrations" (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
	BEGIN; TRUNCATE "schema_migrations"; INSERT INTO "schema_migrations" VALUES (1, true); COMMIT;
	BEGIN; LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE; ALTER TABLE tasks ADD COLUMN note2 text; COMMIT;
	BEGIN; TRUNCATE "schema_migrations"; INSERT INTO "schema_migrations" VALUES (1, false); COMMIT;
	SELECT pg_advisory_unlock(7346895439);},
	map { $_ => [ 'same', 'TG101 databasechangelog, TG101 databasechangeloglock, TG101 flyway_schema_history, TG101 goose_db_version, TG101 schema_migrations' ] } qw(owner grant));

stream('Hibernate hbm2ddl update', q{
	create sequence labels_SEQ start with 1 increment by 50;
	create table if not exists labels (id bigint not null, org_id bigint not null, name varchar(255), primary key (id));
	alter table if exists tasks add column priority integer;
	alter table if exists labels drop constraint if exists UK_name;
	alter table if exists labels add constraint UK_name unique (org_id, name);
	alter table if exists labels add constraint FK8t foreign key (org_id) references organizations;
	alter table if exists tasks alter column title set data type varchar(255);},
	owner => [ 'same' ], grant => [ 'same' ]);

my $shadow = q{
	CREATE TABLE tasks_new (LIKE tasks INCLUDING ALL);
	ALTER TABLE tasks_new ALTER COLUMN id TYPE numeric(20);
	CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO tasks_new VALUES (NEW.*) ON CONFLICT (id) DO UPDATE SET title = excluded.title;
		RETURN NEW;
	END $$;
	CREATE TRIGGER follow AFTER INSERT OR UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION follow();
	%s
	BEGIN;
	SET LOCAL lock_timeout = '2s';
	LOCK TABLE tasks, tasks_new IN ACCESS EXCLUSIVE MODE;
	ALTER TABLE tasks RENAME TO tasks_old;
	ALTER TABLE tasks_new RENAME TO tasks;
	DROP TRIGGER follow ON tasks_old;
	COMMIT;
	%s};
my $batches = q{
	INSERT INTO tasks_new SELECT * FROM tasks WHERE id BETWEEN 1 AND 10 ON CONFLICT DO NOTHING;
	UPDATE tasks SET title = 'changed' WHERE id = 3;
	INSERT INTO tasks_new SELECT * FROM tasks WHERE id BETWEEN 11 AND 20 ON CONFLICT DO NOTHING;};
stream('a shadow copy', sprintf($shadow, $batches, 'DROP TABLE tasks_old;'),
	owner => [ 'no_context', 'TG109 tasks_new.org_id' ],
	grant => [ 'same', 'TG109 tasks.org_id' ]);
stream('a shadow copy, the old table is kept', sprintf($shadow, $batches, ''),
	owner => [ 'no_context', 'TG109 tasks_new.org_id' ],
	grant => [ 'same', 'TG109 tasks.org_id' ]);

stream('NOT VALID, VALIDATE', q{
	SET lock_timeout = '5s';
	ALTER TABLE tasks ADD COLUMN parent_id bigint;
	ALTER TABLE tasks ADD CONSTRAINT tasks_parent FOREIGN KEY (parent_id) REFERENCES tasks NOT VALID;
	ALTER TABLE tasks VALIDATE CONSTRAINT tasks_parent;
	ALTER TABLE tasks ADD CONSTRAINT state_known CHECK (state IS NOT NULL) NOT VALID;
	ALTER TABLE tasks VALIDATE CONSTRAINT state_known;
	ALTER TABLE tasks ALTER COLUMN state SET NOT NULL;
	ALTER TABLE tasks DROP CONSTRAINT state_known;
	CREATE UNIQUE INDEX CONCURRENTLY tasks_key ON tasks (org_id, id);
	ALTER TABLE tasks ADD CONSTRAINT tasks_key UNIQUE USING INDEX tasks_key;},
	owner => [ 'same' ], grant => [ 'same' ]);

stream('a tenant column that comes later', q{
	CREATE TABLE comments (id bigserial PRIMARY KEY, task_id bigint NOT NULL, body text);
	INSERT INTO comments (task_id, body) SELECT g, 'c' FROM generate_series(1, 10) g;
	ALTER TABLE comments ADD COLUMN org_id bigint REFERENCES organizations;
	UPDATE comments SET org_id = 1 + task_id % 2;
	ALTER TABLE comments ALTER COLUMN org_id SET NOT NULL;},
	map { $_ => [ 'same', 'TG101 comments', 'comments' ] } qw(owner grant));

my $failing = q{
	ALTER TABLE tasks ADD COLUMN a text;
	CREATE TABLE labels (org_id bigint NOT NULL REFERENCES organizations, id bigint);
	CREATE TABLE copies (LIKE tasks);
	CREATE TABLE copies (LIKE projects);
	ALTER TABLE tasks ADD COLUMN title text;
	CREATE TABLE plain (org_id bigint NOT NULL, id bigint);
	ALTER TABLE tasks ADD COLUMN b text;};
stream('a failure in the middle', $failing, stop => 0,
	map { $_ => [ 'same', 'TG101 plain, TG109 copies.org_id', '' ] } qw(owner grant));
stream('a failure in a transaction', "BEGIN; $failing COMMIT;", stop => 0, map { $_ => ['same'] } qw(owner grant));
stream('a failure in a savepoint', "BEGIN; SAVEPOINT s; $failing ROLLBACK TO s; CREATE TABLE plain (org_id bigint NOT NULL, id bigint); COMMIT;",
	stop => 0, map { $_ => [ 'same', 'TG101 plain', '' ] } qw(owner grant));

# Thousands of statements, in one transaction and each in its own: neither the
# library's list of relations grows by each, nor does the session keep a lock.
my $many = q{
	CREATE PROCEDURE many(apart boolean) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 1100 LOOP
			EXECUTE format('CREATE TABLE many_%s (id int, %s)', i,
				CASE WHEN i % 60 = 0 THEN 'org_id bigint NOT NULL REFERENCES organizations' ELSE 'org_id bigint' END);
			IF i % 4 = 0 THEN
				EXECUTE format('ALTER TABLE many_%s ADD COLUMN more text', i);
			END IF;
			EXECUTE format('DROP TABLE many_%s', i);
			IF apart THEN
				COMMIT;
			END IF;
		END LOOP;
	END $$;
	SET client_min_messages = error;};
my $kept = q{SELECT sum(used_bytes) FROM pg_backend_memory_contexts WHERE name = 'tenantguard relations';};

make_fresh('guarded', 0);
$node->safe_psql('guarded', $many);
my $locks = q{SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation <> 'pg_locks'::regclass;};
my @after = split / /, rows_of($node, 'guarded', join '', 'SET client_min_messages = error;',
	map { "CALL many($_); $kept $locks" } qw(false true false));
for my $call ([ 'in one transaction' => @after[ 0, 1 ] ], [ 'each in its own' => @after[ 2, 3 ] ], [ 'in one again' => @after[ 4, 5 ] ])
{
	my ($name, $bytes, $count) = @$call;

	is($count, 0, "thousands of statements, $name, keep no lock");
	cmp_ok($bytes, '<', 1.5 * $after[0], "nor memory: $bytes bytes");
}
is(look('guarded')->{findings}, '', 'and leave nothing behind');

done_testing();
