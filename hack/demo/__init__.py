"""`make demo`: a model that is really worse, on a real API server with a real Prometheus, and its rollback."""
