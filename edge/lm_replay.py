"""Continues prompts with LiteRT-LM itself, in a process of its own.

Run as `python -m keras_transformer.edge.lm_replay FOLDER`. The folder holds `FILE`, and `PROMPTS`:
the texts, and how many tokens to write after each. `CONTINUED` is what the program adds: of each
prompt its ids and what follows it.
"""

import json
import sys
from pathlib import Path

import litert_lm

from keras_transformer.edge.export import LITERTLM_FILE

PROMPTS, CONTINUED = "prompts.json", "continued.json"
