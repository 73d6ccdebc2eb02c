"""What callers come back for: conversations to go on from, and answers to collect, each behind a handle.

They belong to the caller who got the handle, and expire. One process keeps them in memory, and on stdio its
answers in a file besides; several share a Redis.
"""

from typing import TYPE_CHECKING

from grok_mcp.settings import Settings
from grok_mcp.stores.answers import (
    LIFETIME_S as LIFETIME_S,
    OFFERED_S as OFFERED_S,
    AnswerStore as AnswerStore,
    Held as Held,
    LocalAnswers,
    Name as Name,
    cancelled as cancelled,
    fresh as fresh,
    given_at as given_at,
    interrupted as interrupted,
    new_answer_id as new_answer_id,
    not_found as not_found,
)
from grok_mcp.stores.conversations import (
    Conversation as Conversation,
    ConversationStore as ConversationStore,
    LocalConversations,
)
from grok_mcp.stores.kept_answers import KeptAnswers

if TYPE_CHECKING:
    from grok_mcp.stores.redis import RedisAccess
    from grok_mcp.stores.shell_conversations import ShellConversations


def open_shell_conversations(settings: Settings) -> "ShellConversations | None":
    """The conversations that outlive a call from a shell, None where none may, or can."""
    if settings.keep == "off":
        return None
    try:
        from grok_mcp.stores.shell_conversations import ShellConversations
    except ImportError:  # a Python without SQLite
        return None
    return ShellConversations(settings.state_dir)


def shell_stores(kept: "ShellConversations | None") -> tuple[ConversationStore, AnswerStore]:
    """The stores of a call from a shell, which nobody comes back to for its answer."""
    return kept or LocalConversations(), LocalAnswers()


def open_stores(settings: Settings) -> tuple[ConversationStore, AnswerStore]:
    """The stores that the settings ask for: of this process, with a file on stdio, or in a shared Redis."""
    if settings.redis_url is None:
        keeps = settings.transport == "stdio" and settings.keep == "on"
        return LocalConversations(), KeptAnswers(settings.state_dir) if keeps else LocalAnswers()
    from grok_mcp.stores.redis_answers import RedisAnswers  # an extra, for servers of several processes
    from grok_mcp.stores.redis_conversations import RedisConversations

    conversations = RedisConversations(settings.redis_url.get_secret_value())
    return conversations, RedisAnswers(conversations.redis)


def open_redis(url: str, *, away: str, back: str) -> "RedisAccess":
    """Access to Redis for what is no store; `away` and `back` say in the log what follows from either."""
    from grok_mcp.stores.redis import RedisAccess

    return RedisAccess(url, away, back)
