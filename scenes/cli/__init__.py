"""The command line: parsing, verbs, exit codes, progress bars, doctor."""
