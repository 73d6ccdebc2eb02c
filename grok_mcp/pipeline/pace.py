"""What the last calls took, so that one can be expected to be slow before it goes out."""

from collections import OrderedDict, deque
from statistics import median
from typing import NamedTuple

SLOW_S = 20.0
"""What takes longer is better waited for in the background."""
MIN_CALLS, MAX_CALLS = 3, 8
MAX_KINDS = 200

_SLOW_EFFORTS = ("high", "xhigh")


class Kind(NamedTuple):
    """Calls that take about as long as each other."""

    tool: str
    model: str
    effort: str
    searches: bool = False


class Pace:
    """The seconds that the last calls of each kind took, in this process."""

    def __init__(self) -> None:
        self._taken: OrderedDict[Kind, deque[float]] = OrderedDict()

    def note(self, kind: Kind, seconds: float) -> None:
        """Keep what one more call took that came to its end."""
        taken = self._taken.setdefault(kind, deque(maxlen=MAX_CALLS))
        taken.append(seconds)
        self._taken.move_to_end(kind)
        if len(self._taken) > MAX_KINDS:
            self._taken.popitem(last=False)

    def is_slow(self, kind: Kind) -> bool:
        """Whether a call is expected to be slow: by its nature, or because the last ones of its kind were."""
        if kind.searches or kind.effort in _SLOW_EFFORTS or "multi-agent" in kind.model:
            return True
        taken = self._taken.get(kind, ())
        return len(taken) >= MIN_CALLS and median(taken) > SLOW_S
