"""The command line: one file per subcommand, no logic. Nothing heavy is imported before a command runs."""
