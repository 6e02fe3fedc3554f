"""The dedup worker: raw topics in, clean topics out, one Kafka poll at a time, on Faust."""
