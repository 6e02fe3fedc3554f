"""Looking at events on their way: what `tail`, `trace` and the open-hour preview read. Never commits, never joins a group, never writes."""
