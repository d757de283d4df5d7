"""Measurements on the local cluster. Figures stand beside the machine's own floors, measured in the same run."""
