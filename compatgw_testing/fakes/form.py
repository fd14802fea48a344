"""Multipart forms, as clients send files.

What does not live here: which members a vendor takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form."""

    filename: str
    content_type: str
    data: bytes = field(repr=False)


def read_form(raw: bytes, content_type: str) -> dict[str, Any]:
    """The members of a multipart form: texts and uploads; a name with `[]` gives a list, without the brackets.

    Raises:
        ValueError: It is no form that can be read.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        raise ValueError(f"expected multipart/form-data, got {content_type!r}")
    head = f"content-type: {content_type}\r\nmime-version: 1.0\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head.encode("latin-1") + raw)
    if message.defects or not message.is_multipart():
        raise ValueError("the multipart form is broken")
    found: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise ValueError("a part of the form has no name")
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        filename = part.get_filename()
        value = data.decode() if filename is None else Upload(filename, part.get_content_type(), data)
        if name.endswith("[]"):
            found.setdefault(name[:-2], []).append(value)
        else:
            found[name] = value
    return found
