"""What each column of the feature table shows: the rows of a gateway, and why a feature is missing there."""

from collections.abc import Mapping
from dataclasses import replace

from tests.gateways import xai, xai_form
from tests.gateways.chat_form import by_live_search, rows_of, slipped
from tests.gateways.chat_table import CHAT_GATEWAYS, XAI_CHAT
from tests.gateways.table import Call, Failure, Row, ask, at_responses, search
from tests.support.endpoint import Reply, body

# xAI's US region: the same as everywhere, but that retired models are not there, and that searches leave it
# (docs.x.ai, regions). A model is named in the settings: where none is, test_us.py has what its list decides.

LEAVES = (
    "Searches, code and documents leave the region: the guarantee of this endpoint's place does not "
    "cover what runs there beside the model."
)


def regional(call: Call) -> Call:
    """The same call with the note on searches, behind what is said of the request."""
    if isinstance(call.gives, Failure) or "web_search" not in str(call.exchanges[-1].body.get("tools")):
        return call
    return replace(call, gives={**call.gives, "warnings": [*call.gives.get("warnings", []), LEAVES]})


XAI_US = [
    *(
        replace(
            row,
            column="xai-us",
            calls=tuple(map(regional, row.calls)),
            settings={"model": "grok-4.7", **row.settings},
        )
        for row in xai.ROWS
        if row.feature != "models"
    ),
    Row(
        "xai-us",
        "models",
        (
            xai_form.with_model("grok-4.7", "grok-4.7"),
            ask(
                {"model": "grok-3"},
                at_responses(
                    xai_form.asked(model="grok-3"),
                    body(
                        {
                            "code": "not-found",
                            "error": "The model grok-3 does not exist or your team has no access to it.",
                        },
                        status=404,
                    ),
                ),
                gives=Failure("model_not_found", "The model grok-3 does not exist"),
            ),
        ),
        settings={"model": "grok-4.7"},
    ),
]


# The sandbox speaks as xAI does, searches in every dialect, and says in each answer where it comes from.

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
    """Server tools are refused; `search_parameters` follows, from then on at once."""
    live = by_live_search(XAI_CHAT)
    switched = "The endpoint does not search by responses; search_parameters was used."
    first = search(
        {}, at_responses(xai_form.searched(), refused), live, gives=slipped(XAI_CHAT, switched, NOTICE)
    )
    second = search({}, live, gives=slipped(XAI_CHAT, NOTICE))
    return Row("sandbox", f"search refused with {status}", (first, second))


SANDBOX = [
    *(
        replace(row, column="sandbox", calls=tuple(noticed(call) for call in row.calls))
        for row in xai.ROWS
        if not row.feature.startswith("search refused")
    ),
    refused_search(410, xai_form.GONE),
    refused_search(422, xai_form.UNKNOWN_TOOL),
    refused_search(404, xai_form.NOT_FOUND),
]

COLUMNS: Mapping[str, tuple[list[Row], Mapping[str, str]]] = {
    "xai": (xai.ROWS, xai.NOT_APPLICABLE),
    "xai-us": (XAI_US, xai.NOT_APPLICABLE),
    **{gateway.column: (rows_of(gateway), gateway.not_applicable) for gateway in CHAT_GATEWAYS},
    "sandbox": (SANDBOX, xai.NOT_APPLICABLE),
}
