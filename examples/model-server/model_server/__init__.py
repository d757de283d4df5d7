"""A small, real model server: trains, serves and measures a classifier of handwritten digits.

It stands for any model server that exports its own quality. Everything it reports is computed from
predictions that it made and labels that arrived for them.
"""
