"""What the sandbox answers, in the words of neither dialect: a `Question` becomes a `Reply`."""

from grok_mcp.sandbox.answering.question import Question
from grok_mcp.sandbox.answering.reply import Reply, make_reply
from grok_mcp.sandbox.answering.usage import PromptCache

__all__ = ["PromptCache", "Question", "Reply", "make_reply"]
