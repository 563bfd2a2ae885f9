"""Builds the settings of a render from the plain values of its config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceflow.checks import check_choice, check_number, check_whole
from faceflow.config.instantiate import instantiate
from faceflow.errors import ConfigError
from faceflow.rendering.domain import Angle, Domain, Head, Optics
from faceflow.rendering.expressions import ExpressionRates
from faceflow.rendering.lighting import Lamp, Light
from faceflow.rendering.occluders import Occluders
from faceflow.rendering.people import Population, RestingFaces, Strength
from faceflow.rendering.recording import RenderSettings
from faceflow.rendering.sequence import LAYOUTS, VideoSettings

_LARGEST = 1024  # pixels


def build_settings(values: Mapping[str, Any], model: Path) -> RenderSettings:
    """Check values of `configs/render.yaml` and build what they describe.

    Raises:
        ConfigError: a value is out of range.
    """
    for key, lowest, highest in (("frames", 1, 10_000), ("seed", 0, 2**31 - 1)):
        check_whole(values[key], key=key, lowest=lowest, highest=highest)
    image = values["image"]
    check_whole(image["size"], key="image.size", lowest=32, highest=_LARGEST)
    check_number(image["margin"], key="image.margin", expected="a share in 0..1", valid=lambda share: 0 <= share <= 1)
    check_whole(image["quality"], key="image.quality", lowest=1, highest=100)
    video = values["video"]
    check_choice(video["layout"], key="video.layout", options=LAYOUTS)
    return RenderSettings(
        model=model,
        seed=values["seed"],
        frames=values["frames"],
        size=image["size"],
        margin=image["margin"],
        quality=image["quality"],
        population=_population(values),
        strength=Strength(**values["strength"]),
        rates=ExpressionRates(**values["expression"]),
        domains=build_domains(values.get("domains", {})),
        video=VideoSettings(**video) if video["layout"] != "images" else None,
    )


def build_domains(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Domain]:
    """Build domains by name.

    Raises:
        ConfigError: there are no domains, a value is out of range, or two domains would draw the same subjects.
    """
    if not nodes:
        raise ConfigError("domains: expected at least one domain, got none; for example domains=[studio,webcam]")
    domains = {name: _domain(name, node) for name, node in nodes.items()}
    owners: dict[int, str] = {}
    for name, domain in domains.items():
        if (other := owners.setdefault(domain.stream, name)) != name:
            raise ConfigError(
                f"domains.{name}.stream: expected a different number from that of '{other}', got {domain.stream} for "
                "both, so they would share subjects; choose a number that no other domain uses"
            )
    return domains


def _domain(name: str, node: Mapping[str, Any]) -> Domain:
    key = f"domains.{name}"
    check_whole(node["stream"], key=f"{key}.stream", lowest=0, highest=2**31 - 1)
    try:
        camera, light = dict(node["camera"]), dict(node["light"])
        stages = [instantiate(stage, key=f"camera.stages[{place}]") for place, stage in enumerate(camera.pop("stages"))]
        lamps = [Lamp(**lamp) for lamp in light.pop("lamps")]
        return Domain(
            name=name,
            stream=node["stream"],
            head=Head(**{angle: Angle(**values) for angle, values in node["head"].items()}),
            light=Light(**light, lamps=lamps),
            camera=Optics(**camera, stages=stages),
            background=instantiate(node["background"], key="background"),
            compression=node["compression"]["quality"],
            occluders=Occluders(**node["occluders"]),
        )
    except ConfigError as error:
        raise ConfigError(f"{key}.{error}") from error
    except (TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{key}: expected the keys of configs/domains/studio.yaml and of its groups, got other keys ({reason}); "
            "compare the files"
        ) from error


def _population(values: Mapping[str, Any]) -> Population:
    return Population(
        skin=values["skin"]["tone"],
        age=values["age"]["range"],
        glasses=values["glasses"]["share"],
        hair=values["hair"],
        beard=values["beard"]["share"],
        stubble=values["beard"]["stubble"],
        rest=RestingFaces(**values["rest"]),
    )
