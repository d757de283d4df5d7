"""Where the core meets the ports: one scheduler for all policies, one task for each active Rollback."""
