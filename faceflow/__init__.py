"""FaceFlow: train, test and deploy estimators of facial Action Units (FACS)."""

__version__ = "0.1.0"
