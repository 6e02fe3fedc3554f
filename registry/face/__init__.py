"""A Confluent-compatible schema registry over the catalogue: subjects, versions, ids, compatibility, config, mode, contexts."""
