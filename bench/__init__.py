"""Timings of the main job, printed beside the numbers it should reach. Asserts nothing: machines differ."""
