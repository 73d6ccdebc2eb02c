"""Answers that are kept for their caller to collect: handed over while they ran, or too long for one result.

`runs.py` keeps them here when they are complete; `redis_held.py` has the store of several processes. They
belong to the caller who got their `answer_id`, expire, and only the newest are kept.
"""

import copy
import secrets
from typing import ClassVar, Protocol

from cachetools import TTLCache

from grok_mcp.errors import AnswerNotFoundError, GrokError, InterruptedAnswerError
from grok_mcp.messages import Answer
from grok_mcp.pipeline.turn import Observer

MAX_ANSWERS = 1_000
MAX_CHARACTERS = 64_000_000
LIFETIME_S = 3600

Outcome = Answer | GrokError
"""How a call ends; an answer whose finish reason is `running` has not ended yet."""


class HeldAnswers(Protocol):
    """Where complete answers are kept."""

    shared: ClassVar[bool]
    """Whether other processes can serve what is kept here, so that they are told of running calls too."""

    async def keep(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended, or how far it has come; False where it can't be stored at the moment."""
        ...

    async def find(
        self, answer_id: str, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome | None:
        """What is stored, None where there is nothing; waits for a call that another process runs."""
        ...


def new_answer_id() -> str:
    """A name that nobody can guess."""
    return f"ans_{secrets.token_urlsafe(16)}"


def not_found() -> AnswerNotFoundError:
    """The error for an id that leads nowhere, the same whatever the reason."""
    return AnswerNotFoundError(
        "There is no answer with this answer_id, or it has expired.",
        "Call the tool again that it came from.",
    )


def interrupted() -> InterruptedAnswerError:
    """The error for a call that was ended before there was anything to return."""
    return InterruptedAnswerError(
        "The server that was waiting for this answer ended before it was complete.",
        "Ask again.",
        retryable=True,
    )


def fresh(outcome: Outcome) -> Outcome:
    """The same outcome; an error without the frames that it was raised in."""
    return copy.copy(outcome) if isinstance(outcome, GrokError) else outcome


class LocalHeldAnswers:
    """The store of one process, bounded in number, size and time."""

    shared: ClassVar[bool] = False

    def __init__(
        self,
        maximum: int = MAX_ANSWERS,
        lifetime_s: float = LIFETIME_S,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        smallest = max_characters // maximum  # what an answer counts at least bounds their number

        def size(outcome: Outcome) -> int:
            return min(max(_size(outcome), smallest), max_characters)

        self._kept: TTLCache[tuple[str, str], Outcome] = TTLCache(max_characters, lifetime_s, getsizeof=size)

    async def keep(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended."""
        self._kept[caller, answer_id] = fresh(outcome)
        return True

    async def find(
        self, answer_id: str, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome | None:
        """What is stored, None where there is nothing."""
        found = self._kept.get((caller, answer_id))
        return None if found is None else fresh(found)


def _size(outcome: Outcome) -> int:
    if isinstance(outcome, GrokError):
        return len(outcome.text)
    texts = (outcome.text, *outcome.alternatives, *(call.arguments for call in outcome.tool_calls))
    return sum(map(len, texts)) + 500 * len(outcome.citations)
