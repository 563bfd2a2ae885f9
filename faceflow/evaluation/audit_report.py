"""What an audit leaves behind: groups.csv, a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from faceflow.evaluation.audit import GroupAudit
from faceflow.report.face_tiles import DPI
from faceflow.report.figure_page import save
from faceflow.report.groups import draw_groups, groups_frame, groups_table
from faceflow.report.pictures import FOLDER, GROUPS_PICTURE
from faceflow.report.result_files import marked, write_table

GROUPS = "groups"  # entry of metrics.json


def write_groups(audit: GroupAudit, output: Path, *, title: str, protocol: Mapping[str, str]) -> Table:
    """Write groups.csv, and make the same a table.

    Raises:
        DataError: the file cannot be written.
    """
    write_table(output / "groups.csv", marked(groups_frame(audit.columns), protocol))
    return groups_table(
        audit.columns,
        title=title,
        least_subjects=audit.asked.least_subjects,
        subjects_known=audit.subjects_known,
        protocol=protocol,
    )


def picture_of_groups(audit: GroupAudit, output: Path, *, title: str, protocol: Mapping[str, str]) -> list[Path]:
    """Draw the groups that are reported, if there are any; the file.

    Raises:
        DataError: the file cannot be written.
    """
    if not any(each.groups for each in audit.columns):
        return []
    figure = draw_groups(audit.columns, f"Groups: {title}", protocol)
    return [save(figure, output / FOLDER / GROUPS_PICTURE, dpi=DPI)]
