"""Published data sets: where each keeps its videos or images and labels, and which subjects its folds test."""
