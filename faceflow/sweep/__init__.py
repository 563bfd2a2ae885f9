"""Sweeps: many jobs of one command, a record of each, and one table and picture over all. Imports no torch."""
