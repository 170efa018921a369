"""How fast Leadloom is, measured on this machine and printed beside the numbers it should reach. Asserts nothing."""
