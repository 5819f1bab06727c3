"""The packed model file: its container, its document, its limits."""
