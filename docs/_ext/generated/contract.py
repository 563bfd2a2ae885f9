"""The metadata of an exported model, from the dataclass that reads and writes it."""

from __future__ import annotations

import dataclasses

from faceflow.inference.contract import FORMAT, KEY, ModelContract
from generated.markdown import code, plain, table

PAGE = "reference/onnx_contract"


def markdown() -> str:
    """What the fields mean, and a table of them."""
    _, about, required = (" ".join(part.split()) for part in (ModelContract.__doc__ or "").strip().split("\n\n"))
    rows = [
        (code(field.name), code(str(field.type)), "yes" if _required(field) else "no")
        for field in dataclasses.fields(ModelContract)
    ]
    where = f"The metadata key `{KEY}` of the file holds one JSON object; its `format` is {FORMAT} or lower."
    return (
        "\n\n".join([where, plain(about, page=PAGE), table(("Field", "Type", "In every file"), rows), required]) + "\n"
    )


def _required(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
