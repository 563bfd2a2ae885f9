"""Results of an audit: groups.csv, a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping

from faceflow.evaluation.audit import GroupAudit
from faceflow.evaluation.finding import Finding
from faceflow.report.groups import draw_groups, groups_content, groups_frame, groups_table
from faceflow.report.pictures import GROUPS_PICTURE


def groups_finding(audit: GroupAudit, *, title: str, protocol: Mapping[str, str]) -> Finding:
    """The groups of an audit; without a picture if no group is large enough to be reported."""
    table = groups_table(
        audit.columns,
        title=title,
        least_subjects=audit.asked.least_subjects,
        subjects_known=audit.subjects_known,
        protocol=protocol,
    )
    drawn = {GROUPS_PICTURE: lambda: draw_groups(audit.columns, f"Groups: {title}", protocol)}
    return Finding(
        tables=[table],
        file="groups.csv",
        frame=groups_frame(audit.columns),
        entry="groups",
        content=groups_content(audit.columns),
        figures=drawn if any(each.groups for each in audit.columns) else {},
    )
