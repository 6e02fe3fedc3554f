"""The Grafana dashboards as code: `python -m docs.dashboards` writes docker/grafana/*.json; tests/monitoring fails when they are stale."""
