"""The registry: owns what an event type is. Declarations come in over HTTP, the compiled catalogue goes out on `hourmark.control`."""
