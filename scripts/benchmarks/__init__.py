"""One module per subcommand of scripts/benchmark.py."""
