"""How probes reach outside: one file per kind that needs more than the API server's objects and the metrics source."""
