"""What is thrown at Leadloom to see whether it keeps its promises; see ``python -m torture --help``."""
