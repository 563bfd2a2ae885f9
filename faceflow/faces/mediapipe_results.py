"""Results of MediaPipe's tasks as detections in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceflow.faces.detector import Detection
from faceflow.faces.features import FaceFeatures
from faceflow.faces.head_pose import head_pose
from faceflow.faces.landmarks import points_of_mesh
from faceflow.images import Image


def faces_of_landmarks(result: Any, image: Image, *, features: bool) -> list[Detection]:
    """Faces of a `FaceLandmarkerResult`: boxes around the landmarks, no score; `features` take its blendshapes."""
    height, width = image.shape[:2]
    faces = []
    for number, points in enumerate(result.face_landmarks):
        # Depth is in widths of the image, like x.
        shares = np.array([(point.x, point.y, point.z) for point in points], np.float64)
        landmarks = shares * [width, height, width] - [0.5, 0.5, 0.0]
        mesh = landmarks[:, :2]
        known = None
        if features:
            shapes = np.array([shape.score for shape in result.face_blendshapes[number]], np.float64)
            known = FaceFeatures(landmarks=landmarks, blendshapes=shapes, pose=head_pose(landmarks))
        box = np.concatenate([mesh.min(axis=0), mesh.max(axis=0)])
        score = float("nan")
        faces.append(Detection(box=box, points=points_of_mesh(mesh), score=score, landmarks=mesh, features=known))
    return faces


def face_of_box(face: Any, image: Image) -> Detection:
    """A face of a `FaceDetectorResult`; the corners of its mouth are NaN."""
    height, width = image.shape[:2]
    corner = face.bounding_box
    box = np.array([corner.origin_x, corner.origin_y, corner.origin_x + corner.width, corner.origin_y + corner.height])
    # Eyes, nose tip, mouth centre, ears; from edge to edge, so that the first pixel's centre is 0.5 / W.
    landmarks = np.array([(point.x * width, point.y * height) for point in face.keypoints], np.float64) - 0.5
    points = np.full((5, 2), np.nan)
    points[:3] = landmarks[:3]
    return Detection(box=box - 0.5, points=points, score=float(face.categories[0].score), landmarks=landmarks)
