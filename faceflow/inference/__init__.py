"""Inference from an exported model, without torch."""
