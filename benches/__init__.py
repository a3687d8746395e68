"""Benches of the Python side: ``python -m benches`` writes the table, ``pytest benches`` looks closer."""
