"""Data sources of the tasks: loaders that read installed packages, samples that ship here, or a user's files.

A loader returns `supervised.data.sources.splits.Splits`: training, validation and test data, what the split
keeps together, and where they come from (package, version, SHA-256, licence). Data that a package holds are
read from there and never copied into the project, unless their licence allows it.

To add one: a module beside these with a function that gives `Splits`; `package_file` finds a package's files
and names the line that installs it. The task that uses it calls it in its `splits`.
"""
