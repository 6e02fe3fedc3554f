"""`python -m tests.monitoring.drill`: makes every alert fire by its real cause on a stack of its own, heals it, and counts every event.

Needs half an hour, so it is no part of `make test`; tests/monitoring/test_drill.py guards that no alert is without a drill.
"""
