"""How the platform is, told from what it publishes itself: its services' pages, its nodes' reports, its topics and its lake."""
