"""The life of a call, in any order of what can happen to it, on two servers that share a Redis.

Whatever happens, the endpoint answers no question twice, and nobody reads the answer to another's question.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from grok_mcp.serving.http.tokens import new_token
from tests.network.redis import RedisServer, redis
from tests.network.server import in_process, modern
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.pace import slowness

__all__ = ["redis"]

CALLERS = ("ann", "bob")
WORKERS = (0, 1)
WAIT_S = 0.15
TEXT = "It is question number "

workers, callers = st.sampled_from(WORKERS), st.sampled_from(CALLERS)


@dataclass
class Asked:
    """A call that was handed over, and what has happened to it since."""

    question: str
    caller: str
    worker: int
    answer_id: str
    released: bool = False
    stored: bool = True
    """Whether nothing has taken its answer away: no restart, no loss of Redis, no expiry."""
    shared: bool = False
    """Whether it has been seen in Redis as a whole, which no restart changes."""


class Upstream:
    """An endpoint that knows from a question how to answer it, and counts what it bills."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()
        self.held: dict[str, Reply] = {}

    def choose(self, request: Request) -> Reply:
        if request.body is None:
            return body({"data": []})
        question = request.body["messages"][-1]["content"]
        self.asked[question] += 1
        if question.startswith("busy") and self.asked[question] == 1:
            return body({"error": {"message": "No capacity"}}, 503)
        self.billed[question] += 1
        pieces = chat(TEXT, f"{question}.").pieces
        if question.startswith("cut"):
            return Reply(pieces[:1], end="cut")
        reply = Reply(pieces, hold=1 if question.startswith("slow") else None)
        self.held[question] = reply
        return reply


class Life(RuleBasedStateMachine):
    """What callers, the operator and the clock can do."""

    redis: RedisServer
    folder: Path
    tokens: dict[str, str]

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._upstream = Upstream()
        self._portal = self._stack.enter_context(start_blocking_portal())
        endpoint = Endpoint(choose=self._upstream.choose)
        self._endpoint = self._stack.enter_context(self._portal.wrap_async_context_manager(endpoint))
        self._servers = [ExitStack() for _ in WORKERS]
        self._urls = [self._start(worker) for worker in WORKERS]
        self._all: list[Asked] = []
        self._questions = 0
        self._away = False

    def teardown(self) -> None:
        """In the end each call is collected once more, everywhere."""
        for asked in self._all:
            self._release(asked)
        try:
            if self._away:
                self.get_redis_back()
            for asked in self._all[:2]:
                for worker in WORKERS:
                    self.collect(asked, worker)
        finally:
            self._close()
        assert max(self._upstream.billed.values(), default=0) <= 1

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._stack.close()
        self.redis.ask("FLUSHALL")

    def _start(self, worker: int) -> str:
        return self._servers[worker].enter_context(
            in_process(
                XAI_BASE_URL=self._endpoint.url,
                redis_url=self.redis.url,
                token_file=self.folder / "tokens",
                wait=WAIT_S,
                grace=0.1,
            )
        )

    def _new(self, kind: str) -> str:
        self._questions += 1
        return f"{kind} {self._questions}"

    def _call(self, worker: int, caller: str, tool: str, timeout_s: float, **arguments: Any) -> Any:
        sent = modern(1, "tools/call", name=tool, arguments=arguments)
        sent["headers"]["Authorization"] = f"Bearer {self.tokens[caller]}"
        response = httpx2.post(f"{self._urls[worker]}/mcp", timeout=timeout_s * slowness(), **sent)
        return response.json()["result"]

    def _release(self, asked: Asked) -> None:
        asked.released = True
        self._portal.call(self._upstream.held[asked.question].release.set)

    @rule(worker=workers, caller=callers, kind=st.sampled_from(["quick", "busy", "cut", "slow"]))
    def ask(self, worker: int, caller: str, kind: str) -> None:
        """A call that ends in time, refused at first or cut, or whose host goes away while it is written."""
        question = self._new(kind)
        if kind == "slow":
            with suppress(httpx2.TimeoutException):
                self._call(worker, caller, "ask_grok", WAIT_S / 3 / slowness(), prompt=question)
            return
        result = self._call(worker, caller, "ask_grok", 30, prompt=question)
        if "answer_id" in text_of(result):  # this machine was too slow
            return
        assert text_of(result).startswith(TEXT if kind == "cut" else f"{TEXT}{question}.")
        assert self._upstream.asked[question] == (2 if kind == "busy" else 1)

    @initialize(target=running, worker=workers, caller=callers)
    def ask_first(self, worker: int, caller: str) -> Asked:
        return self._handed_over(worker, caller)

    @rule(target=running, worker=workers, caller=callers)
    def ask_and_be_handed_over(self, worker: int, caller: str) -> Asked:
        return self._handed_over(worker, caller)

    def _handed_over(self, worker: int, caller: str) -> Asked:
        question = self._new("slow")
        result = self._call(worker, caller, "ask_grok", 30, prompt=question)
        found = re.search(r'answer_id "(ans_[\w-]{22})"', text_of(result))
        assert found, result
        asked = Asked(question, caller, worker, found[1], stored=not self._away)
        self._all.append(asked)
        return asked

    @rule(asked=running)
    def end(self, asked: Asked) -> None:
        """The endpoint writes to the end."""
        self._release(asked)

    @rule(asked=running, worker=workers)
    def collect(self, asked: Asked, worker: int) -> None:
        """Whoever asked gets its own answer, as far as it is there; the other caller gets nothing."""
        self._collect_as_another(asked, worker)
        result = self._call(worker, asked.caller, "grok_result", 60, answer_id=asked.answer_id)
        text = text_of(result)
        if result.get("isError"):
            code = result["_meta"]["grok-mcp/error"]["code"]
            at_home = worker == asked.worker and asked.stored
            assert code in ("answer_not_found", "overloaded", "interrupted"), text
            assert not at_home and not asked.shared, text
            assert code != "overloaded" or self._away
            return
        assert text.startswith(TEXT)
        others = set(re.findall(r"slow \d+", text)) - {asked.question}
        assert not others, text
        if asked.question in text:
            asked.shared = asked.shared or (worker != asked.worker and not self._away)
        else:
            assert not asked.shared
            finish = result["_meta"]["grok-mcp/answer"]["finish_reason"]
            assert finish in ("running", "interrupted")

    def _collect_as_another(self, asked: Asked, worker: int) -> None:
        (other,) = set(CALLERS) - {asked.caller}
        result = self._call(worker, other, "grok_result", 60, answer_id=asked.answer_id)
        assert asked.question not in json.dumps(result)
        code = result["_meta"]["grok-mcp/error"]["code"]
        assert code == "answer_not_found" or (code == "overloaded" and self._away)

    @precondition(lambda self: not self._away)
    @rule(asked=consumes(running))
    def expire(self, asked: Asked) -> None:
        """Its time is over, and that of all others: nobody finds it any more, once it has ended."""
        self._release(asked)
        if not asked.stored:
            return
        result: Any = None
        while result is None or "running" in json.dumps(result["_meta"]):
            result = self._call(1 - asked.worker, asked.caller, "grok_result", 60, answer_id=asked.answer_id)
        assert f"{asked.question}." in text_of(result)
        self._take_away()
        self.redis.ask("FLUSHALL")
        result = self._call(1 - asked.worker, asked.caller, "grok_result", 60, answer_id=asked.answer_id)
        assert result["_meta"]["grok-mcp/error"]["code"] == "answer_not_found"

    def _take_away(self) -> None:
        for asked in self._all:
            asked.stored = asked.shared = False

    @rule(worker=workers)
    def restart(self, worker: int) -> None:
        """A deployment: what the server had in flight is interrupted, and what had ended is there still."""
        self._servers[worker].close()
        for asked in self._all:
            if asked.worker == worker:
                asked.stored = False
        self._urls[worker] = self._start(worker)

    @precondition(lambda self: not self._away)
    @rule()
    def lose_redis(self) -> None:
        self.redis.kill()
        self._away = True
        self._take_away()

    @precondition(lambda self: self._away)
    @rule()
    def get_redis_back(self) -> None:
        self.redis.start()
        self._away = False

    @invariant()
    def no_question_was_answered_twice(self) -> None:
        assert max(self._upstream.billed.values(), default=0) <= 1


def text_of(result: Any) -> str:
    return "".join(block["text"] for block in result["content"])


@pytest.fixture
def life(redis: RedisServer, tmp_path: Path) -> Iterator[type[Life]]:
    made = {name: new_token(name) for name in CALLERS}
    (tmp_path / "tokens").write_text("".join(f"{line}\n" for _, line in made.values()))
    Life.redis, Life.folder = redis, tmp_path
    Life.tokens = {name: token for name, (token, _) in made.items()}
    yield Life


def test_no_answer_is_paid_twice_or_read_by_another_whatever_happens_to_a_call(life: type[Life]) -> None:
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=4,
            stateful_step_count=10,
            phases=[Phase.generate],  # a failure in so few steps needs no shorter example
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
