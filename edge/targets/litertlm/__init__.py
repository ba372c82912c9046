"""The LiteRT-LM target: a decoder and its tokenizer in one `.litertlm` file.

Imports targets.exported, convert and all below them.
"""
