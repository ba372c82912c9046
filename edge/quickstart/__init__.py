"""The quickstart: jobs on generated data, from the data to measured files.

Imports the packages that train, quantize, convert and run a model.
"""
