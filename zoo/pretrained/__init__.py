"""Models and tokenizers that others published, read exactly."""
