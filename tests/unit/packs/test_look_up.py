"""Looking up many images at once gives the same results as one by one, in packed sets and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceflow.images import find_fault, find_faults, hash_content, hash_contents
from faceflow.packs.layout import inside
from tests.helpers.packs import make_pack, packed_faces


def test_faults_and_hashes_of_many_are_those_of_each(tmp_path: Path) -> None:
    faces, first = packed_faces(tmp_path / "first")
    broken = faces / "images/s1/0.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    (faces / "images/s1/1.png").unlink()
    second = tmp_path / "second"
    make_pack(faces, second, keep_broken=True)
    names = [f"s{subject}/{frame}.{'png' if frame % 2 else 'jpg'}" for subject in range(4) for frame in range(4)]
    roots = [inside(second), faces / "images", inside(first)]
    paths = [str(root / name) for name in names for root in roots]
    expected = {place: fault for place, path in enumerate(paths) if (fault := find_fault(path))}
    assert find_faults(paths) == expected
    assert {expected[place] for place in expected} == {"no such file", "a truncated image"}
    there = [path for place, path in enumerate(paths) if expected.get(place) != "no such file"]
    np.testing.assert_array_equal(hash_contents(there), [hash_content(path) for path in there])
    assert find_faults([]) == {}
