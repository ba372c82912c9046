"""LiteRT-LM: a decoder and its tokenizer as one `.litertlm` file.

Imports targets.exported, convert and all below them.
"""
