"""Procedures as tables of steps, against ports. One procedure per file."""
