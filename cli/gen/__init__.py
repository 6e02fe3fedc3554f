"""Typed code from registered schemas: one module per event type, in Python or TypeScript. Pure: schemas in, texts out."""
