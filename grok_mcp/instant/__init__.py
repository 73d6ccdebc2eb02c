"""The first answers on stdio: from data, with the standard library alone, while a thread loads the server.

See docs/decisions/0022-first-answers-from-data.md. Nothing here imports the rest of the package, or anything
that takes long: a host has its list of tools before the SDK would be half loaded. What is not known here, to
the letter, is left to the server, which is told all that was said (`Begun`).
"""

from grok_mcp.instant.data import (
    ANSWERS as ANSWERS,
    MAY_CHANGE as MAY_CHANGE,
    PLAIN as PLAIN,
    WITH_CARDS as WITH_CARDS,
)
from grok_mcp.instant.start import Begun as Begun, begin as begin
