"""Sweeps: many jobs of one command, what became of each, and one table and picture over all. No torch here."""
