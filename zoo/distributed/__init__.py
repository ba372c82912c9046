"""Runs that are spread over several devices and processes, on JAX."""
