# alembic_steps.py HOST PORT DATABASE DIRECTORY
#	  Migrate a database step by step; print what came of each.
import sys

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

host, port, database = sys.argv[1:4]
engine = sa.create_engine(f"postgresql+psycopg2://owner@/{database}?host={host}&port={port}")


def schema(op):
    op.create_table(
        "labels",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("org_id", sa.BigInteger, sa.ForeignKey("organizations.id"), nullable=False),
    )
    op.create_index("labels_org", "labels", ["org_id"])
    op.add_column("projects", sa.Column("due", sa.Date))
    op.alter_column("projects", "name", type_=sa.String(50))


def data(op):
    op.execute("UPDATE projects SET name = upper(name)")
    projects = sa.table("projects", sa.column("org_id"), sa.column("name"))
    op.bulk_insert(projects, [{"org_id": 1, "name": "by alembic"}])


def rename(op):
    op.rename_table("projects", "ventures")


def tenant_column(op):
    op.execute("ALTER TABLE tasks DROP COLUMN org_id CASCADE")


for step in (schema, data, rename, tenant_column):
    try:
        with engine.begin() as connection:
            step(Operations(MigrationContext.configure(connection)))
        print(f"{step.__name__}=done")
    except sa.exc.DBAPIError as error:
        detail = error.orig.diag.message_detail or ""
        print(f"{step.__name__}={error.orig.pgcode} {detail.split(':')[0]}")
