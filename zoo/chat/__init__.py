"""Chat: conversations as the text and the tokens that a model of a chat was trained on.

Imports the tokenizers; Jinja2 only where a template is rendered.
"""
