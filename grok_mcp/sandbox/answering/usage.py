"""Counts tokens, remembers what is cached, and bills in whole ticks (10,000,000,000 are 1 USD)."""

from dataclasses import dataclass
from itertools import takewhile

from grok_mcp.models import LONG_CONTEXT_TOKENS, Model
from grok_mcp.sandbox.answering.models import ticks
from grok_mcp.sandbox.answering.question import Question, Turn
from grok_mcp.sandbox.answering.text import count_tokens

CALL_TICKS = 50_000_000
"""A web search, a run of code, or an X post that was read: 5 USD per 1,000."""

LIVE_SOURCE_TICKS = 250_000_000
"""A source of the legacy live search: 0.025 USD."""

MAX_CONVERSATIONS = 256
TOKENS_PER_IMAGE = 256


@dataclass(frozen=True)
class Usage:
    """What an answer used; `input_tokens` includes the cached ones and those of images."""

    input_tokens: int
    cached_tokens: int
    image_tokens: int
    reasoning_tokens: int
    text_tokens: int
    web_calls: int = 0
    x_calls: int = 0
    code_calls: int = 0
    posts: int = 0
    live_sources: int = 0

    @property
    def output_tokens(self) -> int:
        """Text and reasoning together."""
        return self.reasoning_tokens + self.text_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def ticks(self, model: Model) -> int:
        """What it costs."""
        tokens = (
            (self.input_tokens - self.cached_tokens) * ticks(model.input_usd)
            + self.cached_tokens * ticks(model.cached_usd)
            + self.output_tokens * ticks(model.output_usd)
        )
        if self.input_tokens >= LONG_CONTEXT_TOKENS:
            tokens *= 2
        calls = self.web_calls + self.posts + self.code_calls
        return tokens + calls * CALL_TICKS + self.live_sources * LIVE_SOURCE_TICKS


def count_turn(turn: Turn) -> int:
    """The tokens of one message."""
    return count_tokens(turn.text) + turn.images * TOKENS_PER_IMAGE


class PromptCache:
    """The last messages of each conversation; a repeated beginning of them is cached."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, ...]] = {}

    def cached_tokens(self, question: Question) -> int:
        """The tokens that an earlier request of the conversation began with as well."""
        if not question.conversation:
            return 0
        marks = tuple(map(hash, question.turns))
        before = self._seen.pop(question.conversation, ())
        self._seen[question.conversation] = marks
        if len(self._seen) > MAX_CONVERSATIONS:
            del self._seen[next(iter(self._seen))]
        same = list(takewhile(lambda pair: pair[0] == pair[1], zip(marks, before, strict=False)))
        return sum(map(count_turn, question.turns[: len(same)]))
