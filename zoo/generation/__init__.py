"""Generation: decoding choices, the loop, beam search and sampling, for models and files.

Imports data, modalities, tokenizers and NumPy, so that a device can.
"""
