"""Integer arithmetic of a model's graph, to the last bit as LiteRT and XNNPACK compute it.

Imports layers and the runtime's names.
"""
