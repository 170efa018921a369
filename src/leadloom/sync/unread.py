"""The end of a run: contacts whose content counts as not read are read from what we hold of them.

Somebody describes a lead since another contact of it has left, or a lead was restored: the CRM has nothing new to say
of them, so no pass over its changes would meet them, and the lead would show another person until the next sweep.
"""

from leadloom.contact import Contact
from leadloom.leads import unread
from leadloom.sync.engine import Mapped
from leadloom.sync.turn import Turn


def settle(turn: Turn) -> None:
    """Map and write them, a slice at a time. Safe to do again after a crash: who was written counts as read.

    A pass that found nothing is the most frequent of all: it looks only if there was somebody when it began."""
    if not (turn.has_saved or turn.run.pages or turn.has_unread):
        return
    last = ""
    while held := unread.of(turn.run, after=last):
        last = held[-1].external_id
        contacts = turn.mapper.map([one.raw for one in held], turn.source)
        known = [contact for contact in contacts if isinstance(contact, Contact)]  # who is refused stays as they are
        if known:
            turn.sink(turn.steps[-1]).save([_as_page(turn, known)])


def _as_page(turn: Turn, contacts: list[Contact]) -> Mapped:
    return Mapped(
        contacts=contacts,
        gone=(),
        merged=(),
        next=None,
        bookmark=turn.empty_end.bookmark if turn.empty_end else None,
        total=None,
        is_reply=False,
    )
