"""Real faults for the tests of retry: errors, a cut connection and a warning at COMMIT."""

from __future__ import annotations

from tests.helpers import Connection


class Pauses(list[float]):
    """Takes the place of sleep."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def raise_error(conn: Connection, sqlstate: str) -> None:
    """Let the server raise this SQLSTATE."""
    conn.execute(
        f"do $$ begin raise exception 'fault' using errcode = '{sqlstate}'; end $$".encode()
    )


def cut(conn: Connection, killer: Connection) -> None:
    """End the connection from the server's side; its next statement finds out."""
    killer.execute("select pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])


def warn(conn: Connection, sqlstate: str) -> None:
    """Let the server warn with this SQLSTATE, as at a wait that was cancelled, at once."""
    conn.execute(f"do $$ begin raise warning 'fault' using errcode = '{sqlstate}'; end $$".encode())


def warn_at_commit(conn: Connection, sqlstate: str) -> None:
    """Make COMMIT answer with the warning of a cancelled wait for a synchronous standby."""
    conn.execute("create temporary table once (id integer) on commit drop")
    function = (
        "create function pg_temp.warn() returns trigger language plpgsql as $$ begin"
        f" raise warning 'fault' using errcode = '{sqlstate}'; return null; end $$"
    )
    conn.execute(function.encode())
    conn.execute(
        "create constraint trigger warn after insert on once deferrable initially deferred"
        " for each row execute function pg_temp.warn()"
    )
    conn.execute("insert into once values (1)")
