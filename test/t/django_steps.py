# django_steps.py HOST PORT DATABASE DIRECTORY
#	  Migrate a database by an application of Django's, made in DIRECTORY; print
#	  what came of each migration.  One that is refused is faked, and the next is
#	  tried.  "test" for DATABASE: make test databases as the test runner does.
import importlib
import os
import sys

import django
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import Error, connection, models, transaction

host, port, database, directory = sys.argv[1:]
server = dict(ENGINE="django.db.backends.postgresql", HOST=host, PORT=port, USER="owner")
template = {"TEMPLATE": "guarded"} if database == "test" else {}
CONTRIB = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]

os.makedirs(f"{directory}/shop/migrations", exist_ok=True)
for package in ("shop", "shop/migrations"):
    open(f"{directory}/{package}/__init__.py", "a").close()
sys.path.insert(0, directory)
sys.dont_write_bytecode = True
settings.configure(
    DATABASES={"default": dict(server, NAME="guarded" if database == "test" else database, TEST=template)},
    INSTALLED_APPS=CONTRIB + ["shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.db.migrations.autodetector import MigrationAutodetector  # noqa: E402
from django.db.migrations.loader import MigrationLoader  # noqa: E402
from django.db.migrations.questioner import MigrationQuestioner  # noqa: E402
from django.db.migrations.state import ProjectState  # noqa: E402
from django.db.migrations.writer import MigrationWriter  # noqa: E402


def define(name, /, **members):
    meta = dict(app_label="shop", **members.pop("Meta", {}))
    return type(name, (models.Model,), dict(members, __module__="shop.models", Meta=type("Meta", (), meta)))


def organization():
    return models.ForeignKey("shop.Organization", models.CASCADE, db_column="org_id")


def version(number):
    """The models as they are in one version of the application."""
    apps.all_models["shop"].clear()
    apps.clear_cache()
    define(
        "Organization",
        id=models.BigIntegerField(primary_key=True),
        name=models.TextField(null=True),
        status=models.TextField(default="active"),
        Meta={"db_table": "organizations"},
    )
    define("Project", org=organization(), name=models.TextField(null=True), Meta={"db_table": "projects"})
    task = dict(title=models.TextField())
    if number < 5:
        task["org"] = organization()
    if number < 3:
        task["state"] = models.TextField(null=True)
    if number > 1:
        task.update(title=models.CharField(max_length=200), weight=models.IntegerField(default=1))
        tag = dict(name=models.TextField())
        if number > 3:
            tag["org"] = models.ForeignKey("shop.Organization", models.CASCADE, default=1)
        define("Tag", **tag)
    define("Task", **task, Meta={"db_table": "tasks", "indexes": [models.Index("title", name="by_title")] if number > 1 else []})
    if 1 < number < 6:
        define(
            "Note" if number < 3 else "Memo",
            org=organization(),
            slug=models.SlugField(),
            tags=models.ManyToManyField("shop.Tag"),
            Meta={"constraints": [models.UniqueConstraint(fields=["org", "slug"], name="slug")]},
            **{"body" if number < 3 else "text": models.TextField()},
        )


def make(name):
    """What makemigrations does, with the answer yes to each question."""
    importlib.invalidate_caches()
    loader = MigrationLoader(None)
    questioner = MigrationQuestioner({"ask_rename": True, "ask_rename_model": True, "ask_initial": True}, {"shop"})
    found = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps), questioner)
    for migration in found.changes(loader.graph, trim_to_apps={"shop"}, convert_apps={"shop"}, migration_name=name)["shop"]:
        write(migration.name, MigrationWriter(migration).as_string())


def write(name, text):
    with open(f"{directory}/shop/migrations/{name}.py", "w") as file:
        file.write(text)
    importlib.invalidate_caches()


def last():
    return sorted(f for f in os.listdir(f"{directory}/shop/migrations") if f[0] == "0")[-1][:-3]


def by_hand(number, name, operations, atomic=True):
    write(
        f"{number:04}_{name}",
        f"""from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


def work(apps, editor):
    apps.get_model("shop", "Task").objects.update(weight=2)
    apps.get_model("shop", "Memo").objects.create(org_id=2, slug="a", text="by Django")


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("shop", "{last()}")]
    operations = [{operations}]
""",
    )


def refusal(error):
    """What the server said: "flush" wraps it once more."""
    said = (error.__cause__.__cause__ if isinstance(error, CommandError) else error.__cause__).diag
    return f"{said.sqlstate} {(said.message_detail or '').split(':')[0]}"


def attempt(step, *work, **how):
    try:
        call_command(*work, verbosity=0, interactive=False, **how)
        print(f"{step}=done")
        return True
    except (Error, CommandError) as error:
        print(f"{step}={refusal(error)}")
        return False


def migrations():
    """Write all of them, unless an earlier call has done so."""
    if os.path.exists(f"{directory}/shop/migrations/0001_initial.py"):
        return version(6)
    version(1), make("initial")
    version(2), make("schema")
    version(3), make("rename")
    by_hand(4, "data", "migrations.RunPython(work, migrations.RunPython.noop)")
    by_hand(
        5,
        "concurrently",
        'AddIndexConcurrently("task", models.Index(fields=["org", "weight"], name="by_weight"))',
        atomic=False,
    )
    by_hand(6, "drop_index", 'migrations.RemoveIndex("task", "by_weight")')
    version(4), make("tenant_comes")
    version(5), make("tenant_goes")
    version(6), make("drop")


def migrate():
    migrations()
    attempt("contrib", "migrate", "auth"), attempt("sessions", "migrate", "sessions")
    call_command("migrate", "shop", "0001", fake=True, verbosity=0)
    for file in sorted(os.listdir(f"{directory}/shop/migrations"))[1:]:
        if file[0] != "0":
            continue
        name = file[:-3]
        if not attempt(name[5:], "migrate", "shop", name):
            call_command("migrate", "shop", name, fake=True, verbosity=0)
    attempt("undo", "migrate", "shop", "0008")


def test_database():
    """Made of a guarded template, for tests that run as a tenant."""
    migrations()
    call_command("migrate", "auth", verbosity=0), call_command("migrate", "sessions", verbosity=0)
    call_command("migrate", "shop", fake=True, verbosity=0)
    connection.close()
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        print("create=done")
    except Error as error:
        return print(f"create={error}")
    organization, project = apps.get_model("shop", "Organization"), apps.get_model("shop", "Project")
    for tenant in (None, 1):
        try:
            with transaction.atomic():
                if tenant:
                    connection.cursor().execute("SELECT set_config('app.current_org_id', %s, true)", [str(tenant)])
                print(f"tenant_{tenant}={sorted(project.objects.values_list('org_id', flat=True).distinct())}")
        except Error as error:
            print(f"tenant_{tenant}={refusal(error)}")
    attempt("flush", "flush")
    connection.creation.destroy_test_db("guarded", verbosity=0)


test_database() if database == "test" else migrate()
