"""Answers that their caller collects later: handed over while they ran, or too long for one result.

They belong to the caller who got their `answer_id`, expire, and where there are too many, the caller who
holds most loses the oldest.
`redis_answers.py` has the store that several processes share.
"""

import copy
import secrets
from dataclasses import replace
from typing import ClassVar, Protocol, TypeVar

from grok_mcp.errors import AnswerNotFoundError, GrokError, InterruptedAnswerError
from grok_mcp.events import Observer
from grok_mcp.messages import Answer, Outcome
from grok_mcp.stores.shares import Shares

MAX_ANSWERS = 1_000
MAX_CHARACTERS = 64_000_000
LIFETIME_S = 3600

T = TypeVar("T", bound=Outcome)


class AnswerStore(Protocol):
    """Where answers wait to be collected."""

    shared: ClassVar[bool]
    """Whether other processes can serve what is stored here, so that they hear of running calls too."""

    async def put(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended, or how far it has come; False where it can't be stored at the moment."""
        ...

    async def get(
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
    )


def fresh(outcome: T) -> T:
    """The same outcome; an error without the frames that it was raised in."""
    return copy.copy(outcome) if isinstance(outcome, GrokError) else outcome


class LocalAnswers:
    """The store of one process, bounded in number, size and time, with a share for each caller."""

    shared: ClassVar[bool] = False

    def __init__(
        self,
        maximum: int = MAX_ANSWERS,
        lifetime_s: float = LIFETIME_S,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._stored: Shares[Outcome, Outcome] = Shares(
            maximum, max_characters, lifetime_s, lambda outcome: (outcome,), _size
        )

    async def put(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended; False where others leave no room for one so large."""
        if isinstance(outcome, Answer):
            outcome = replace(outcome, reasoning=())  # only the next turn of a conversation needs it
        return self._stored.put(caller, answer_id, fresh(outcome))

    async def get(
        self, answer_id: str, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome | None:
        """What is stored, None where there is nothing."""
        outcome = self._stored.get(caller, answer_id)
        return None if outcome is None else fresh(outcome)


def _size(outcome: Outcome) -> int:
    if not isinstance(outcome, Answer):
        return len(outcome.text)
    calls = (call.arguments for call in outcome.tool_calls)
    texts = (outcome.text, *outcome.alternatives, *calls, *outcome.search_queries, *outcome.warnings)
    return sum(map(len, texts)) + 500 * len(outcome.citations)
