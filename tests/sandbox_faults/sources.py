"""Changes of sources: what stands among them that is no page, and where they are not listed at all."""

from tests.sandbox_faults.changes import JSON, at_envelope, at_items, at_notes, chain, without

NO_PAGES = (
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "https://long.example/" + "x" * 2_000,
    "n/a",
)


def _with_odd_notes(notes: list[JSON]) -> list[JSON]:
    """Each note, and behind it copies that lead nowhere."""
    return [*notes, *(_leading(note, url) for note in notes[:1] for url in NO_PAGES)]


def _leading(note: JSON, url: str) -> JSON:
    if "url_citation" in note:
        return note | {"url_citation": note["url_citation"] | {"url": url}}
    return note | {"url": url}


def _with_odd_list(envelope: JSON) -> JSON:
    listed = envelope.get("citations")
    return envelope | {"citations": [*listed, *NO_PAGES]} if listed else envelope


ODD = chain(at_notes(_with_odd_notes), at_envelope(_with_odd_list))


def _untitled(note: JSON) -> JSON:
    if "url_citation" in note:
        return note | {"url_citation": without(note["url_citation"], "title")}
    return without(note, "title")


UNTITLED = at_notes(lambda notes: [*map(_untitled, notes)])


def _without_list(item: JSON) -> JSON:
    return item | {"action": without(item["action"], "sources")} if "action" in item else item


UNLISTED = chain(
    at_notes(lambda notes: []), at_envelope(lambda one: without(one, "citations")), at_items(_without_list)
)
