"""The table of gateways that speak chat completions: what differs between them, one record each.

`chat_form.py` makes their rows. To add one, add a record to `CHAT_GATEWAYS`, with facts from its own pages.
"""

import json

from tests.gateways.chat_form import (
    EVERYTHING_SENT,
    LIVE,
    LIVE_SEARCH_IS_GONE,
    ChatGateway,
    Counted,
    by_live_search,
    by_tools,
    first_first,
    in_a_body,
    in_a_counted_body,
    last_first,
    last_first_in_a_body,
    option_rows,
    refused_tools,
    slipped,
)
from tests.gateways.shapes import FOUND, FOUND_TEXT, found, lines, message, response_stream, whole_calls
from tests.gateways.table import (
    ESTIMATED,
    KEY,
    NO_SEARCH_RAN,
    NO_SOURCES,
    Call,
    Failure,
    Json,
    Row,
    answer,
    ask,
    at_chat,
    at_responses,
    cited,
    search,
    today,
)
from tests.support.endpoint import Reply, body, events


def openai_error(words: str, param: str | None) -> Json:
    return {
        "error": {"message": words, "type": "invalid_request_error", "param": param, "code": None},
    }


def found_by_tools(gateway: ChatGateway) -> Call:
    return search({}, by_tools(gateway), gives=answer(FOUND_TEXT, gateway.model, **FOUND))


# xAI, as GROK_MCP_DIALECT=chat_completions asks for (docs.x.ai, REST reference).


def xai_searches(xai: ChatGateway) -> list[Call]:
    """By the Responses API, whichever dialect the setting asks for."""
    sent = {
        "model": "grok-4.7",
        "input": [{"role": "system", "content": today()}, {"role": "user", "content": "Tram?"}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
        "prompt_cache_key": KEY,
        "tool_choice": "required",
        "tools": [{"type": "web_search"}, {"type": "x_search"}],
    }
    gives = answer(FOUND_TEXT, "grok-4.7", **FOUND)
    return [search({}, at_responses(sent, found("grok-4.7")), gives=gives)]


def xai_two_answers(xai: ChatGateway) -> Counted:
    """The second one first, and the ends behind both."""
    deltas = ({"role": "assistant", "content": "No."}, 1), ({"role": "assistant", "content": "Yes."}, 0)
    chunks = [xai.chunk_of(xai.choice_of(delta, index=index)) for delta, index in deltas]
    return events(*chunks, *(xai.chunk_of(xai.choice_of({}, "stop", index)) for index in (1, 0))), None


def xai_counting(xai: ChatGateway) -> list[Reply]:
    """Behind the end without a choice, and in the end."""
    begun = xai.chunk_of(xai.choice_of({"role": "assistant", "content": "Hi."}))
    ended = xai.chunk_of(xai.choice_of({}, "stop"), usage=xai.usage)
    return [xai.stream({"content": "Hi."}, usage=xai.usage), events(begun, ended)]


def xai_usages(xai: ChatGateway) -> list[Counted]:
    """Counts that contradict each other; counts without a total: reasoning is beside the completion."""
    odd: Json = {
        "prompt_tokens": 4142,
        "completion_tokens": 254,
        "total_tokens": 8724,
        "prompt_tokens_details": {"text_tokens": 8470, "cached_tokens": 4328},
        "cost_in_usd_ticks": 0,
    }
    odd_counts: Json = {
        "input_tokens": 8470,
        "cached_tokens": 4328,
        "output_tokens": 254,
        "text_tokens": 254,
        "total_tokens": 8724,
        "cost_usd": 0.0,
        "cost_source": "reported",
    }
    no_total: Json = {
        "prompt_tokens": 100,
        "completion_tokens": 500,
        "completion_tokens_details": {"reasoning_tokens": 300},
        "cost_in_usd_ticks": 1_000,
    }
    no_total_counts: Json = {
        "input_tokens": 100,
        "output_tokens": 800,
        "reasoning_tokens": 300,
        "text_tokens": 500,
        "total_tokens": 900,
        "cost_usd": 1e-7,
        "cost_source": "reported",
    }
    return [
        (xai.stream({"content": "Hi."}, usage=odd), odd_counts),
        (xai.stream({"content": "Hi."}, usage=no_total), no_total_counts),
    ]


def xai_options(xai: ChatGateway) -> list[Row]:
    """Its reasoning models are not sent what they are known to refuse."""
    plain = "grok-4.20-0309-non-reasoning"
    penalties: Json = {"presence_penalty": 0.5, "frequency_penalty": -0.5}

    def left_out(name: str, model: str = "grok-4.7") -> str:
        return f"{name} was left out: {model} does not take it."

    return [
        xai.row(
            "stop",
            xai.hello(xai.asked(), {"options": {"stop": ["END"]}}, left_out("stop")),
            xai.hello(xai.asked(model=plain, stop=["END"]), {"model": plain, "options": {"stop": ["END"]}}),
        ),
        xai.row(
            "penalties",
            xai.hello(xai.asked(), {"options": penalties}, *(left_out(name) for name in penalties)),
            xai.hello(xai.asked(model=plain, **penalties), {"model": plain, "options": penalties}),
        ),
        xai.row(
            "effort",
            xai.hello(xai.asked(reasoning_effort="xhigh"), {"reasoning_effort": "xhigh"}),
            xai.hello(
                xai.asked(model="grok-4.5"),
                {"model": "grok-4.5", "reasoning_effort": "none"},
                left_out("reasoning_effort", "grok-4.5"),
            ),
            xai.hello(
                xai.asked(model="grok-4.20"),
                {"model": "grok-4.20", "reasoning_effort": "low"},
                left_out("reasoning_effort", "grok-4.20-0309-reasoning"),
            ),
        ),
    ]


XAI_CHAT = ChatGateway(
    column="xai chat",
    model="grok-4.7",
    everything={
        "model": "grok-4.7",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "prompt_cache_key": KEY,
        "reasoning_effort": "low",
        "max_completion_tokens": 2048,
        "temperature": 0.7,
        "top_p": 0.95,
        "parallel_tool_calls": False,
        "service_tier": "default",
        "user": "opaque-id",
    },
    always={"prompt_cache_key": KEY},
    settings={"dialect": "chat_completions"},
    ids={"id": "5f1c0d3e-9a8b-4c7d-8e6f-0a1b2c3d4e5f", "created": 1795300000},
    chunk={
        "object": "chat.completion.chunk",
        "system_fingerprint": "fp_7c31d0a9be",
        "service_tier": "default",
    },
    opening={"role": "assistant", "reasoning_content": "Think."},
    null_finish=False,
    counts_stand="behind it",
    calls=whole_calls,
    whole_message={"refusal": None},
    error=lambda status, words: {"code": "Client specified an invalid argument", "error": words},
    usage={
        "prompt_tokens": 703,
        "completion_tokens": 4,
        "total_tokens": 957,
        "prompt_tokens_details": {
            "text_tokens": 703,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 679,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 250,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": 0,
        "cost_in_usd_ticks": 8_008_000,
    },
    counts={  # reasoning is beside the completion: 703 + 4 + 250 = 957
        "input_tokens": 703,
        "cached_tokens": 679,
        "output_tokens": 254,
        "reasoning_tokens": 250,
        "text_tokens": 4,
        "total_tokens": 957,
        "cost_usd": 0.0008008,
        "cost_source": "reported",
    },
    counting=xai_counting,
    usages=xai_usages,
    searches=xai_searches,
    two_answers=in_a_body,
    first_of_two=xai_two_answers,
    own_rows=xai_options,
    models=("grok-4.7", "grok-4.6"),
    others={"grok-4.6": "grok-4.7"},
    not_applicable={
        "responses": "the setting asks for the other dialect",
        **dict.fromkeys(
            ("search refused with 410", "search refused with 422", "search refused with 404"),
            "searches as `xai` does, whichever dialect the setting asks for",
        ),
    },
)


# Nebula: oepnai-nebula.apifox.cn/english (Grok) and docs.openai-nebula.com (chat). Replies and errors have
# the form of new-api, which its parameters point to.


def nebula_searches(nebula: ChatGateway) -> list[Call]:
    """By default, with every filter, and twice with citations that are lost on the way."""
    live = nebula.searched(search_parameters=LIVE)
    counts, usage = nebula.counts or {}, nebula.usage or {}
    everywhere = {"country": "US", "excluded_websites": ["b.org"], "safe_search": True}
    return [
        search(
            {},
            at_chat(
                live,
                nebula.stream(
                    {"content": "The launch slipped."},
                    citations=["https://news.example/launch", "https://x.com/i/status/42"],
                    usage={**usage, "num_sources_used": 2},
                ),
            ),
            gives=answer(
                "The launch slipped.",
                "grok-4",
                {**counts, "sources_used": 2},
                searched=True,
                citations=[
                    cited(1, "https://news.example/launch", "news.example/launch"),
                    cited(2, "https://x.com/i/status/42", "x.com/i/status/42", source="x"),
                ],
            ),
        ),
        search(
            {
                "mode": "auto",
                "sources": ["web", "news", "x", "rss"],
                "from_date": "2026-01-01",
                "to_date": "2026-01-31",
                "excluded_domains": ["b.org"],
                "allowed_x_handles": ["xai"],
                "country": "us",
                "max_results": 15,
                "options": {
                    "safe_search": True,
                    "min_likes": 10,
                    "min_views": 100,
                    "rss_links": ["https://example.org/feed.xml"],
                },
            },
            at_chat(
                nebula.searched(
                    search_parameters={
                        "mode": "auto",
                        "return_citations": True,
                        "from_date": "2026-01-01",
                        "to_date": "2026-01-31",
                        "max_search_results": 15,
                        "sources": [
                            {"type": "web", **everywhere},
                            {"type": "news", **everywhere},
                            {
                                "type": "x",
                                "included_x_handles": ["xai"],
                                "post_favorite_count": 10,
                                "post_view_count": 100,
                            },
                            {"type": "rss", "links": ["https://example.org/feed.xml"]},
                        ],
                    }
                ),
                nebula.stream({"content": "From memory."}),
            ),
            gives=answer("From memory.", "grok-4", searched=False, warnings=[NO_SEARCH_RAN]),
        ),
        search(
            {},
            at_chat(live, nebula.stream({"content": "It slipped."}, usage={**usage, "num_sources_used": 3})),
            gives=answer(
                "It slipped.", "grok-4", {**counts, "sources_used": 3}, searched=True, warnings=[NO_SOURCES]
            ),
        ),
        search(
            {},
            at_chat(live, nebula.stream({"content": "It slipped."}, usage=usage)),
            gives=answer("It slipped.", "grok-4", counts, searched=False, warnings=[NO_SEARCH_RAN]),
        ),
    ]


def nebula_counting(nebula: ChatGateway) -> list[Reply]:
    """Chunks may carry what was used so far: the last word counts, nothing is added up."""
    so_far = [{"prompt_tokens": 100, "completion_tokens": at, "total_tokens": 100 + at} for at in (1, 2)]
    return [
        events(
            nebula.chunk_of(nebula.choice_of({"role": "assistant", "content": "Hi"}), usage=so_far[0]),
            nebula.chunk_of(nebula.choice_of({"content": "."}, "stop"), usage=so_far[1]),
            nebula.chunk_of(usage=nebula.usage),
        )
    ]


def nebula_usages(nebula: ChatGateway) -> list[Counted]:
    """The details under either spelling; without a total: here reasoning is inside the completion."""
    details = {"reasoning_tokens": 300, "text_tokens": 200}
    total: Json = {"prompt_tokens": 100, "completion_tokens": 500, "total_tokens": 600}
    no_total: Json = {
        "prompt_tokens": 100,
        "completion_tokens": 500,
        "completion_token_details": {"reasoning_tokens": 300},
    }
    bodies = [
        body(nebula.whole("Hi.", usage={**total, spelt: details}))
        for spelt in ("completion_token_details", "completion_tokens_details")
    ]
    replies = [*bodies, nebula.stream({"content": "Hi."}, usage=no_total)]
    return [(reply, nebula.counts) for reply in replies]


NEBULA = ChatGateway(
    column="nebula",
    ids={"id": "chatcmpl-89D5Tc", "created": 1795301000},
    chunk={"object": "chat.completion.chunk", "usage": None},
    opening={"role": "assistant", "content": None},
    counts_stand="behind it always",
    error=lambda status, words: {
        "error": {
            "message": f"{words} (request id: 20261122080000123456789)",
            "type": "new_api_error",
            "param": "",
            "code": "invalid_request",
        }
    },
    usage={
        "prompt_tokens": 100,
        "completion_tokens": 500,
        "total_tokens": 600,
        "completion_token_details": {"reasoning_tokens": 300, "text_tokens": 200},
    },
    counts={
        "input_tokens": 100,
        "output_tokens": 500,
        "reasoning_tokens": 300,
        "text_tokens": 200,
        "total_tokens": 600,
        **ESTIMATED,
    },
    counting=nebula_counting,
    usages=nebula_usages,
    searches=nebula_searches,
    refused_with=lambda nebula: {
        410: nebula.refusal(410, LIVE_SEARCH_IS_GONE),
        422: nebula.refusal(422, "search_parameters: extra fields not permitted"),
        404: body("404 page not found", status=404, content_type="text/plain"),
    },
    two_answers=first_first,
    first_of_two=last_first,
    models=("grok-3", "grok-3-fast", "grok-4", "grok-4-fast-reasoning"),
    others={"grok-4": "grok-4.3", "grok-4-fast-reasoning": "grok-4.3"},
    not_applicable={"responses": "documented for GPT models and files, not for Grok"},
)


# TheTurbo (Zenlayer): docs.console.zenlayer.com, xAI chat completion. How it streams is not shown there: its
# sample's form is taken for the chunks too.


def theturbo_searches(theturbo: ChatGateway) -> list[Call]:
    filtered = {**LIVE, "sources": [{"type": "web", "allowed_websites": ["a.org"]}]}
    sent = theturbo.searched(search_parameters=filtered)
    return [
        search({}, by_live_search(theturbo), gives=slipped(theturbo)),
        search(
            {"allowed_domains": ["a.org"], "sources": ["web"]},
            at_chat(sent, theturbo.stream({"content": "It slipped."})),
            gives=answer("It slipped.", "grok-4", searched=False, warnings=[NO_SEARCH_RAN]),
        ),
    ]


def theturbo_two_answers(theturbo: ChatGateway) -> Counted:
    """Without an index the position in the list tells the answers apart."""
    begun = theturbo.choice_of({"content": "Ye"}), theturbo.choice_of({"content": "N"})
    ended = theturbo.choice_of({"content": "s."}, "stop"), theturbo.choice_of({"content": "o."}, "stop")
    return events(theturbo.chunk_of(*begun), theturbo.chunk_of(*ended)), None


def theturbo_usages(theturbo: ChatGateway) -> list[Counted]:
    """Whether reasoning is counted is not documented: the total tells (12 + 1 + 228 = 241)."""
    beside: Json = {
        "prompt_tokens": 12,
        "completion_tokens": 1,
        "total_tokens": 241,
        "completion_tokens_details": {"reasoning_tokens": 228},
    }
    counts: Json = {
        "input_tokens": 12,
        "output_tokens": 229,
        "reasoning_tokens": 228,
        "text_tokens": 1,
        "total_tokens": 241,
        **ESTIMATED,
    }
    return [
        (body(theturbo.whole("Hi.", usage=theturbo.usage)), theturbo.counts),
        (theturbo.stream({"content": "Hi."}, usage=beside), counts),
    ]


THETURBO = ChatGateway(
    column="theturbo",
    ids={"id": "chatcmpl-123", "created": 1795301000},
    chunk={},
    indexed=False,
    counts_stand="in the end",
    whole_choice={"logprobs": None},
    error=lambda status, words: openai_error(words, None),
    usage={"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40},
    counts={
        "input_tokens": 10,
        "output_tokens": 30,
        "text_tokens": 30,
        "total_tokens": 40,
        **ESTIMATED,
    },
    usages=theturbo_usages,
    searches=theturbo_searches,
    refused_with=lambda theturbo: {
        410: theturbo.refusal(410, LIVE_SEARCH_IS_GONE),
        422: theturbo.refusal(422, "Unrecognized request argument supplied: search_parameters"),
        404: body("<html><title>404 Not Found</title></html>", status=404, content_type="text/html"),
    },
    two_answers=in_a_counted_body,
    first_of_two=theturbo_two_answers,
    models=("grok-3", "grok-4", "grok-4-fast-reasoning", "grok-4-fast-non-reasoning"),
    others={"grok-3": "grok-4.3", "grok-4": "grok-4-fast-reasoning"},
    not_applicable={"responses": "not documented for Grok"},
)


# AceData: docs.acedata.cloud, Grok chat completions. It counts nothing, although it is asked to, and
# nothing is made up.


def acedata_searches(acedata: ChatGateway) -> list[Call]:
    filtered = {**LIVE, "sources": [{"type": "x", "excluded_x_handles": ["spam"]}]}
    sent = acedata.searched(search_parameters=filtered)
    return [
        search({}, by_live_search(acedata), gives=slipped(acedata)),
        search(
            {"sources": ["x"], "excluded_x_handles": ["@spam"]},
            at_chat(sent, acedata.stream({"content": "It slipped."})),
            gives=answer("It slipped.", "grok-4", searched=False, warnings=[NO_SEARCH_RAN]),
        ),
    ]


def acedata_usages(acedata: ChatGateway) -> list[Counted]:
    """Its tutorials show bodies in a wrapper."""
    whole = acedata.whole("Hi.")
    return [(body(whole), None), (body({"status": "success", "data": whole}), None)]


ACEDATA = ChatGateway(
    column="acedata",
    ids={"id": "02e1f3a7", "created": 1795301000},
    chunk={"object": "chat.completion.chunk"},
    opening={"role": "assistant", "content": ""},
    counts_stand="in the end",
    error=lambda status, words: {
        "success": False,
        "error": {"code": "bad_request", "message": words},
        "trace_id": "0f7c8a51-9c8e-4a3f-8f0e-3c1d5c7e9b21",
    },
    usages=acedata_usages,
    searches=acedata_searches,
    refused_with=lambda acedata: {
        410: acedata.refusal(410, LIVE_SEARCH_IS_GONE),
        422: body({"detail": [{"loc": ["body", "search_parameters"], "msg": "extra fields"}]}, status=422),
        404: body({"detail": "Not Found"}, status=404),
    },
    two_answers=first_first,
    first_of_two=last_first_in_a_body,
    models=(
        "grok-4",
        "grok-4-1-fast",
        "grok-4-1-fast-non-reasoning",
        "grok-3",
        "grok-3-mini",
        "grok-2-vision",
    ),
    others={"grok-4-1-fast": "grok-4.3", "grok-3": "grok-3-mini"},
    not_applicable={"responses": "not documented for Grok"},
)


# SurgeAI: docs.surgeai.one, Grok, OpenAI format.


def surgeai_searches(surgeai: ChatGateway) -> list[Call]:
    dated = {**LIVE, "to_date": "2026-11-20"}
    sent = surgeai.searched("Search at most 2 times.", search_parameters=dated)
    in_words = "This endpoint has no field for max_turns: passed on in words, best effort."
    return [
        search({}, by_live_search(surgeai), gives=slipped(surgeai)),
        search(
            {"to_date": "2026-11-20", "options": {"max_turns": 2}},
            at_chat(sent, surgeai.stream({"content": "It slipped."}, usage=surgeai.usage)),
            gives=answer(
                "It slipped.", "grok-4", surgeai.counts, searched=False, warnings=[in_words, NO_SEARCH_RAN]
            ),
        ),
    ]


def surgeai_two_answers(surgeai: ChatGateway) -> Counted:
    """Both in one chunk, in the wrong order, then each in its own."""
    begun = surgeai.choice_of({"content": "N"}, index=1), surgeai.choice_of({"content": "Ye"}, index=0)
    ended = (surgeai.choice_of({"content": text}, "stop", index) for index, text in enumerate(("s.", "o.")))
    return events(surgeai.chunk_of(*begun), *map(surgeai.chunk_of, ended)), None


SURGEAI = ChatGateway(
    column="surgeai",
    ids={"id": "abc", "created": 1795301000},
    chunk={"object": "chat.completion.chunk", "system_fingerprint": ""},
    chunk_choice={"logprobs": None},
    opening={"role": "assistant", "content": "", "refusal": None},
    counts_stand="behind it",
    whole_choice={"logprobs": None},
    whole_message={"refusal": None},
    error=lambda status, words: openai_error(words, ""),
    usage={
        "prompt_tokens": 688,
        "completion_tokens": 196,
        "total_tokens": 884,
        "prompt_tokens_details": {"cached_tokens": 679, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 124,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    },
    counts={
        "input_tokens": 688,
        "cached_tokens": 679,
        "output_tokens": 196,
        "reasoning_tokens": 124,
        "text_tokens": 72,
        "total_tokens": 884,
        **ESTIMATED,
    },
    searches=surgeai_searches,
    refused_with=lambda surgeai: {
        410: surgeai.refusal(410, LIVE_SEARCH_IS_GONE),
        422: surgeai.refusal(422, "Unknown parameter: 'search_parameters'."),
        404: body({"error": {"message": "Invalid URL (POST /v1/chat/completions)"}}, status=404),
    },
    two_answers=first_first,
    first_of_two=surgeai_two_answers,
    models=("grok-3", "grok-4"),
    others={"grok-3": "grok-4.3"},
    not_applicable={"responses": "documented for GPT models, not for Grok"},
)


# OpenRouter: openrouter.ai/docs. Its web plugin, nested annotations, comments while it waits, its cost.


def openrouter_error(status: int, words: str) -> Json:
    """What xAI said, wrapped: as text in the metadata of OpenRouter's own error."""
    raw = json.dumps({"code": "Client specified an invalid argument", "error": words})
    metadata = {"raw": raw, "provider_name": "xAI"}
    error = {"code": status, "message": "Provider returned error", "metadata": metadata}
    return {"error": error, "user_id": "user_2xyz"}


def openrouter_searches(openrouter: ChatGateway) -> list[Call]:
    note = {
        "type": "url_citation",
        "url_citation": {
            "url": "https://atlas.example/palau",
            "title": "Palau",
            "content": "Ngerulmud has been the capital since 2006.",
            "start_index": 0,
            "end_index": 25,
        },
    }
    counts, usage = openrouter.counts or {}, openrouter.usage or {}
    return [
        search(
            {"max_results": 5},
            at_chat(
                openrouter.searched(plugins=[{"id": "web", "max_results": 5}]),
                openrouter.stream(
                    {"content": "Ngerulmud is "},
                    {"content": "the capital."},
                    {"annotations": [note]},
                    usage={**usage, "server_tool_use": {"web_search_requests": 1}},
                ),
            ),
            gives=answer(
                "Ngerulmud is the capital.",
                "x-ai/grok-4.7",
                {**counts, "web_searches": 1},
                searched=True,
                citations=[cited(1, "https://atlas.example/palau", "Palau", [0, 25])],
            ),
        ),
        search(
            {
                "sources": ["x"],
                "from_date": "2026-11-01",
                "excluded_domains": ["b.org"],
                "allowed_x_handles": ["xai"],
                "country": "pw",
            },
            at_chat(
                openrouter.searched(
                    "Use only these kinds of source: X posts.",
                    "Use only sources dated from 2026-11-01, both days included.",
                    "Use no page of b.org.",
                    "On X, use only posts by xai.",
                    "Search as from the country PW.",
                    plugins=[{"id": "web"}],
                ),
                openrouter.stream({"content": "From memory."}),
            ),
            gives=answer(
                "From memory.",
                "x-ai/grok-4.7",
                searched=False,
                warnings=[
                    "This endpoint has no field for sources, dates, excluded_domains, allowed_x_handles, "
                    "country: passed on in words, best effort.",
                    NO_SEARCH_RAN,
                ],
            ),
        ),
    ]


def openrouter_refused(openrouter: ChatGateway, status: int, refusal: Reply) -> Row:
    """There is no other way to search: `auto` goes on without, `on` is an error."""
    refused = at_chat(openrouter.searched(plugins=[{"id": "web"}]), refusal)
    error = search({}, refused, gives=Failure("search_unavailable", "GROK_MCP_SEARCH_DIALECT"))
    without = search(
        {"mode": "auto"},
        refused,
        at_chat(openrouter.searched(), openrouter.stream({"content": "From memory."})),
        gives=answer(
            "From memory.",
            "x-ai/grok-4.7",
            searched=False,
            warnings=["The endpoint does not search by openrouter; this is the model's own knowledge."],
        ),
    )
    return openrouter.row(f"search refused with {status}", *([error] if status == 410 else []), without)


def openrouter_usages(openrouter: ChatGateway) -> list[Counted]:
    counts, usage = openrouter.counts or {}, openrouter.usage or {}
    costlier = {**usage, "cost": 0.25, "server_tool_use": {"web_search_requests": 3}}
    return [
        (body(openrouter.whole("Hi.", usage=costlier)), {**counts, "cost_usd": 0.25, "web_searches": 3}),
    ]


def openrouter_responses(openrouter: ChatGateway) -> list[Row]:
    sent = {
        "model": "x-ai/grok-4.7",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": KEY,
    }
    call = ask(
        {"instructions": "Be brief."},
        at_responses(sent, response_stream("x-ai/grok-4.7", message("Hi", "."))),
        gives=answer("Hi.", "x-ai/grok-4.7"),
    )
    return [Row("openrouter", "responses", (call,), {"dialect": "responses"}), *option_rows(openrouter)]


OPENROUTER = ChatGateway(
    column="openrouter",
    model="x-ai/grok-4.7",
    everything={**EVERYTHING_SENT, "model": "x-ai/grok-4.7"},
    ids={"id": "gen-1795301500-abc", "created": 1795301500, "provider": "xAI"},
    chunk={"object": "chat.completion.chunk"},
    every_delta={"role": "assistant", "content": ""},
    opening={"reasoning": "Think."},
    finish_names=("finish_reason", "native_finish_reason"),
    counts_stand="behind it, with a choice",
    framed=lambda chunks, finish: lines(*chunks, comment=": OPENROUTER PROCESSING"),
    whole_choice={"logprobs": None},
    whole_message={"refusal": None, "reasoning": "Think."},
    error=openrouter_error,
    usage={
        "prompt_tokens": 1900,
        "completion_tokens": 88,
        "total_tokens": 1988,
        "cost": 0.009328,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": None},
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 61},
    },
    counts={
        "input_tokens": 1900,
        "cached_tokens": 0,
        "output_tokens": 88,
        "reasoning_tokens": 61,
        "text_tokens": 27,
        "total_tokens": 1988,
        "cost_usd": 0.009328,
        "cost_source": "reported",
    },
    usages=openrouter_usages,
    searches=openrouter_searches,
    refused_with=lambda openrouter: {
        410: openrouter.refusal(410, LIVE_SEARCH_IS_GONE),
        422: body({"error": {"code": 422, "message": "Invalid input"}}, status=422),
        404: body({"error": {"code": 404, "message": "Not Found"}}, status=404),
    },
    refused=openrouter_refused,
    two_answers=first_first,
    first_of_two=last_first,
    own_rows=openrouter_responses,
    models=("x-ai/grok-4.7", "x-ai/grok-4.6", "x-ai/grok-4.3", "x-ai/grok-3"),
    others={"x-ai/grok-4.6": "x-ai/grok-4.7"},
)


# An endpoint that we don't know: chat completions first, Responses where that path is not there. Its replies
# are as spare as a gateway's may be: no id, no object, carriage returns, no `[DONE]`.

NOT_THERE = body("404 page not found", status=404, content_type="text/plain")


def generic_responses(generic: ChatGateway) -> list[Row]:
    sent = {
        "model": "grok-4.7",
        "input": [{"role": "user", "content": "Hello?"}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": KEY,
    }
    answered = at_responses(sent, response_stream("grok-4.7", message("Hi", ".")))
    switched = "The endpoint does not speak chat_completions; responses was used."
    first = ask(
        {},
        at_chat(generic.asked(), NOT_THERE),
        answered,
        gives=answer("Hi.", "grok-4.7", warnings=[switched]),
    )
    second = ask({}, answered, gives=answer("Hi.", "grok-4.7"))
    return [generic.row("responses", first, second), *option_rows(generic)]


def generic_two_answers(generic: ChatGateway) -> Counted:
    return body({"choices": [{"message": {"content": "Yes."}}, {"message": {"content": "No."}}]}), None


def generic_usages(generic: ChatGateway) -> list[Counted]:
    """Nonsense is not counted. Reasoning that exceeds the completion is beside it, where no total tells."""
    choices = [{"message": {"content": "Hi."}}]
    beside = {
        "prompt_tokens": 12,
        "completion_tokens": 1,
        "completion_tokens_details": {"reasoning_tokens": 228},
    }
    counts: Json = {
        "input_tokens": 12,
        "output_tokens": 229,
        "reasoning_tokens": 228,
        "text_tokens": 1,
        "total_tokens": 241,
        **ESTIMATED,
    }
    return [
        (body({"choices": choices, "usage": {"prompt_tokens": -1}}), None),
        (body({"choices": choices, "usage": beside}), counts),
    ]


GENERIC = ChatGateway(
    column="generic",
    model="grok-4.7",
    everything={**EVERYTHING_SENT, "model": "grok-4.7"},
    ids={},
    chunk={},
    null_finish=False,
    counts_stand="in the end",
    framed=lambda chunks, finish: lines(*chunks, newline="\r\n", done=not finish),
    error=lambda status, words: {"error": {"message": words}},
    usage={"prompt_tokens": "12", "completion_tokens": 8.0, "total_tokens": 20},
    counts={
        "input_tokens": 12,
        "output_tokens": 8,
        "text_tokens": 8,
        "total_tokens": 20,
        **ESTIMATED,
    },
    usages=generic_usages,
    searches=lambda generic: [found_by_tools(generic)],
    refused_with=lambda generic: {
        410: generic.refusal(410, LIVE_SEARCH_IS_GONE),
        422: body(
            "unknown variant `web_search`, expected `function` or `live_search`",
            status=422,
            content_type="text/plain",
        ),
        404: NOT_THERE,
    },
    refused=refused_tools,
    two_answers=first_first,
    first_of_two=generic_two_answers,
    own_rows=generic_responses,
    models=("grok-4.7", "grok-3", "my-own-model"),
    others={"grok-4.6": "grok-4.7"},
)

CHAT_GATEWAYS = (XAI_CHAT, NEBULA, THETURBO, ACEDATA, SURGEAI, OPENROUTER, GENERIC)
