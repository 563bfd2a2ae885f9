"""Published data sets: where each keeps its videos or images, its labels, and which people its folds test."""
