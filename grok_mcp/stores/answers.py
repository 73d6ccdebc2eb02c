"""Answers that their caller collects later: handed over while they ran, or too long for one result.

They belong to the caller who got their `answer_id`, expire, and where there are too many, the caller who
holds most loses the oldest.
`kept_answers.py` has the store on stdio, `redis_answers.py` that of several processes on a network.
"""

import base64
import copy
import secrets
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from grok_mcp.errors import AnswerNotFoundError, CancelledCallError, GrokError, InterruptedAnswerError
from grok_mcp.events import Observer
from grok_mcp.messages import Answer, Outcome, Running
from grok_mcp.stores.shares import Shares

MAX_ANSWERS = 1_000
MAX_CHARACTERS = 64_000_000
LIFETIME_S = 3600
OFFERED_S = 600
"""How long a call that was handed over, and that nobody has collected, answers the same call again."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
"""How long who waits for a call of another process pauses between two looks at it."""
_TIME_BYTES = 5

T = TypeVar("T", bound=Outcome)


Name = tuple[str, str]
"""A caller and an `answer_id`."""


class Held(NamedTuple):
    """What is stored under a name, and when it was written, in seconds since the epoch."""

    outcome: Outcome
    at: float


class AnswerStore(Protocol):
    """Where answers wait to be collected."""

    shared: ClassVar[bool]
    """Whether other processes can serve what is stored here, so that they hear of running calls too."""

    elsewhere: ClassVar[bool]
    """Whether other processes serve it now, so that a call may be handed over while this one ends."""

    @property
    def lasts(self) -> bool:
        """Whether what is stored outlives this process, as far as is known at the moment."""
        ...

    @property
    def number(self) -> int | None:
        """How many answers are stored, None where that is not this process's to know."""
        ...

    async def put(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended, or how far it has come; False where it can't be stored at the moment."""
        ...

    async def get(
        self, answer_id: str, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome | None:
        """What is stored, None where there is nothing; waits for a call that another process runs."""
        ...

    async def look(self, answer_id: str, caller: str) -> Held | None:
        """What is stored, at once; a call whose process is gone has ended."""
        ...

    async def request_cancel(self, answer_id: str, caller: str) -> None:
        """Ask the process that runs a call to end it."""
        ...

    async def cancel_requests(self, running: Collection[Name]) -> Collection[Name]:
        """Which of the calls that this process runs another one was asked to end."""
        ...

    async def offer(self, request: str, caller: str, answer_id: str) -> None:
        """Let other processes find a call by what it was asked, as long as nobody has got its answer."""
        ...

    async def offered(self, request: str, caller: str) -> str | None:
        """The call of another process that answers the same request, if there is one."""
        ...

    async def withdraw(self, answer_id: str, caller: str) -> None:
        """No longer offer a call: somebody has got its answer."""
        ...

    def tidy(self) -> None:
        """Drop what has expired where nothing else does; does not wait."""
        ...

    async def aclose(self) -> None:
        """Let go of what is open, within a second or so."""
        ...


def new_answer_id() -> str:
    """A name that nobody can guess: hundredths of a second since the epoch, and 88 bits of chance."""
    name = int(time.time() * 100).to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(11)
    return "ans_" + base64.urlsafe_b64encode(name).decode().rstrip("=")


def given_at(answer_id: str) -> float:
    """When a name of ours was given, in seconds since the epoch; 0 for any other."""
    with suppress(ValueError):
        name = base64.urlsafe_b64decode(answer_id.removeprefix("ans_") + "==")
        return int.from_bytes(name[:_TIME_BYTES], "big") / 100
    return 0.0


def not_found() -> AnswerNotFoundError:
    """The error for an id that leads nowhere, the same whatever the reason."""
    return AnswerNotFoundError(
        "There is no answer with this answer_id, or it has expired.",
        "Call the tool that it came from again.",
    )


def interrupted() -> InterruptedAnswerError:
    """The error for a call that was ended before there was anything to return."""
    return InterruptedAnswerError(
        "The server that was waiting for this answer ended before it was complete.",
        "Ask again.",
    )


def cancelled() -> CancelledCallError:
    """The error for a call that its caller has ended."""
    return CancelledCallError("The caller has cancelled this call.", "Call the tool again if it is needed.")


def given_up(running: Running, why: str) -> Answer | InterruptedAnswerError:
    """What came before the process that received it was gone; `why` is a sentence."""
    if running.as_data or not running.text:
        return interrupted()
    warning = f"The answer is incomplete: [interrupted] {why}"
    return Answer(text=running.text, finish_reason="interrupted", model=running.model, warnings=(warning,))


def silent(seconds: float) -> str:
    """Why a call is given up whose process may be gone."""
    return f"The process of this server that received it has not been heard of for {seconds:g} s."


def fresh(outcome: T) -> T:
    """The same outcome; an error without the frames that it was raised in."""
    return copy.copy(outcome) if isinstance(outcome, GrokError) else outcome


class LocalAnswers:
    """The store of one process, bounded in number, size and time, with a share for each caller."""

    shared: ClassVar[bool] = False
    elsewhere: ClassVar[bool] = False
    lasts: ClassVar[bool] = False

    def __init__(
        self,
        maximum: int = MAX_ANSWERS,
        lifetime_s: float = LIFETIME_S,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._stored: Shares[Held, Held] = Shares(
            maximum, max_characters, lifetime_s, lambda held: (held,), lambda held: _size(held.outcome)
        )

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._stored)

    async def put(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended; False where others leave no room for one so large."""
        if isinstance(outcome, Answer):
            outcome = replace(outcome, reasoning=())  # only the next turn of a conversation needs it
        return self._stored.put(caller, answer_id, Held(fresh(outcome), time.time()))

    async def get(
        self, answer_id: str, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome | None:
        """What is stored, None where there is nothing."""
        held = await self.look(answer_id, caller)
        return held.outcome if held else None

    async def look(self, answer_id: str, caller: str) -> Held | None:
        """What is stored, None where there is nothing."""
        held = self._stored.get(caller, answer_id)
        return held and held._replace(outcome=fresh(held.outcome))

    async def request_cancel(self, answer_id: str, caller: str) -> None:
        """Nothing: all calls run in this process."""

    async def cancel_requests(self, running: Collection[Name]) -> Collection[Name]:
        """None: all calls run in this process."""
        return ()

    async def offer(self, request: str, caller: str, answer_id: str) -> None:
        """Nothing: there is no other process."""

    async def offered(self, request: str, caller: str) -> str | None:
        """None: there is no other process."""
        return None

    async def withdraw(self, answer_id: str, caller: str) -> None:
        """Nothing: there is no other process."""

    def tidy(self) -> None:
        """Nothing: the memory does so by itself."""

    async def aclose(self) -> None:
        """Nothing: there is nothing open."""


def _size(outcome: Outcome) -> int:
    if not isinstance(outcome, Answer):
        return len(outcome.text)
    calls = (call.arguments for call in outcome.tool_calls)
    texts = (outcome.text, *outcome.alternatives, *calls, *outcome.search_queries, *outcome.warnings)
    ran = (text for run in outcome.code_runs for text in (run.code, run.output, *run.images))
    did = (text for step in outcome.steps for text in (*step.queries, step.url, step.pattern, step.name))
    listed = 500 * (len(outcome.citations) + len(outcome.documents)) + 20 * sum(
        5 + len(step.met) for step in outcome.steps
    )
    return sum(map(len, (*texts, *ran, *outcome.pages_read, *did))) + listed
