"""The sandbox speaks as xAI does, searches in every dialect, and says in each answer where it comes from."""

from dataclasses import replace

from tests.gateways import xai, xai_chat, xai_form
from tests.gateways.chat_form import user
from tests.gateways.table import Call, Failure, Json, Row, answer, at_chat, at_responses, cited, search, today
from tests.support.endpoint import Reply

NOTICE = "This answer comes from the built-in sandbox, not from Grok."


def noticed(call: Call) -> Call:
    """The same call with the notice: behind what is said of the request, before what is said of the model."""
    if isinstance(call.gives, Failure):
        return call
    said = call.gives.get("warnings", [])
    of_model = [warning for warning in said if warning.startswith("The model ")]
    of_request = [warning for warning in said if warning not in of_model]
    return replace(call, gives={**call.gives, "warnings": [*of_request, NOTICE, *of_model]})


def refused_search(status: int, refused: Reply) -> Row:
    live = at_chat(
        xai_chat.SHAPE.asked(
            {"role": "system", "content": today()},
            user("Tram?"),
            search_parameters={"mode": "on", "return_citations": True},
        ),
        xai_chat.stream({"content": "It slipped."}, citations=["https://news.example/launch"]),
    )
    slipped: Json = answer(
        "It slipped.",
        "grok-4.7",
        searched=True,
        citations=[cited(1, "https://news.example/launch", "news.example/launch")],
        warnings=[NOTICE],
    )
    switched = "The endpoint does not search by responses; search_parameters was used."
    return Row(
        "sandbox",
        f"search refused with {status}",
        (
            search(
                {},
                at_responses(xai_form.searched(), refused),
                live,
                gives={**slipped, "warnings": [switched, NOTICE]},
            ),
            search({}, live, gives=slipped),
        ),
    )


ROWS: list[Row] = [
    *(
        replace(row, column="sandbox", calls=tuple(noticed(call) for call in row.calls))
        for row in xai.ROWS
        if not row.feature.startswith("search refused")
    ),
    refused_search(410, xai_form.GONE),
    refused_search(422, xai_form.UNKNOWN_TOOL),
    refused_search(404, xai_form.NOT_FOUND),
]
NOT_APPLICABLE = xai.NOT_APPLICABLE
