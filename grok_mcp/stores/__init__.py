"""What callers come back for: conversations to go on from, and answers to collect, each behind a handle.

They belong to the caller who got the handle, and expire. One process keeps them in memory; several share a
Redis.
"""

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


def open_stores(settings: Settings) -> tuple[ConversationStore, AnswerStore]:
    """The stores that the settings ask for: of this process, or in a Redis that several share."""
    if settings.redis_url is None:
        return LocalConversations(), LocalAnswers()
    from grok_mcp.stores.redis_answers import RedisAnswers  # an extra, for servers of several processes
    from grok_mcp.stores.redis_conversations import RedisConversations

    conversations = RedisConversations(settings.redis_url.get_secret_value())
    return conversations, RedisAnswers(conversations.redis)
