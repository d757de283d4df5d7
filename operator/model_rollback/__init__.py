"""model-rollback-operator: put the last good version of an AI system back, and prove it."""
