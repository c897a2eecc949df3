"""P2, P5, P7: two transactions, every step against every other, in every order and at each level.

The judge is not a list of expected results but the calls themselves: whatever two transactions do
at once must be what they would have done one after the other, answers included.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from itertools import combinations, permutations, product

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.helpers import Connection
from tests.races.ledger import drain, open_places, violations
from tests.races.rivals import LEVELS, LONG, background, level_name
from tests.races.scene import ENQUEUES, SCENES, Actor, Scene, state

NEVER_WAIT = {"claim", "rescue"}
DOCUMENTED = {"40001", "25000", "23V02", "23V03", "23V05", "23V09", "55V01", "55V02"}
# A call that hangs ends with 57014.
OPTIONS = "-c statement_timeout=20s"
ORDERS = ("A ends before B acts", "A ends first", "B ends first")
# Whether A and B commit. The long run also plays those of which nothing, or only A's step, stays,
# and a rollback of A above READ COMMITTED.
BOTH, ONLY_B = (True, True), (False, True)
ALL_ENDS = (BOTH, ONLY_B, (True, False), (False, False))


def plays(level: IsolationLevel) -> Iterator[tuple[str, tuple[bool, bool]]]:
    """Yield the orders, and who commits; without those that are serial in every respect."""
    short = (BOTH, ONLY_B) if level == IsolationLevel.READ_COMMITTED else (BOTH,)
    for order, ends in product(ORDERS, ALL_ENDS if LONG else short):
        # Then B acts alone or, at READ COMMITTED, after A; above, it still has its old snapshot.
        if order != ORDERS[0] or (ends[0] and level != IsolationLevel.READ_COMMITTED):
            yield order, ends


class Stage:
    """Two actors, and an observer who sets the scene and looks at the outcome."""

    def __init__(self, observer: Connection, a: Connection, b: Connection) -> None:
        self.observer = observer
        self.actors = {"A": Actor("A", a), "B": Actor("B", b)}
        self.serially = cache(self._serially)

    def set(self, place: str) -> Scene:
        """Build the scene; the next claim looks for ended leases."""
        scene = SCENES[place][0](self.observer)
        self.observer.execute("select setval('pgjobs.swept_at', 0)")
        return scene

    def leave(self, scene: Scene) -> list[tuple[object, ...]]:
        """Return what the scene became; check the invariants and that nothing is stuck."""
        sessions = [scene.session_id, scene.other_id]
        assert violations(self.observer, sessions) == []
        became = state(self.observer, scene)
        drain(self.observer)
        assert open_places(self.observer) == 0
        return became

    def _serially(self, place: str, cast: tuple[tuple[str, str], ...]) -> object:
        """Return answers and state after these actors took their steps one after the other."""
        scene = self.set(place)
        answers = {}
        for name, step in cast:
            actor = self.actors[name]
            actor.begin(IsolationLevel.READ_COMMITTED)
            actor.act(scene, step)
            actor.end(commit=True)
            answers[name] = actor.answer
        return answers, self.leave(scene)

    def play(
        self,
        scene: Scene,
        steps: dict[str, str],
        level: IsolationLevel,
        order: str,
        ends: tuple[bool, bool],
    ) -> bool:
        """Play one order to its end; return whether B had to wait for A."""
        a, b = self.actors.values()
        a.begin(level)
        b.begin(level)
        a.act(scene, steps["A"])
        if order == "A ends before B acts":
            a.end(commit=ends[0])
        with background(b.conn, self.observer, lambda: b.act(scene, steps["B"])) as call:
            blockers = call.blockers()
            if blockers:
                assert blockers == [a.conn.info.backend_pid]
                a.end(commit=ends[0])
            call.result()
        for name in "BA" if order == "B ends first" else "AB":
            self.actors[name].end(commit=ends["AB".index(name)])
        return bool(blockers)

    def assert_serial(self, place: str, steps: dict[str, str], scene: Scene) -> None:
        """Compare with every serial play of those whose answer counts."""
        # A refusal changes nothing but must be true. What was rolled back or is to be retried does
        # not count. Claim and rescue step over what somebody holds, and may then find nothing.
        answers = {a.name: a.answer for a in self.actors.values() if a.counts}
        idle = [name for name, said in answers.items() if steps[name] in NEVER_WAIT and not said]
        casts = [
            answers.keys() - set(left_out)
            for size in range(len(idle) + 1)
            for left_out in combinations(idle, size)
        ]
        became = self.leave(scene)
        allowed = [
            self.serially(place, order)
            for cast in casts
            for order in permutations([(name, steps[name]) for name in sorted(cast)])
        ]
        outcomes = [({name: answers[name] for name in cast}, became) for cast in casts]
        assert any(outcome in allowed for outcome in outcomes), (answers, became, allowed)


@pytest.fixture(scope="module")
def empty_stage(dsn: str) -> Iterator[Stage]:
    """Open the connections; the observer plans its long questions once."""
    with ExitStack() as stack:
        observer, a, b = (
            stack.enter_context(psycopg.connect(dsn, options=OPTIONS)) for _ in range(3)
        )
        observer.autocommit = True
        observer.execute("set plan_cache_mode = force_generic_plan")
        yield Stage(observer, a, b)


@pytest.fixture
def stage(empty_stage: Stage) -> Iterator[Stage]:
    """Leave the stage empty and swept, however a play went."""
    yield empty_stage
    for actor in empty_stage.actors.values():
        actor.end(commit=False)
    drain(empty_stage.observer)
    empty_stage.observer.execute("vacuum pgjobs.lane, pgjobs.ready, pgjobs.lease, pgjobs.waiting")


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
@pytest.mark.parametrize(
    ("place", "first"), [(place, step) for place, (_, steps) in SCENES.items() for step in steps]
)
def test_two_transactions_at_once_do_what_they_would_do_in_turn(
    stage: Stage, place: str, first: str, level: IsolationLevel
) -> None:
    steps_of_b = SCENES[place][1]
    if not LONG and level in LEVELS[1:]:
        # The long run plays every pair at both of the levels that keep their snapshot.
        steps_of_b = steps_of_b[(steps_of_b.index(first) + LEVELS.index(level)) % 2 :: 2]
    for second, (order, ends) in product(steps_of_b, plays(level)):
        steps = {"A": first, "B": second}
        scene = stage.set(place)
        waited = stage.play(scene, steps, level, order, ends)
        said = [a.answer for a in stage.actors.values() if isinstance(a.answer, str)]
        assert set(said) <= DOCUMENTED
        assert level != IsolationLevel.READ_COMMITTED or not {"40001", "25000"} & set(said)
        assert not (waited and second in NEVER_WAIT)
        assert not (waited and second == "heartbeat" and first in ENQUEUES)
        stage.assert_serial(place, steps, scene)
