"""How long the histories are looked for: a minute or so, or with ``--hypothesis-profile=long`` thousands of them."""

from hypothesis import settings

settings.register_profile("long", max_examples=5000, stateful_step_count=40)
