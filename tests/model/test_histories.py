"""The engine against a simple model of what leads should be, over random histories.

``pytest tests/model --hypothesis-profile=long`` goes on for as long as somebody has patience.
"""

import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.model.machine import Histories

SHORTLY_S = 60
A_FEW = 8  # histories at a time, between two looks at the clock


@pytest.mark.long
def test_leads_are_what_a_simple_model_says_whatever_happens(committed: None) -> None:
    asked = settings()
    is_long = asked.max_examples > settings.get_profile("default").max_examples
    tried = settings(
        max_examples=asked.max_examples if is_long else A_FEW,
        stateful_step_count=asked.stateful_step_count if is_long else 20,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    began = time.monotonic()
    while True:
        run_state_machine_as_test(Histories, settings=tried)
        # Where examples do not come by chance, in CI, another round would tell the same histories again.
        if is_long or tried.derandomize or time.monotonic() - began > SHORTLY_S:
            return
