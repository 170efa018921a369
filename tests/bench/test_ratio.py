"""What CI lets pass."""

from bench.ratio import judge


def test_a_cost_near_what_was_noted_passes_and_one_far_beyond_it_does_not() -> None:
    assert judge(4.0, noted=4.0)
    assert judge(7.9, noted=4.0)
    assert not judge(8.1, noted=4.0)


def test_becoming_cheaper_always_passes() -> None:
    assert judge(0.5, noted=4.0)
