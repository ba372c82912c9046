"""Names of the whole inputs that the fuzzer damages, see `seeds`."""

CHECKPOINT = "checkpoint"
FILES = ("float32.tflite", "int8.tflite", "gpt.tflite", "transformer.tflite")
TABLES = ("train.tsv", "train.csv", "train.jsonl", "pairs.tsv", "text.txt")
TEXTS = ("w1 w2 w3", "ü 天気 🙂", "")
