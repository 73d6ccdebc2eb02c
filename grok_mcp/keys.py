"""What can be wrong with an API key, as far as that shows before it is used."""

import re

_PLACEHOLDER = re.compile(
    r"\$\{.*\}|\$[A-Za-z_]\w*|\{\{.*\}\}|%\w+%|<.*>|your[-_ ].*(?:key|token).*|xai-\.{3}|xai-your.*",
    re.IGNORECASE,
)


def fault_of(key: str) -> str | None:
    """What is wrong with a key, None for one that can be sent."""
    if not key:
        return "is empty"
    if _PLACEHOLDER.fullmatch(key):
        return "holds a placeholder that the host did not replace by the key"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds characters that are in no key"
    return None
