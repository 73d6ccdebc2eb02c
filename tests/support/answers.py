"""Answers that are collected later: slow ones, and how a host comes back for them."""

import re
from typing import Any

from tests.support.endpoint import Reply, chat
from tests.support.host import Host, Result

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def slow(*texts: str, written: int = 1, **extra: Any) -> Reply:
    """An answer that stops after so many pieces until it is released."""
    return Reply(chat(*texts, **extra).pieces, hold=written)


def sentence(result: Result) -> tuple[str, int]:
    """The id and the offset that the result names in words."""
    found = re.search(r'call grok_result with answer_id "(ans_[\w-]{22})" and offset (\d+)\.', result.text)
    assert found is not None, result.text
    return found[1], int(found[2])


async def collected(host: Host, answer_id: str, offset: int = 0, **more: Any) -> Result:
    return await host.call("grok_result", answer_id=answer_id, offset=offset, **more)
