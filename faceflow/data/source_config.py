"""Settings of data sets, labelled and unlabelled, and the checks that both share."""

from __future__ import annotations

from dataclasses import dataclass

from faceflow.checks import check_choice
from faceflow.data.label_scales import check_limits
from faceflow.errors import ConfigError
from faceflow.tables.columns import check_columns


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """Settings shared by labelled and unlabelled data sets."""

    images: str | None
    columns: dict[str, str | None]
    name: str | None
    identities: str | None
    score_max: float | dict[str, float | None] | None
    occurrence_min: float | dict[str, float | None] | None
    missing_values: list[float]
    domains: list[str] | None
    bad_images: str


@dataclass(frozen=True, kw_only=True)
class SourceConfig(TableConfig):
    """Settings of one data set; `configs/data/source/default.yaml` explains every key."""

    labels: str | None
    train: str | None
    val: str | None
    test: str | None


def check_settings(key: str, config: TableConfig) -> None:
    """Check the shared settings; `key` is the full config key."""
    check_choice(config.bad_images, key=f"{key}.bad_images", options=("error", "skip"))
    for setting in ("score_max", "occurrence_min"):
        check_limits(getattr(config, setting), key=f"{key}.{setting}")
    missing, domains = config.missing_values, config.domains
    if not isinstance(missing, list) or not all(map(_is_number, missing)):
        raise ConfigError(f"{key}.missing_values: expected a list of numbers such as [9], got {missing!r}")
    check_columns(config.columns, key=f"{key}.columns")
    if domains is not None and not (isinstance(domains, list) and domains and all(isinstance(d, str) for d in domains)):
        raise ConfigError(
            f"{key}.domains: expected a list of names, or null for all, got {domains!r}; put names that are "
            "numbers, or yes, no, on, off, into quotes: ['1','no']"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
