"""The kubectl plugin `kubectl-rollback`. The operator's own process imports none of it."""
