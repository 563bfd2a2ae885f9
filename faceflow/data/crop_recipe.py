"""How the faces of a data set were cut: the recipe that `faceflow-crop` stores beside its crops."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceflow.data.sources import FaceTable
from faceflow.errors import DataError
from faceflow.faces.feature_file import crops_folder
from faceflow.packs.layout import split_path

log = logging.getLogger(__name__)

_RECIPE = "crops.json"
_KEPT = ("align", "detector", "selection")  # needed to cut other faces in the same way


def read_crop_recipe(path: str | Path, *, key: str) -> dict[str, Any]:
    """Read the parts of a crops.json that say how a face is found, chosen and cut.

    Raises:
        DataError: no such file, or not one of `faceflow-crop`.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a JSON file"
        raise DataError(f"{key}: expected a crops.json of faceflow-crop, got '{path}' ({reason}); check it") from error
    parts = {name: content.get(name) for name in _KEPT} if isinstance(content, Mapping) else {}
    if not parts or not all(isinstance(part, Mapping) for part in parts.values()):
        raise DataError(
            f"{key}: expected a crops.json of faceflow-crop, got '{path}' without {', '.join(_KEPT)}; name the file "
            "beside the folder of crops"
        )
    return parts


def find_crop_recipe(tables: Sequence[FaceTable]) -> dict[str, Any] | None:
    """Recipe by which the faces of tables were cut; None if it differs or is not known for all.

    Recipes that cut alike but select or track faces differently count as equal; the first one is returned.
    """
    recipes: dict[str, dict[str, Any] | None] = {}
    for table in tables:
        path = _recipe_file(table)
        try:
            recipes[table.name] = read_crop_recipe(path, key=table.name) if path else None
        except DataError as error:
            log.warning("%s", error)
            recipes[table.name] = None
    known = list(recipes.values())
    if all(_cutting(recipe) == _cutting(known[0]) for recipe in known):
        return known[0]
    log.warning(
        "%s: crops were cut in different or unknown ways, so an exported model cannot say how to cut faces; name a "
        "crops.json with faceflow-export crop=FILE",
        ", ".join(recipes),
    )
    return None


def _cutting(recipe: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    """Parts of a recipe that decide where a face is in its crop."""
    if recipe is None:
        return None
    align = {"max_enlargement": None} | recipe["align"]  # missing in earlier versions
    return align, recipe["detector"].get("name"), recipe["selection"].get("smooth")


def _recipe_file(table: FaceTable) -> Path | None:
    """The crops.json beside the folder of crops, or in the packed set, that holds all files of a table."""
    files = table.files.tolist()
    common = os.path.commonpath([min(files), max(files)])
    if packed := split_path(os.path.join(common, "")):  # noqa: PTH118  (a Path would lose the slash)
        recipe = Path(packed[0], _RECIPE)
        return recipe if recipe.is_file() else None
    crops = crops_folder(Path(common))
    return crops.parent / _RECIPE if crops else None
