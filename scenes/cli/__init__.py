"""The command line: `options` of each verb, `main` parses them, `verbs` print what the work returns.

Nothing heavy is imported before a verb needs it. `outcome` gives exit codes and errors as JSON, `progress`
draws bars on stderr, `doctor` says what a machine lacks.
"""
