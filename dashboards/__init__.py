"""The Grafana dashboards and Prometheus rules of Ringback, and the programs that write, check and draw them.

``python -m dashboards`` writes ``grafana/*.json`` and ``prometheus/slo.yml`` anew; both are committed, so that
whoever runs Ringback needs none of this.
"""
