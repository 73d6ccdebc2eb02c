"""What stands for a caller at xAI, so that what one does wrong is not held against all of a server.

xAI asks for a stable hash of each end user (docs.x.ai, as read until 2026-11-29). It is keyed, so that nobody
without the key can find out whose it is by trying names.
"""

import hashlib
import hmac

_PURPOSE = b"grok-mcp safety identifier\0"


def safety_identifier(caller: str, key: str) -> str:
    """64 characters: the same for the same caller and key, in every process and after every restart."""
    name = caller.encode("utf-8", "surrogatepass")
    return hmac.new(key.encode(), _PURPOSE + name, hashlib.sha256).hexdigest()
