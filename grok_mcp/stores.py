"""What answers are kept in, so that callers can go on from them: conversations, and held answers."""

from grok_mcp.conversations import Conversations, LocalConversations
from grok_mcp.held import HeldAnswers, LocalHeldAnswers
from grok_mcp.settings import Settings


def open_stores(settings: Settings) -> tuple[Conversations, HeldAnswers]:
    """The stores that the settings ask for: of this process, or in a Redis that several share."""
    if settings.redis_url is None:
        return LocalConversations(), LocalHeldAnswers()
    from grok_mcp.redis_held import RedisHeldAnswers  # an extra, for servers of several processes
    from grok_mcp.redis_store import RedisConversations

    conversations = RedisConversations(settings.redis_url.get_secret_value())
    return conversations, RedisHeldAnswers(conversations.redis)
