"""The seam for foreign protocols: one module per protocol, each turning its requests into the events that intake.py takes.

None is here yet. A protocol answers exactly 200 with a JSON body, and 503 with Retry-After under overload (contracts, section 3).
"""
