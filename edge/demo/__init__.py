"""The demo page: runs converted files in the browser with LiteRT.js.

Imports the runtime and files.
"""
