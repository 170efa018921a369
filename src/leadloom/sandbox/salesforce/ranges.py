"""Which stretch of an order a condition leaves, so that a list starts where it has to and looks at nothing before it.

An order is by id, or by a time in whole seconds and then by id. Ranges are half open; keys are a second and a text,
which is an id, nothing (before all ids), or an id with ``!`` (right behind it). By id alone the second is always 0.
"""

from dataclasses import dataclass

from leadloom.sandbox.salesforce.ids import SHORT, is_id
from leadloom.sandbox.salesforce.soql import Both, Either, Moment, Node, Test

type Key = tuple[int, str]

LOWEST: Key = (-(1 << 62), "")
HIGHEST: Key = (1 << 62, "")
BY_ID = "id"


@dataclass(frozen=True, slots=True)
class Range:
    low: Key = LOWEST
    high: Key = HIGHEST
    is_exact: bool = True
    """Whether the condition says just this and nothing else."""

    @property
    def is_bounded(self) -> bool:
        return self.low > LOWEST or self.high < HIGHEST


ANYTHING = Range(is_exact=False)


def range_of(node: Node | None, order: str) -> Range:
    """``order``: ``id``, or the lower-case name of a time."""
    match node:
        case None:
            return Range()
        case Test():
            return _of_test(node, order)
        case Both(nodes):
            return _of_both(nodes, order)
        case Either(nodes):
            return _of_either([range_of(one, order) for one in nodes])
    return ANYTHING


def rest_of(node: Node | None, order: str) -> Node | None:
    """What must still be looked at of a record that lies in the range."""
    if node is None or range_of(node, order).is_exact:
        return None
    if not isinstance(node, Both):
        return node
    rest = tuple(one for one in node.nodes if not range_of(one, order).is_exact)
    return rest[0] if len(rest) == 1 else Both(rest)


def _of_test(test: Test, order: str) -> Range:
    name = test.path.names[0].lower() if len(test.path.names) == 1 else ""
    if len(test.values) != 1 or name != order:
        return ANYTHING
    value = test.values[0]
    if order == BY_ID:
        return _by_id(test.operator, value[:SHORT], 0) if isinstance(value, str) and is_id(value) else ANYTHING
    return _by_time(test.operator, value.ms) if isinstance(value, Moment) else ANYTHING


def _by_id(operator: str, own_id: str, second: int) -> Range:
    low, high = (second, ""), (second + 1, "")
    match operator:
        case "=":
            return Range((second, own_id), (second, f"{own_id}!"))
        case ">":
            return Range((second, f"{own_id}!"), high)
        case ">=":
            return Range((second, own_id), high)
        case "<":
            return Range(low, (second, own_id))
        case "<=":
            return Range(low, (second, f"{own_id}!"))
    return ANYTHING


def _by_time(operator: str, ms: int) -> Range:
    second, up = ms // 1000, -(-ms // 1000)
    match operator:
        case "=":
            return Range((up, ""), (second + 1, ""))
        case ">":
            return Range((second + 1, ""))
        case ">=":
            return Range((up, ""))
        case "<":
            return Range(high=(up, ""))
        case "<=":
            return Range(high=(second + 1, ""))
    return ANYTHING


def _of_both(nodes: tuple[Node, ...], order: str) -> Range:
    found = _meet([range_of(one, order) for one in nodes])
    is_one_second = order != BY_ID and found.high == (found.low[0] + 1, "") and not found.low[1]
    if not is_one_second:
        return found
    second = found.low[0]
    inside, is_exact = [found], True
    for one in nodes:
        by_id = range_of(one, BY_ID)
        if isinstance(one, Test) and by_id.is_exact:
            inside.append(Range((second, by_id.low[1]), (second, by_id.high[1]) if by_id.high[1] else found.high))
        else:
            is_exact = is_exact and range_of(one, order).is_exact
    met = _meet(inside)
    return Range(met.low, met.high, is_exact)


def _meet(ranges: list[Range]) -> Range:
    return Range(max(one.low for one in ranges), min(one.high for one in ranges), all(one.is_exact for one in ranges))


def _of_either(ranges: list[Range]) -> Range:
    """From the first to the last; exactly that, if there are no holes."""
    ranges = sorted(ranges, key=lambda one: one.low)
    high, is_exact = ranges[0].high, all(one.is_exact for one in ranges)
    for one in ranges[1:]:
        is_exact = is_exact and one.low <= high
        high = max(high, one.high)
    return Range(ranges[0].low, high, is_exact)
