"""No JSON that an endpoint can send, however wrong its types, becomes anything but an answer or an error."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings, strategies as st

from grok_mcp.dialects import parse
from grok_mcp.endpoint.error_bodies import read_error_payload
from grok_mcp.endpoint.failures import Endpoint, classify
from grok_mcp.gateways import GATEWAYS
from grok_mcp.messages import ChatRequest, Search
from grok_mcp.pipeline.answer import build_answer
from grok_mcp.pipeline.fold import Fold
from grok_mcp.rendering.markdown import as_markdown
from tests.support.payloads import PAYLOADS, payloads_of

Path = tuple[str | int, ...]

STREAMS = [payloads_of(path.name) for path in sorted(PAYLOADS.glob("*.sse"))]
BODIES = [
    json.loads((PAYLOADS / file).read_text(encoding="utf-8"))
    for file in (
        "03_chat_legacy_live_search_response.json",
        "06_responses_web_search_nonstream.json",
        "13c_stream_requested_but_json_returned.json",
    )
]
ERRORS = json.loads((PAYLOADS / "09_errors_all_shapes.json").read_text(encoding="utf-8"))
DOCUMENTS = [*STREAMS, *([one] for one in BODIES), *([case["body"]] for case in ERRORS if case["body"])]

wrong: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "x", "5", [], {}, [1], {"a": 1}, [{}], 10**30, float("nan"), "\ud800"]
)


def paths(node: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(node, dict):
        for name, child in node.items():
            yield from paths(child, (*path, name))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from paths(child, (*path, number))


def put(document: list[Any], path: Path, value: Any) -> list[Any]:
    changed = copy.deepcopy(document)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return changed


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_wrong_value_in_any_place_still_gives_an_answer_or_an_error_that_can_be_sent(
    data: st.DataObject,
) -> None:
    document: list[Any] = data.draw(st.sampled_from(DOCUMENTS))
    changed = put(document, data.draw(st.sampled_from(list(paths(document))[1:])), data.draw(wrong))
    fold = Fold(clean=data.draw(st.booleans()))
    for payload in changed:
        for event in parse(payload) if isinstance(payload, dict) else ():
            fold.add(event)
    if fold.failure:
        assert classify(read_error_payload(fold.failure.payload), Endpoint("x")).text.startswith("[")
    request = ChatRequest("grok-4.7", (), search=Search())
    answer = build_answer(fold, request, GATEWAYS["generic"], broken=data.draw(st.booleans()))
    assert json.dumps(answer.to_dict(), ensure_ascii=False).encode()
    assert as_markdown(answer).encode()
