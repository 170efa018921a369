"""Reading SOQL: from text to a ``Query``. Knows the grammar and no object; raises the 400 of what it cannot read.

No GROUP BY, no HAVING, no functions but ``toLabel``, ``FIELDS`` and ``COUNT()``, no TYPEOF.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from leadloom.sandbox.salesforce.problems import malformed

LONGEST = 100_000
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^'\\]|\\.)*')
    |(?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    |(?P<day>\d{4}-\d\d-\d\d)(?![\w:])
    |(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w-])
    |(?P<word>[A-Za-z_][\w.]*)
    |(?P<mark><=|>=|!=|<>|[=<>(),:])
    )""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_OPERATORS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_RELATIVE = frozenset({"today", "yesterday", "last_n_days", "next_n_days", "this_month", "tomorrow"})
_LATER = frozenset({"where", "order", "limit", "offset", "with", "group", "having", "for", "all", "using"})


@dataclass(frozen=True, slots=True)
class Moment:
    ms: int


@dataclass(frozen=True, slots=True)
class Day:
    text: str


@dataclass(frozen=True, slots=True)
class Relative:
    """``LAST_N_DAYS:30``."""

    name: str
    days: int = 0


type Value = str | float | bool | Moment | Day | Relative | None


@dataclass(frozen=True, slots=True)
class Path:
    """``Account.Name``; ``at`` is where it stands, counted from one."""

    names: tuple[str, ...]
    at: int
    as_label: bool = False

    @property
    def text(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Every:
    """``FIELDS(ALL)``."""

    which: str


@dataclass(frozen=True, slots=True)
class Test:
    path: Path
    operator: str
    """``=`` ``!=`` ``<`` ``<=`` ``>`` ``>=`` ``like`` ``in`` ``not in``"""
    values: tuple[Value, ...]
    query: "Query | None" = None
    """Of ``IN (SELECT …)``."""


@dataclass(frozen=True, slots=True)
class Both:
    nodes: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    nodes: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    node: "Node"


type Node = Test | Both | Either | Not


@dataclass(frozen=True, slots=True)
class Order:
    path: Path
    is_down: bool = False
    nulls_last: bool | None = None


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    source: str
    source_at: int
    items: "tuple[Path | Query | Every, ...]" = ()
    is_count: bool = False
    where: Node | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    at: int


def read_soql(text: str) -> Query:
    if len(text) > LONGEST:
        raise malformed("SOQL statements cannot be longer than 100000 characters.")
    parser = _Parser(text)
    query = parser.query()
    parser.end()
    return query


def marked(text: str, at: int) -> str:
    """The statement with a mark below the place, as an error message begins."""
    return f"\n{text}\n{' ' * (at - 1)}^\nERROR at Row:1:Column:{at}\n"


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            near = text[at:].lstrip()[:1]
            raise malformed(f"line 1:{at} no viable alternative at character '{near}'")
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind], match.start(kind) + 1))
        at = match.end()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    # Tokens

    @property
    def _token(self) -> Token:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return Token("end", "<EOF>", len(self._text) + 1)

    def _take(self) -> Token:
        token = self._token
        self._next += 1
        return token

    def _is(self, *words: str) -> bool:
        token = self._token
        return token.kind in ("word", "mark") and token.text.lower() in words

    def _took(self, *words: str) -> bool:
        if self._is(*words):
            self._next += 1
            return True
        return False

    def _need(self, word: str) -> Token:
        if not self._is(word):
            raise self._unexpected()
        return self._take()

    def _word(self) -> Token:
        if self._token.kind != "word":
            raise self._unexpected()
        return self._take()

    def _whole(self) -> int:
        token = self._take()
        if token.kind != "number" or not token.text.isdecimal():
            raise malformed(f"{marked(self._text, token.at)}unexpected token: '{token.text}'")
        return int(token.text)

    def _unexpected(self) -> Exception:
        token = self._token
        return malformed(f"{marked(self._text, token.at)}unexpected token: '{token.text}'")

    def end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected()

    # Statements

    def query(self) -> Query:
        self._need("select")
        items: list[Path | Query | Every] = []
        is_count = False
        while True:
            if self._is_call("count") and self._tokens[self._next + 2].text == ")":
                self._next += 3
                is_count = True
            else:
                items.append(self._item())
            if not self._took(","):
                break
        if is_count and items:
            raise malformed(f"{marked(self._text, 1)}count() must be the only item of a query")
        self._need("from")
        source = self._word()
        alias = self._alias(source)
        where = self._where() if self._took("where") else None
        order: tuple[Order, ...] = ()
        if self._took("order"):
            self._need("by")
            order = self._order()
        limit = self._whole() if self._took("limit") else None
        offset = self._whole() if self._took("offset") else 0
        found = Query(self._text, source.text, source.at, tuple(items), is_count, where, order, limit, offset)
        return _without_alias(found, alias) if alias else found

    def _is_call(self, name: str) -> bool:
        at = self._next
        return self._is(name) and at + 2 < len(self._tokens) and self._tokens[at + 1].text == "("

    def _alias(self, source: Token) -> str:
        if self._token.kind == "word" and self._token.text.lower() not in _LATER:
            return self._take().text.lower()
        return source.text.lower()

    def _item(self) -> "Path | Query | Every":
        if self._took("("):
            inner = self.query()
            self._need(")")
            return inner
        if self._is_call("fields"):
            self._next += 2
            which = self._word().text.upper()
            self._need(")")
            return Every(which)
        return self._path()

    def _path(self) -> Path:
        if self._is_call("tolabel"):
            self._next += 2
            word = self._word()
            self._need(")")
            return Path(tuple(word.text.split(".")), word.at, as_label=True)
        word = self._word()
        if self._is("("):
            raise self._unexpected()
        return Path(tuple(word.text.split(".")), word.at)

    def _order(self) -> tuple[Order, ...]:
        found = []
        while True:
            path = self._path()
            is_down = self._took("desc")
            if not is_down:
                self._took("asc")
            nulls_last = None
            if self._took("nulls"):
                nulls_last = self._is("last")
                if not self._took("first", "last"):
                    raise self._unexpected()
            found.append(Order(path, is_down, nulls_last))
            if not self._took(","):
                return tuple(found)

    # Conditions

    def _where(self) -> Node:
        """AND and OR side by side need parentheses."""
        first = self._condition()
        if not self._is("and", "or"):
            return first
        word = self._token.text.lower()
        nodes = [first]
        while self._took(word):
            nodes.append(self._condition())
        if self._is("and", "or"):
            raise self._unexpected()
        return Both(tuple(nodes)) if word == "and" else Either(tuple(nodes))

    def _condition(self) -> Node:
        if self._took("not"):
            return Not(self._condition())
        if self._took("("):
            inner = self._where()
            self._need(")")
            return inner
        path = self._path()
        if self._took("like"):
            return Test(path, "like", (self._value(),))
        if self._took("not"):
            self._need("in")
            return self._among(path, "not in")
        if self._took("in"):
            return self._among(path, "in")
        if self._token.text not in _OPERATORS:
            raise self._unexpected()
        return Test(path, _OPERATORS[self._take().text], (self._value(),))

    def _among(self, path: Path, operator: str) -> Test:
        self._need("(")
        if self._is("select"):
            inner = self.query()
            self._need(")")
            return Test(path, operator, (), inner)
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        self._need(")")
        return Test(path, operator, tuple(values))

    def _value(self) -> Value:
        token = self._take()
        match token.kind:
            case "text":
                return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), token.text[1:-1])
            case "moment":
                return Moment(_moment(token.text))
            case "day":
                return Day(_day(token.text))
            case "number":
                return float(token.text)
        word = token.text.lower()
        if token.kind == "word" and word in ("true", "false", "null"):
            return None if word == "null" else word == "true"
        if token.kind == "word" and word in _RELATIVE:
            return Relative(word, self._whole() if self._took(":") else 0)
        raise malformed(f"{marked(self._text, token.at)}unexpected token: '{token.text}'")


def _moment(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise malformed(f"invalid dateTime: {text}") from error
    return int(found.astimezone(UTC).timestamp() * 1000)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise malformed(f"invalid date: {text}") from error


def _without_alias(query: Query, alias: str) -> Query:
    """``c.Name FROM Contact c``, and ``Contact.Name FROM Contact``, are ``Name``."""

    def path(one: Path) -> Path:
        if len(one.names) > 1 and one.names[0].lower() == alias:
            return Path(one.names[1:], one.at, one.as_label)
        return one

    def node(one: Node) -> Node:
        match one:
            case Both(nodes):
                return Both(tuple(node(inner) for inner in nodes))
            case Either(nodes):
                return Either(tuple(node(inner) for inner in nodes))
            case Not(inner):
                return Not(node(inner))
            case Test():
                return Test(path(one.path), one.operator, one.values, one.query)

    return Query(
        query.text,
        query.source,
        query.source_at,
        tuple(path(one) if isinstance(one, Path) else one for one in query.items),
        query.is_count,
        None if query.where is None else node(query.where),
        tuple(Order(path(one.path), one.is_down, one.nulls_last) for one in query.order),
        query.limit,
        query.offset,
    )
