"""What goes on at the CRM meanwhile: people are added, changed, deleted, merged, and many changed at one timestamp."""

from collections import Counter
from itertools import count
from random import Random
from typing import Any

from leadloom.sandbox import Sandbox
from leadloom.sandbox.client import TrueContact
from leadloom.sandbox.kinds import kind
from torture.truth import WORDS, newcomer

DEEDS = ("create", "change", "change", "change", "delete", "merge")
BULK_SHARE = 0.2  # of all people, changed with one timestamp
LONG_AGO_S = 1200  # longer than any provider reads back

_newcomers = count()


class Source:
    """The simulated CRM and somebody who works in it, by seeded dice."""

    def __init__(self, box: Sandbox, dice: Random) -> None:
        self.box, self._dice = box, dice
        self._ids = [contact.id for contact in box.contacts()]
        self._company = kind(box.crm).company
        self._words = WORDS.get(box.crm)
        self._changes = 0
        self.done: Counter[str] = Counter()

    @property
    def crm(self) -> str:
        return self.box.crm

    def work(self) -> None:
        """One deed."""
        deed = self._dice.choice(DEEDS)
        if deed == "create" and self._words is None:
            deed = "change"
        getattr(self, f"_{deed}")()
        self.done[deed] += 1

    def change_many_at_once(self) -> None:
        """As an import into the CRM does it."""
        self._changes += 1
        number = max(1, int(self.box.count() * BULK_SHARE))
        values: dict[str, Any] = {self._company: f"All at once {self._changes}"}
        self.box.bulk_change(number, **values)
        self.done["changed at one timestamp"] += number

    def let_time_pass(self) -> None:
        """What was changed until now lies before what a later pass reads back: if it was lost, it stays lost."""
        self.box.advance(LONG_AGO_S)

    def truth(self) -> dict[str, TrueContact]:
        return {contact.id: contact for contact in self.box.contacts()}

    def _create(self) -> None:
        values: dict[str, Any] = dict(newcomer(self.crm, next(_newcomers)))
        self._ids.append(self.box.create(**values))

    def _change(self) -> None:
        self._changes += 1
        values: dict[str, Any] = {self._company: f"Changed {self._changes}"}
        if self._words is not None and self._dice.random() < 0.5:
            values[self._words.first] = f"Renamed{self._changes}"
        self.box.change(self._dice.choice(self._ids), **values)

    def _delete(self) -> None:
        self.box.archive(self._take())

    def _merge(self) -> None:
        self._ids.append(self.box.merge(self._take(), self._take()))

    def _take(self) -> str:
        return self._ids.pop(self._dice.randrange(len(self._ids)))
