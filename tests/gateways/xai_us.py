"""xAI's US region: the same as everywhere, but that retired models are not there (docs.x.ai, regions)."""

from dataclasses import replace

from tests.gateways import xai, xai_form
from tests.gateways.table import Failure, Row, ask, at_responses
from tests.support.endpoint import body

ROWS: list[Row] = [
    *(replace(row, column="xai-us") for row in xai.ROWS if row.feature != "models"),
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
    ),
]
NOT_APPLICABLE = xai.NOT_APPLICABLE
