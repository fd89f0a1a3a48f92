# bulk_loads.py DRIVER HOST PORT
#	  Load and unload notes by a driver's own means; print what came of it.
import asyncio
import io
import re
import sys

driver, host, port = sys.argv[1:]
server = dict(host=host, port=int(port), user="app")
OWN = [(31, "one"), (32, "two")]
STATED = [(33, 1, "own")]
FOREIGN = [(34, 1, "own"), (35, 2, "theirs"), (36, 1, "own")]
SET = "SELECT set_config('app.current_org_id', '1', true)"


def say(step, what):
    print(f"{step}={what}", flush=True)


def rows(pairs):
    return " ".join(f"{row[0]}:{row[1]}" for row in sorted(pairs))


def refusal(sqlstate, detail, context):
    line = re.search(r"line \d+", context or "")
    reason = detail.split(":")[0]
    return " ".join([sqlstate, reason] + ([line.group()] if line else []))


def lines(records):
    return io.StringIO("".join("\t".join(map(str, r)) + "\n" for r in records))


class Psycopg2:
    """copy_from, copy_expert, copy_to: text"""

    def __init__(self):
        import psycopg2

        self.Error = psycopg2.Error
        self.connection = psycopg2.connect(dbname="postgres", **server)
        self.cursor = self.connection.cursor()

    def load(self, columns, records):
        if len(columns) == 2:
            self.cursor.copy_from(lines(records), "notes", columns=columns)
        else:
            self.cursor.copy_expert(f"COPY notes ({', '.join(columns)}) FROM STDIN", lines(records))

    def unload(self):
        out = io.StringIO()
        self.cursor.copy_to(out, "notes", columns=("id", "org_id"))
        return [tuple(map(int, line.split())) for line in out.getvalue().splitlines()]

    def refusal(self, error):
        return refusal(error.pgcode, error.diag.message_detail, error.diag.context)


class Psycopg:
    """cursor.copy: rows in binary, out as text"""

    def __init__(self):
        import psycopg

        self.Error = psycopg.Error
        self.connection = psycopg.connect(dbname="postgres", **server)
        self.cursor = self.connection.cursor()

    def load(self, columns, records):
        with self.cursor.copy(f"COPY notes ({', '.join(columns)}) FROM STDIN WITH (FORMAT binary)") as copy:
            copy.set_types(["text" if c == "body" else "bigint" for c in columns])
            for record in records:
                copy.write_row(record)

    def unload(self):
        with self.cursor.copy("COPY notes (id, org_id) TO STDOUT") as copy:
            return [tuple(map(int, row)) for row in copy.rows()]

    def refusal(self, error):
        return refusal(error.sqlstate, error.diag.message_detail, error.diag.context)


def synchronous(client):
    def attempt(step, columns, records, tenant=True):
        try:
            if tenant:
                client.cursor.execute(SET)
            client.load(columns, records)
            client.cursor.execute("SELECT id, org_id FROM notes")
            say(step, rows(client.cursor.fetchall()))
        except client.Error as error:
            say(step, client.refusal(error))
        client.connection.rollback()

    attempt("left out", ("id", "body"), OWN)
    attempt("stated", ("id", "org_id", "body"), STATED)
    attempt("foreign", ("id", "org_id", "body"), FOREIGN)
    attempt("after it", ("id", "body"), [])
    attempt("no tenant", ("id", "body"), OWN, tenant=False)
    client.cursor.execute(SET)
    say("out", rows(client.unload()))


async def with_asyncpg():
    """copy_records_to_table: binary; copy_from_table and copy_from_query: text"""
    import asyncpg

    connection = await asyncpg.connect(database="postgres", **server)

    async def attempt(step, columns, records, tenant=True):
        transaction = connection.transaction()
        await transaction.start()
        try:
            if tenant:
                await connection.execute(SET)
            await connection.copy_records_to_table("notes", columns=columns, records=records)
            say(step, rows(await connection.fetch("SELECT id, org_id FROM notes")))
        except asyncpg.PostgresError as error:
            say(step, refusal(error.sqlstate, error.detail, error.context))
        await transaction.rollback()

    await attempt("left out", ["id", "body"], OWN)
    await attempt("stated", ["id", "org_id", "body"], STATED)
    await attempt("foreign", ["id", "org_id", "body"], FOREIGN)
    await attempt("after it", ["id", "body"], [])
    await attempt("no tenant", ["id", "body"], OWN, tenant=False)
    async with connection.transaction():
        await connection.execute(SET)
        table, query = io.BytesIO(), io.BytesIO()
        await connection.copy_from_table("notes", columns=["id", "org_id"], output=table)
        await connection.copy_from_query("SELECT id, org_id FROM notes WHERE id >= $1", 0, output=query)
        if table.getvalue() != query.getvalue():
            say("query", query.getvalue())
        say("out", rows(tuple(map(int, line.split())) for line in table.getvalue().splitlines()))
    await connection.close()


if driver == "asyncpg":
    asyncio.run(with_asyncpg())
else:
    synchronous(Psycopg2() if driver == "psycopg2" else Psycopg())
