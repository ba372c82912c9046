"""The demo page: files of ours in the browser, through LiteRT.js.

Imports the runtime and files.
"""
