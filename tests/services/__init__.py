"""Servers of somebody else's, for the tests: installed once per machine, on loopback, stopped by pid."""
