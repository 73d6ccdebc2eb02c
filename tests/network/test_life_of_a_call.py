"""The life of a call, in any order of what can happen to it, on two server processes.

They share a Redis, or have each a memory of their own. Servers are told to end, killed and started anew,
Redis is lost and comes back, time passes. Whatever happens: the endpoint answers no question twice, each
question that it got has one row in the ledger, no answer is delivered before its row has ended, and nobody
reads the answer to another's question.

GROK_TEST_LIVES=100 lives more of them than a run of all tests does.
"""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from grok_mcp.serving.http.token_lines import new_token
from grok_mcp.stores import LIFETIME_S
from grok_mcp.stores.redis_answers import SILENT_S
from tests.network.redis import RedisServer, redis
from tests.network.server import Served, modern, serving
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.ledger import query
from tests.support.pace import slowness

__all__ = ["redis"]

LIVES = int(os.environ.get("GROK_TEST_LIVES", "2"))
STEPS = 12 if "GROK_TEST_LIVES" in os.environ else 8
CALLERS = ("ann", "bob")
WORKERS = (0, 1)
WAIT_S = 0.15
END_S = 30
TEXT = "It is question number "
BEGUN = """
SELECT model_asked, caller FROM calls UNION ALL SELECT model_asked, caller FROM in_flight WHERE sent
"""
HANDLE = re.compile(r'answer_id "(ans_[\w-]{22})"')

workers, callers = st.sampled_from(WORKERS), st.sampled_from(CALLERS)


@dataclass
class Asked:
    """A call that was handed over, and what has happened to it since."""

    question: str
    caller: str
    worker: int
    life: int
    """Which of the worker's processes it is."""
    answer_id: str
    released: bool = False
    shared: bool = False
    """Whether it has been seen in Redis as a whole, so that it needs its process no more."""
    lost: bool = False
    """Whether Redis has lost it, so that it is found elsewhere only if its process writes it again."""
    gone: bool = False
    """Whether nobody can find it any more."""


class Upstream:
    """An endpoint that knows from a question how to answer it, and counts what it bills."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()
        self.held: dict[str, Reply] = {}

    def choose(self, request: Request) -> Reply:
        if request.body is None:
            return body({"data": []})
        question = request.body["model"]
        self.asked[question] += 1
        if question.startswith("busy") and self.asked[question] == 1:
            return body({"error": {"message": "No capacity"}}, 503)
        self.billed[question] += 1
        pieces = chat(TEXT, f"{question}.").pieces
        if question.startswith("cut"):
            return Reply(pieces[:1], end="cut")
        self.held[question] = Reply(pieces, hold=1 if question.startswith("slow") else None)
        return self.held[question]


class Life(RuleBasedStateMachine):
    """What callers, the operator and the clock can do."""

    folder: ClassVar[Path]
    tokens: ClassVar[dict[str, str]]
    redis: ClassVar[RedisServer | None]
    questions: ClassVar[int] = 0
    """Of all lives, which share a ledger."""

    running: Bundle[Asked] = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._upstream = Upstream()
        self._portal = self._stack.enter_context(start_blocking_portal())
        endpoint = Endpoint(choose=self._upstream.choose)
        self._endpoint = self._stack.enter_context(self._portal.wrap_async_context_manager(endpoint))
        self._asked_by: dict[str, str] = {}
        self._asked_at: dict[str, tuple[int, int]] = {}
        self._left: set[str] = set()
        """What was asked by a host that went away, perhaps before the question had gone out."""
        self._killed: set[str] = set()
        """What a server had not ended when it was killed."""
        self._all: list[Asked] = []
        self._away = False
        self._lives = [0 for _ in WORKERS]
        self._servers = [ExitStack() for _ in WORKERS]
        self._served = [self._start(worker) for worker in WORKERS]

    def teardown(self) -> None:
        """In the end some calls are collected once more, everywhere, and all servers end."""
        try:
            for reply in self._upstream.held.values():
                self._portal.call(reply.release.set)
            for asked in self._all:
                asked.released = True
            if self._away:
                self.get_redis_back()
            for asked in self._all[:2]:
                for worker in WORKERS:
                    self.collect(asked, worker)
        finally:
            for server in self._servers:
                server.close()
            self._stack.close()
            if self.redis:
                self.redis.ask("FLUSHALL")
        self.what_the_endpoint_got_is_in_the_ledger()
        assert self._rows("in_flight") <= self._killed, "only what was killed has an unknown end"

    # ------------------------------------------------------------------ callers

    @initialize(target=running, worker=workers, caller=callers)
    def ask_first(self, worker: int, caller: str) -> Asked:
        return self._handed_over(worker, caller)

    @rule(target=running, worker=workers, caller=callers)
    def ask_and_be_handed_over(self, worker: int, caller: str) -> Asked:
        return self._handed_over(worker, caller)

    @rule(worker=workers, caller=callers, kind=st.sampled_from(["quick", "busy", "cut"]))
    def ask(self, worker: int, caller: str, kind: str) -> None:
        """A call that ends by itself, after it was refused at first, or cut."""
        question = self._new(kind, worker, caller)
        result = self._ask(worker, caller, question)
        if found := re.search(
            r'answer_id "(ans_[\w-]{22})"', text_of(result)
        ):  # the server waits, or is slow
            asked = Asked(question, caller, worker, self._lives[worker], found[1], released=True)
            assert self._collected(asked, worker) == ("interrupted" if kind == "cut" else "whole")
            return
        assert text_of(result).startswith(TEXT if kind == "cut" else f"{TEXT}{question}.")
        assert self._upstream.asked[question] == (2 if kind == "busy" else 1)
        self._has_ended(question)

    @rule(worker=workers, caller=callers)
    def ask_and_go_away(self, worker: int, caller: str) -> None:
        question = self._new("slow", worker, caller)
        self._left.add(question)
        with suppress(httpx2.TimeoutException):
            self._ask(worker, caller, question, WAIT_S / 3)

    @rule(asked=running, worker=workers)
    def collect(self, asked: Asked, worker: int) -> None:
        """Whoever asked gets its own answer, as far as it is there; the other caller gets nothing."""
        (other,) = set(CALLERS) - {asked.caller}
        result = self._call(worker, other, "grok_result", answer_id=asked.answer_id)
        assert asked.question not in json.dumps(result)
        assert outcome_of(result) in (("overloaded",) if self._away else ("answer_not_found",))
        outcome = self._collected(asked, worker)
        assert outcome in self._possible(asked, worker), (outcome, asked, worker)
        if outcome == "whole" and worker != asked.worker:
            asked.shared = True

    def _possible(self, asked: Asked, worker: int) -> set[str]:
        """What may become of collecting a call there."""
        so_far = "whole" if asked.released else "running"
        at_home, alive = self._is_at_home(asked, worker), self._lives[asked.worker] == asked.life
        if not self.redis:
            return {so_far} if at_home else {"answer_not_found"}
        if at_home and not asked.released:
            return {so_far}
        if self._away:
            return {"overloaded", so_far} if at_home else {"overloaded"}
        if asked.gone:
            return {"answer_not_found"}
        if asked.shared:
            return {"whole"}
        here = {so_far} if alive else {so_far, "running", "interrupted"}
        return here | ({"answer_not_found"} if asked.lost else set())

    def _is_at_home(self, asked: Asked, worker: int) -> bool:
        return worker == asked.worker and self._lives[worker] == asked.life

    # ------------------------------------------------------------------ endpoint, operator, clock

    @rule(asked=running)
    def end(self, asked: Asked) -> None:
        """The endpoint writes to the end."""
        asked.released = True
        self._portal.call(self._upstream.held[asked.question].release.set)

    @rule(worker=workers)
    def deploy(self, worker: int) -> None:
        """What the server has in flight is interrupted; what has ended is there still, where it is shared."""
        self._servers[worker].close()
        assert self._served[worker].status() == 0
        self._start_anew(worker)

    @rule(worker=workers)
    def kill(self, worker: int) -> None:
        here = (worker, self._lives[worker])
        asked_here = {question for question, place in self._asked_at.items() if place == here}
        self._killed |= asked_here - self._rows("calls")
        self._served[worker].process.kill()
        self._servers[worker].close()
        self._start_anew(worker)

    def _start_anew(self, worker: int) -> None:
        self._lives[worker] += 1
        self._served[worker] = self._start(worker)

    @precondition(lambda self: self.redis and not self._away)
    @rule()
    def lose_redis(self) -> None:
        assert self.redis
        self.redis.kill()
        self._away = True
        self._take_away()

    @precondition(lambda self: self._away)
    @rule()
    def get_redis_back(self) -> None:
        assert self.redis
        self.redis.start()
        self._away = False

    @precondition(lambda self: self.redis and not self._away)
    @rule(hours=st.booleans())
    def let_time_pass(self, hours: bool) -> None:
        """For Redis: all of its keys have less time left. Processes that run write again within seconds."""
        assert self.redis
        passed_s = LIFETIME_S if hours else SILENT_S + 1
        for name in self.redis.names():
            self.redis.ask("PEXPIRE", name, int(self.redis.ask("PTTL", name) - 1000 * passed_s))
        if hours:
            self._take_away()

    def _take_away(self) -> None:
        """Redis has no answer any more."""
        for asked in self._all:
            if asked.shared or self._lives[asked.worker] != asked.life:
                asked.gone = True
            asked.lost, asked.shared = True, False

    # ------------------------------------------------------------------ what holds at any time

    @invariant()
    def no_question_is_answered_twice(self) -> None:
        assert max(self._upstream.billed.values(), default=0) <= 1
        for question, posts in self._upstream.asked.items():
            assert posts <= (2 if question.startswith("busy") else 1), question

    @invariant()
    def what_the_endpoint_got_is_in_the_ledger(self) -> None:
        """Each question has one row, with its caller; only for what nobody waited for was nothing sent."""
        got = set(self._upstream.asked)  # before the rows: each was written before its request went out
        mine = [row for row in query(BEGUN) if row["model_asked"] in self._asked_by] if got else []
        assert max(Counter(row["model_asked"] for row in mine).values(), default=0) <= 1
        assert all(row["caller"] == self._asked_by[row["model_asked"]] for row in mine)
        recorded = {row["model_asked"] for row in mine}
        assert got <= recorded
        assert recorded - set(self._upstream.asked) <= self._left

    def _rows(self, table: str) -> set[str]:
        found = {row["model_asked"] for row in query(f"SELECT model_asked FROM {table}")}
        return found & self._asked_by.keys()

    def _has_ended(self, question: str) -> None:
        assert question in self._rows("calls"), "an answer was delivered before its row had ended"

    # ------------------------------------------------------------------ how it is done

    def _start(self, worker: int) -> Served:
        variables: dict[str, Any] = {
            "GROK_MCP_TOKEN_FILE": str(self.folder / "tokens"),
            "GROK_MCP_WAIT": str(WAIT_S),
            "GROK_MCP_GRACE": "0.1",
        }
        if self.redis:
            variables["GROK_MCP_REDIS_URL"] = self.redis.url
        return self._servers[worker].enter_context(serving(self._endpoint.url, **variables))

    def _new(self, kind: str, worker: int, caller: str) -> str:
        Life.questions += 1
        question = f"{kind}-{Life.questions}"
        self._asked_by[question] = caller
        self._asked_at[question] = (worker, self._lives[worker])
        return question

    def _ask(self, worker: int, caller: str, question: str, timeout_s: float = END_S) -> Any:
        return self._call(worker, caller, "ask_grok", timeout_s, prompt="Hi", model=question)

    def _call(self, worker: int, caller: str, tool: str, timeout_s: float = END_S, **arguments: Any) -> Any:
        sent = modern(1, "tools/call", name=tool, arguments=arguments)
        sent["headers"]["Authorization"] = f"Bearer {self.tokens[caller]}"
        timeout_s *= slowness() if timeout_s > WAIT_S else 1
        return httpx2.post(f"{self._served[worker].url}/mcp", timeout=timeout_s, **sent).json()["result"]

    def _handed_over(self, worker: int, caller: str) -> Asked:
        question = self._new("slow", worker, caller)
        result = self._ask(worker, caller, question)
        found = HANDLE.search(text_of(result))
        assert found, result
        asked = Asked(question, caller, worker, self._lives[worker], found[1], lost=self._away)
        self._all.append(asked)
        until(lambda: question in self._upstream.held)
        return asked

    def _collected(self, asked: Asked, worker: int) -> str:
        """How the call has ended, or how far it is; where it is about to end, how it has."""
        about_to_end = asked.released and self._lives[asked.worker] == asked.life
        result: Any = None

        def is_there() -> bool:
            nonlocal result
            result = self._call(worker, asked.caller, "grok_result", answer_id=asked.answer_id)
            return not (about_to_end and outcome_of(result) == "running")

        until(is_there)
        outcome, text = outcome_of(result), text_of(result)
        assert not set(re.findall(r"\w+-\d+", text)) & (self._asked_by.keys() - {asked.question}), text
        if outcome == "whole":
            assert text.startswith(f"{TEXT}{asked.question}.")
            self._has_ended(asked.question)
        return outcome


def text_of(result: Any) -> str:
    return "".join(block["text"] for block in result["content"] if block["type"] == "text")


def outcome_of(result: Any) -> str:
    """`whole`, `running` or `interrupted`, or the code of an error."""
    if result.get("isError"):
        return str(result["_meta"]["grok-mcp/error"]["code"])
    finish = result["_meta"]["grok-mcp/answer"]["finish_reason"]
    assert text_of(result).startswith(TEXT) or finish == "running"
    return "whole" if finish == "stop" else str(finish)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + END_S * slowness()
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[type[Life]]:
    made = {name: new_token(name) for name in CALLERS}
    (tmp_path / "tokens").write_text("".join(f"{line}\n" for _, line in made.values()))
    Life.folder, Life.redis = tmp_path, None
    Life.tokens = {name: token for name, (token, _) in made.items()}
    yield Life


def live(life: type[Life]) -> None:
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=STEPS,
            phases=[Phase.generate],  # a failure in so few steps needs no shorter example
            deadline=None,
            derandomize="GROK_TEST_LIVES" not in os.environ,
            print_blob=False,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_answer_is_paid_twice_or_read_by_another_whatever_happens_to_a_call(
    life: type[Life], redis: RedisServer
) -> None:
    life.redis = redis
    live(life)


def test_the_same_holds_without_redis_where_nothing_outlives_its_process(life: type[Life]) -> None:
    live(life)
