"""Which copy of an event counts: claims of ids by coordinates (the index), and the pure decisions built on them."""
