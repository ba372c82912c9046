"""What of a run its recipe and its data decide: the config of its model, and options.

See `configs` and `suited`.
"""
