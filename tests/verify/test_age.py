"""verify() warns of a table whose oldest transaction id is half-way to a forced freeze."""

import psycopg

from forgea_pgjobs import embedded
from tests.conftest import SETTINGS, install
from tests.helpers import Connection, call

# The least that a server takes; half of it is burned in a second.
MAX_AGE = 100_000
BURN = """
do $$ begin
    for number in 1 .. {} loop
        perform pg_current_xact_id();
        commit;
    end loop;
end $$
"""


def warned(conn: Connection) -> dict[str, str]:
    """Return the tables that verify() warns of, each with its hint."""
    return {
        each.object.removeprefix("table "): each.hint
        for each in call(conn, "verify")
        if each.severity == "warning" and each.finding.startswith("its oldest transaction id is ")
    }


def test_a_table_of_old_transaction_ids_is_named_until_it_is_frozen() -> None:
    settings = {**SETTINGS, "autovacuum": "off", "autovacuum_freeze_max_age": MAX_AGE}
    with embedded.run_server(fsync=False, settings=settings) as server:
        install(conninfo=server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute(BURN.format(MAX_AGE // 2 - 1000).encode())
            assert warned(conn) == {}
            conn.execute(BURN.format(1001).encode())
            named = warned(conn)
            assert {"pgjobs.lab_attempt", "pgjobs.job", "pgjobs.verdict"} <= named.keys()
            assert named["pgjobs.verdict"].endswith("vacuum (freeze) pgjobs.verdict")
            conn.execute("vacuum (freeze) pgjobs.verdict")
            assert named.keys() - warned(conn).keys() == {"pgjobs.verdict"}
