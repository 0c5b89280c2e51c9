"""The command line: `main` parses, `verbs` do the work, `outcome` gives exit codes and errors as JSON.

Nothing heavy is imported before a verb needs it. `progress` draws bars on stderr, `doctor` says what a
machine lacks.
"""
