"""What a run shows of itself while it trains: its speed, and a trace of its steps.

Imports data, errors and models.
"""
