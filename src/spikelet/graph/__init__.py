"""The integer graph: its operations, their meaning, their intervals, and their file."""
