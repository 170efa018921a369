"""``python -m leadloom.site worker``: the same as the command ``leadloom``."""

from leadloom.site.cli import main

main()
