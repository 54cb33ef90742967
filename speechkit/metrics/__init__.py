"""Measures of recognition and synthesis quality."""
