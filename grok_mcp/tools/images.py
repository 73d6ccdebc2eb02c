"""Image arguments: a URL, a data URI, or a file inside an allowed root, become what the endpoint takes.

Limits of xAI: JPEG or PNG, 20 MiB each (docs.x.ai, image understanding).
"""

import base64
import binascii
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.request import url2pathname

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError

_DATA_URI = r"(?i)data:([a-z]+/[a-z0-9.+-]+)?(;[^,]*)?;base64,"
_SENSITIVE = r"(?i)(?:^\.|\.env$|id_[a-z0-9]+$|\.(?:pem|key|p12|pfx|kdbx)$|credential|secret|shadow$|passwd$)"


def read_images(images: Sequence[str], roots: Sequence[Path]) -> tuple[str, ...]:
    """Each image as an https URL or a data URI. Reads files, each once, so call it in a thread.

    Raises InvalidArgumentError that names the image by its position, or says that they are too many.
    """
    if len(images) > bounds.IMAGES:
        raise InvalidArgumentError(f"images: more than {bounds.IMAGES} images.", "Send fewer.")
    total, known = 0, dict[str, str]()
    for number, image in enumerate(map(str.strip, images)):
        if image not in known:
            known[image] = _read(image, f"images[{number}]", roots)
        total += 0 if known[image].startswith("https:") else len(known[image]) * 3 // 4
        if total > bounds.IMAGES_BYTES:
            raise InvalidArgumentError(
                f"images: more than {bounds.IMAGES_BYTES >> 20} MiB together.", "Send fewer or smaller ones."
            )
    return tuple(known[image.strip()] for image in images)


def read_named_image(path: str, name: str) -> str:
    """A file that a person names on her own command line, as a data URI; it may lie anywhere.

    Raises InvalidArgumentError, also for what is not an image.
    """
    try:
        file = _path(path)
        if file.stat().st_size > bounds.IMAGE_BYTES:
            raise _too_large(name)
        return _data_uri(file.read_bytes(), name)
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "this is not a path"
        raise InvalidArgumentError(f"{name}: {path[:200]} can't be read: {why}.", "Check the path.") from None


def _read(image: str, name: str, roots: Sequence[Path]) -> str:
    if image[:8].lower() == "https://":
        return f"https:{image[6:]}"
    if image[:5].lower() == "data:":
        if len(image) > 2 * bounds.IMAGE_BYTES:
            raise _too_large(name)
        return _data_uri(_decoded(image, name), name)
    if "://" in image and not image.startswith("file://"):
        raise InvalidArgumentError(
            f"{name}: only https URLs, data URIs and file paths are accepted.", "Give one of these."
        )
    return _data_uri(_file(image, name, roots), name)


def _decoded(image: str, name: str) -> bytes:
    head = re.match(_DATA_URI, image)
    try:
        if head is None:
            raise ValueError
        content = "".join(image[head.end() :].split())
        return base64.b64decode(content + "=" * (-len(content) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidArgumentError(
            f"{name}: not a base64 data URI.", "Write it as data:image/png;base64,…"
        ) from None


def _file(image: str, name: str, roots: Sequence[Path]) -> bytes:
    if not roots:
        raise InvalidArgumentError(
            f"{name}: files may not be read here.",
            "Give an https URL or a data URI, or name folders in GROK_MCP_IMAGE_ROOTS.",
        )
    try:
        path = _path(image).resolve(strict=True)
        inside = any(path.is_relative_to(root.resolve()) for root in roots)
        if inside and path.is_file() and not any(re.search(_SENSITIVE, part) for part in path.parts[1:]):
            with path.open("rb") as file:
                return file.read(bounds.IMAGE_BYTES + 1)
    except (OSError, ValueError, RuntimeError):
        pass
    raise InvalidArgumentError(
        f"{name}: no readable image file at this path inside GROK_MCP_IMAGE_ROOTS.", "Check the path."
    )


def _path(image: str) -> Path:
    named = url2pathname(image.removeprefix("file://")) if image.startswith("file://") else image
    return Path(named).expanduser()


def _data_uri(content: bytes, name: str) -> str:
    if len(content) > bounds.IMAGE_BYTES:
        raise _too_large(name)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "png"
    elif content.startswith(b"\xff\xd8\xff"):
        kind = "jpeg"
    else:
        raise InvalidArgumentError(f"{name}: neither a PNG nor a JPEG.", "Convert the image first.")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _too_large(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: larger than 20 MiB.", "Make the image smaller.")
