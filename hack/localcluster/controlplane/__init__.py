"""A real Kubernetes control plane from nothing: builds its programs, starts and ends clusters.

Standard library only: this runs before any dependency of the project is installed.
"""
