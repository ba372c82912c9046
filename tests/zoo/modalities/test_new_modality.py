"""A new modality is a file with it, a file with its embedding, and an entry of a table for each."""



