"""Layers: plain keyword arguments, tensors ``(B, T, D)``, no configs. Masks are built once per forward and handed down."""
