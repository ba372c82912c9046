SPLITTERS = {"gpt2": None}
