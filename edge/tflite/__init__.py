"""TFLite flatbuffers: reading, rewriting, narrowing and compacting them, metadata, delegation.

Imports precision, models and the runtime's names.
"""
