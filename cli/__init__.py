"""The command line: one more client of the platform. Nothing imports it."""
