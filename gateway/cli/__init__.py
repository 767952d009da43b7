"""The `sealgate` command: one module for each subcommand."""
