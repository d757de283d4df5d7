"""The contract with users: kinds, conditions and reasons. Imports nothing else of this package."""
