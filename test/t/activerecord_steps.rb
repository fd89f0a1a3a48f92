# activerecord_steps.rb HOST PORT DATABASE DIRECTORY
#	  Migrate a database with ActiveRecord, dump its schema.rb to DIRECTORY and load
#	  it; print what came of each step.
require "active_record"
require "fileutils"

host, port, database, directory = ARGV
SERVER = {adapter: "postgresql", host: host, port: port, username: "owner", min_messages: "error"}
ActiveRecord::Base.establish_connection(SERVER.merge(database: database))
ActiveRecord::Migration.verbose = false
FileUtils.mkdir_p(directory)

def attempt(step)
  yield
  puts "#{step}=done"
rescue ActiveRecord::ActiveRecordError, StandardError => error
  error = error.cause while error.cause && !error.is_a?(PG::Error)
  raise unless error.is_a?(PG::Error) && error.result
  detail = error.result.error_field(PG::PG_DIAG_MESSAGE_DETAIL).to_s
  puts "#{step}=#{error.result.error_field(PG::PG_DIAG_SQLSTATE)} #{detail[/\A\w+(?=:)/]}".rstrip
end

# A migration of its own version, as `rails db:migrate` runs it.
def migration(name, ddl_transaction: true, &work)
  @version = (@version || 0) + 1
  migration = Class.new(ActiveRecord::Migration[6.1]) do
    disable_ddl_transaction! unless ddl_transaction
    define_method(:up) { instance_eval(&work) }
  end
  all = [migration.new(name, @version)]
  attempt(name) { ActiveRecord::Migrator.new(:up, all, ActiveRecord::SchemaMigration, @version).run }
end

migration("schema") do
  create_table(:labels) do |t|
    t.references :org, null: false, foreign_key: {to_table: :organizations}
    t.string :name
    t.timestamps
  end
  add_index :labels, [:org_id, :name], unique: true
  add_column :tasks, :weight, :integer, default: 1, null: false
  change_column :tasks, :title, :string, limit: 200
  change_column_default :tasks, :state, from: "new", to: "open"
  create_join_table :labels, :tasks
  # schema.rb of this version cannot say a key of two columns
  remove_foreign_key :tasks, name: "tasks_org_id_project_id_fkey"
end

migration("concurrently", ddl_transaction: false) { add_index :tasks, [:org_id, :weight], algorithm: :concurrently }

migration("key_later") do
  create_table(:comments) do |t|
    t.bigint :org_id, null: false
    t.bigint :task_id
  end
  add_foreign_key :comments, :organizations, column: :org_id, validate: false
  validate_foreign_key :comments, :organizations
end

migration("tenant_comes") do
  create_table(:notes) { |t| t.text :body }
  add_reference :notes, :org, null: false, foreign_key: {to_table: :organizations}
end

migration("data") { execute("UPDATE tasks SET weight = 2") }

migration("rename") do
  rename_column :labels, :name, :title
  rename_table :labels, :marks
end

migration("drop") { drop_table :comments }

ActiveRecord::SchemaMigration.reset_column_information
attempt("dump") { File.open("#{directory}/#{database}.rb", "w") { |f| ActiveRecord::SchemaDumper.dump(ActiveRecord::Base.connection, f) } }

# DatabaseCleaner, and the fixtures of the test framework.
attempt("truncate") { ActiveRecord::Base.connection.truncate_tables("tasks", "projects") }
attempt("fixtures") { ActiveRecord::Base.connection.insert_fixtures_set({"countries" => [{"code" => "at"}]}, ["countries"]) }

migration("tenant_goes") { remove_column :tasks, :org_id }

# The database of the tests, from schema.rb: made of nothing, and over itself.
def load_schema(file)
  attempt("load") { ActiveRecord::Tasks::DatabaseTasks.load_schema(ActiveRecord::Base.connection_db_config, :ruby, file) }
end

load_schema("#{directory}/#{database}.rb")
ActiveRecord::Base.establish_connection(SERVER.merge(database: "postgres"))
ActiveRecord::Base.connection.recreate_database("#{database}_test")
ActiveRecord::Base.establish_connection(SERVER.merge(database: "#{database}_test"))
load_schema("#{directory}/#{database}.rb")
