"""The quickstart: jobs on the embedded data, from the data to measured files.

Imports the rooms that train, quantize, convert and run a model.
"""
