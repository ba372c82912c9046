"""Generation: decoding options, the loop, beam search and sampling, for models and files.

Imports data, modalities, tokenizers and NumPy only, so that it runs on a device.
"""
