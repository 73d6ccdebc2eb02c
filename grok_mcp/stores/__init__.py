"""What answers are kept in, so that callers can go on from them: conversations, and held answers."""

from grok_mcp.settings import Settings
from grok_mcp.stores.answers import HeldAnswers, LocalHeldAnswers
from grok_mcp.stores.conversations import Conversations, LocalConversations


def open_stores(settings: Settings) -> tuple[Conversations, HeldAnswers]:
    """The stores that the settings ask for: of this process, or in a Redis that several share."""
    if settings.redis_url is None:
        return LocalConversations(), LocalHeldAnswers()
    from grok_mcp.stores.redis_answers import RedisHeldAnswers  # an extra, for servers of several processes
    from grok_mcp.stores.redis_conversations import RedisConversations

    conversations = RedisConversations(settings.redis_url.get_secret_value())
    return conversations, RedisHeldAnswers(conversations.redis)
