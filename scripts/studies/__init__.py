"""What scripts/study.py runs, reads and reports."""
