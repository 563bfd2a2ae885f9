"""Folds that papers report on: the subjects that each fold tests. Papers number them differently, so name them."""

from __future__ import annotations

from faceflow.preprocess.datasets.dataset import Folds


def _subjects(text: str) -> tuple[str, ...]:
    return tuple(sorted(text.split()))


_DISFA_PART_1 = _subjects("SN001 SN002 SN009 SN010 SN016 SN026 SN027 SN030 SN032")
_DISFA_PART_2 = _subjects("SN006 SN011 SN012 SN013 SN018 SN021 SN024 SN028 SN031")
_DISFA_PART_3 = _subjects("SN003 SN004 SN005 SN007 SN008 SN017 SN023 SN025 SN029")

# The parts of JAANet's lists (Shao et al. 2018), numbered as ME-GraphAU (Luo et al. 2022) tests them.
DISFA: Folds = {"megraphau": {"fold1": _DISFA_PART_3, "fold2": _DISFA_PART_2, "fold3": _DISFA_PART_1}}

DISFA_PLUS: Folds = {}  # none is known

# The parts of JAANet's lists (Shao et al. 2018).
BP4D: Folds = {
    "jaanet": {
        "part1": _subjects("F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014"),
        "part2": _subjects("F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018"),
        "part3": _subjects("F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015"),
    }
}

# FMAE (Ning et al. 2024).
BP4D_PLUS: Folds = {
    "fmae": {
        "fold1": _subjects(
            "M040 F072 M015 M029 M003 F076 F053 F026 F044 F066 F057 F061 F071 M050 M033 F079 F020 M025 F014 F004 F013 "
            "M017 F033 M042 M004 F038 F019 M036 M026 M048 F039 F046 M051 F047 M020"
        ),
        "fold2": _subjects(
            "F074 F012 F034 M001 F056 F075 M009 M038 F024 M047 F016 M045 M034 M022 F060 M011 M044 M046 M005 M028 F077 "
            "F028 M055 M019 F032 F030 M037 M043 F031 F022 M023 M018 M016 F065 M052"
        ),
        "fold3": _subjects(
            "F029 F054 F064 F045 F009 F040 F008 M041 F063 M056 M024 F001 F080 M010 F062 F035 M054 F052 F027 F043 F042 "
            "F050 M057 F078 F058 F017 M035 M030 M027 F021 M031 F069 F002 M008 F068"
        ),
        "fold4": _subjects(
            "M058 F037 F010 F023 M007 M002 F025 F073 F048 F041 F051 F011 M032 F005 M021 F018 M013 M049 M014 F070 F006 "
            "F067 M039 M006 F059 F003 F007 F049 M053 F081 F055 M012 F082 F015 F036"
        ),
    }
}
