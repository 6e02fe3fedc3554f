"""The sink: clean topics in, sealed hours of Parquet out. `worker.py` wires it; `commits.py` and `seal.py` hold what must never break."""
