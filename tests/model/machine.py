"""Random histories of an account, done to the database and to the model, compared after each step."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace
from tests.factories import make_connection, make_member
from tests.model.compare import compare
from tests.model.crm import FakeCrm
from tests.model.model import Lead, Refused, World
from tests.model.page import content_of, tell
from tests.model.real import AFTER_COMMIT, BEFORE_COMMIT, FETCHING, Crash, Real

from leadloom.connections.models import Connection, Run, RunState, State
from leadloom.contact import Contact, Phone
from leadloom.leads import services
from leadloom.leads.models import Lead as Row
from leadloom.sync import engine
from leadloom.sync.engine import Mapped
from leadloom.sync.sink import _in_order

CRMS = ("hubspot", "zoho")
NUMBERS = ("+14155550101", "+14155550102", "+14155550103", "+14155550104")
PHONES = {"": (), "none": (Phone("ask", "phone", None),), **{n: (Phone(n, "phone", n),) for n in NUMBERS}}
PHONES["two"] = (
    Phone("ask", "fax", None),
    Phone(NUMBERS[0], "phone", NUMBERS[0]),
    Phone(NUMBERS[1], "phone", NUMBERS[1]),
)

crms = st.sampled_from(CRMS)
numbers = st.sampled_from(NUMBERS)
people = st.builds(
    lambda name, phone, email, company, owner, opted_out: Contact(
        external_id="", name=name, phones=PHONES[phone], emails=(email,) if email else (), company=company, owner=owner,
        status=owner[:1], opted_out=opted_out,
    ),
    st.sampled_from(("", "Ann", "Ben", "Cy")),
    st.sampled_from(tuple(PHONES)),
    st.sampled_from(("", "a@example.com", "b@example.com", "c@example.com")),
    st.sampled_from(("", "Acme", "Bolt")),
    st.sampled_from(("", "Olga", "Otto")),
    st.sampled_from((False, False, False, True)),
)  # fmt: skip
typed = st.fixed_dictionaries(
    {
        "name": st.sampled_from(("", "Ann here", "Ben here")),
        "phone": st.sampled_from(("", *NUMBERS)),
        "email": st.sampled_from(("", "a@example.com", "b@example.com")),
        "company": st.sampled_from(("", "Here Inc")),
    }
)
picks = st.integers(0, 30)
crashes = st.none() | st.builds(Crash, st.sampled_from((FETCHING, BEFORE_COMMIT, AFTER_COMMIT)), st.integers(1, 4))
_serial = count(1)


class Histories(RuleBasedStateMachine):
    """One account, two CRMs that share people, and a team that works its leads by hand."""

    def __init__(self) -> None:
        super().__init__()
        engine.CONTACTS_A_SAVE = 1  # each page for itself: what is saved together must not depend on the machine's load
        member = make_member(f"model{next(_serial)}@example.com")
        self.crms = {"hubspot": FakeCrm("hubspot", tells_apart=True), "zoho": FakeCrm("zoho", tells_apart=False)}
        self.real = Real(member, {slug: make_connection(member.account, provider=slug) for slug in CRMS})
        self.world = World()
        self.is_checked = False

    @initialize(
        known=st.lists(people, min_size=2, max_size=6),
        others=st.lists(people, min_size=1, max_size=4),
        page_size=st.integers(1, 6),
        crash=crashes,
    )
    def begin(self, known: list[Contact], others: list[Contact], page_size: int, crash: Crash | None) -> None:
        """Both CRMs know some people when they are connected."""
        for box in self.crms.values():
            box.page_size = page_size
        for crm, found in zip(CRMS, (known, others), strict=True):
            for values in found:
                self.crms[crm].tick()
                self.crms[crm].put(values)
            self._run(crm, crash, trigger="connect")

    # In the CRM

    @rule(crm=crms, values=people)
    def somebody_is_added(self, crm: str, values: Contact) -> None:
        self.crms[crm].tick()
        self.crms[crm].put(values)

    @rule(crm=crms, several=st.lists(people, min_size=2, max_size=7))
    def several_are_imported_at_one_moment(self, crm: str, several: list[Contact]) -> None:
        self.crms[crm].tick()
        for values in several:
            self.crms[crm].put(values)

    @rule(crm=crms, pick=picks, values=people)
    def somebody_is_changed(self, crm: str, pick: int, values: Contact) -> None:
        box = self.crms[crm]
        for id_ in self._pick(box.people, pick):
            box.tick()
            box.put(replace(values, merged_ids=box.people[id_].merged_ids), id_)

    @rule(crm=crms, number=numbers)
    def all_get_one_number(self, crm: str, number: str) -> None:
        box = self.crms[crm]
        box.tick()
        for id_, one in list(box.people.items())[:4]:
            box.put(replace(one, phones=PHONES[number]), id_)

    @rule(crm=crms, pick=picks)
    def somebody_opts_out_there(self, crm: str, pick: int) -> None:
        box = self.crms[crm]
        for id_ in self._pick(box.people, pick):
            box.tick()
            box.put(replace(box.people[id_], opted_out=not box.people[id_].opted_out), id_)

    @rule(crm=crms, pick=picks)
    def a_record_breaks_or_is_mended(self, crm: str, pick: int) -> None:
        box = self.crms[crm]
        for id_ in self._pick(box.people, pick):
            box.tick()
            box.unreadable ^= {id_}
            box.put(box.people[id_], id_)

    @rule(crm=crms, pick=picks)
    def somebody_is_deleted(self, crm: str, pick: int) -> None:
        for id_ in self._pick(self.crms[crm].people, pick):
            self.crms[crm].tick()
            self.crms[crm].delete(id_)

    @rule(crm=crms, pick=picks)
    def somebody_comes_back(self, crm: str, pick: int) -> None:
        for id_ in self._pick(self.crms[crm].deleted, pick):
            self.crms[crm].tick()
            self.crms[crm].undelete(id_)

    @rule(crm=crms, first=picks, second=picks, new=st.booleans(), values=st.none() | people)
    def two_are_merged(self, crm: str, first: int, second: int, new: bool, values: Contact | None) -> None:
        box = self.crms[crm]
        ids = [*self._pick(box.people, first), *self._pick(box.people, second)]
        if len(set(ids)) == 2:
            box.tick()
            loser, winner = ids
            box.merge(loser, winner, values or _both(box.people[winner], box.people[loser]), under_a_new_id=new)

    @rule(crm=crms, pick=picks, values=people)
    def somebody_is_changed_while_it_is_read(self, crm: str, pick: int, values: Contact) -> None:
        self.crms[crm].meanwhile.append(lambda: self.somebody_is_changed(crm, pick, values))

    @rule(crm=crms, values=people)
    def somebody_is_added_while_it_is_read(self, crm: str, values: Contact) -> None:
        self.crms[crm].meanwhile.append(lambda: self.somebody_is_added(crm, values))

    # Runs

    @rule(crm=crms, crash=crashes, again=crashes)
    def refresh(self, crm: str, crash: Crash | None, again: Crash | None) -> None:
        self._run(crm, crash, again)

    @rule(crm=crms)
    def refresh_again(self, crm: str) -> None:
        self._run(crm)

    @rule(crm=crms, crash=crashes)
    def refresh_after_a_day(self, crm: str, crash: Crash | None) -> None:
        self.real.let_a_day_pass()
        self._run(crm, crash)

    @rule(crm=crms, crash=crashes)
    def sweep(self, crm: str, crash: Crash | None) -> None:
        self._run(crm, crash, trigger="sweep")

    @rule(crm=crms, crash=crashes)
    def overwrite(self, crm: str, crash: Crash | None) -> None:
        self._run(crm, crash, strategy="overwrite")

    @rule(crm=crms)
    def preview(self, crm: str) -> None:
        """Changes nothing, whatever it counts."""
        if crm in self.world.ended:
            return
        before = self.real.rows()
        run, _ = self.real.work(self.crms[crm], self.real.ask(crm, strategy="preview"))
        assert run.state == RunState.DONE, run.error_detail
        assert self.real.rows() == before
        assert run.seen == run.created + run.updated + run.unchanged + run.linked + run.skipped + run.failed

    @rule(crm=crms)
    def disconnect_or_connect_again(self, crm: str) -> None:
        self.world.ended ^= {crm}
        is_active = crm not in self.world.ended
        with self.real.scope():
            Connection.objects.filter(pk=self.real.connections[crm].pk).update(
                is_active=is_active, state=State.LIVE if is_active else State.DISCONNECTED
            )

    def _run(self, crm: str, *crashes: Crash | None, strategy: str = "append", trigger: str = "manual") -> None:
        if crm in self.world.ended:
            return
        box = self.crms[crm]
        self.is_checked = False
        run = self.real.ask(crm, strategy=strategy, trigger=trigger)
        happened = bool(box.meanwhile)
        met: set[str] = set()
        counted: Counter[str] = Counter()
        from_what_we_hold: list[Sequence[Mapped]] = []
        for crash in (*crashes, None):
            run, committed = self.real.work(box, run, crash)
            for pages in committed:
                if pages[-1].is_reply:
                    counted += self._tell(crm, run, pages, met)
                else:
                    from_what_we_hold.append(pages)
            if run.state == RunState.DONE:
                break
            assert (run.state, run.error_code) == (RunState.RUNNING, ""), run.error_detail
            self.real.let_lease_run_out(run)
        assert run.state == RunState.DONE
        if strategy == "overwrite" or trigger == "sweep":
            counted["gone"] += self.world.mark_absent(crm, run.pk, met)
        if strategy == "overwrite":
            self.world.archive_left(crm)
        for pages in from_what_we_hold:
            counted += self._tell(crm, run, pages, met)
        assert not self.world.unread(crm)
        counted["seen"] = counted.total() - counted["gone"]
        assert {name: number for name, number in run.counters.items() if number} == +counted
        if not happened:
            self._nobody_was_missed(crm)

    def _nobody_was_missed(self, crm: str) -> None:
        """Whoever is in the CRM has been read as they are now."""
        for id_, one in self.crms[crm].people.items():
            known = self.world.contacts[crm, str(id_)]
            assert known.is_here
            assert known.content in (None, content_of(one))

    def _tell(self, crm: str, run: Run, pages: Sequence[Mapped], met: set[str]) -> Counter[str]:
        counted: Counter[str] = Counter()
        for group in _in_order(pages):
            told, ids = tell(self.world, crm, run.pk, group, is_overwrite=run.strategy == "overwrite")
            met |= ids
            counted += told
        return counted

    # By hand

    @rule(who=typed)
    def add_by_hand(self, who: dict[str, str]) -> None:
        self._both(partial(services.add_lead, account=self.real.member.account, **who), partial(self.world.add, who))

    @rule(pick=picks, who=typed, fields=st.sets(st.sampled_from(("name", "phone", "email", "company")), min_size=1))
    def edit(self, pick: int, who: dict[str, str], fields: set[str]) -> None:
        for lead, row in self._lead(pick):
            held = {"name": lead.name, "phone": lead.phone or "", "email": lead.email, "company": lead.company}
            wanted = {**held, **{name: who[name] for name in fields}}
            self._both(partial(services.edit_lead, lead=row, **wanted), partial(self.world.edit, lead, wanted))

    @rule(pick=picks, field=st.sampled_from(("name", "phone", "email", "company")))
    def unpin(self, pick: int, field: str) -> None:
        for lead, row in self._lead(pick):
            self._both(partial(services.unpin, lead=row, field=field), partial(self.world.unpin, lead, field))

    @rule(pick=picks)
    def opt_out(self, pick: int) -> None:
        for lead, row in self._lead(pick):
            self._both(partial(services.opt_out, lead=row), partial(self.world.opt_out, lead))

    @rule(pick=picks)
    def opt_in(self, pick: int) -> None:
        for lead, row in self._lead(pick):
            self._both(partial(services.opt_in, lead=row, is_confirmed=True), partial(self.world.opt_in, lead))

    @rule(pick=picks)
    def archive(self, pick: int) -> None:
        for lead, row in self._lead(pick):
            self._both(partial(services.archive, lead=row), partial(self.world.archive, lead))

    @rule(pick=picks)
    def restore(self, pick: int) -> None:
        for lead, row in self._lead(pick):
            self._both(partial(services.restore, lead=row), partial(self.world.restore, lead))

    def _both(self, really: Callable[..., object], should: Callable[[], None]) -> None:
        """A person's deed, done to both; either both refuse it or none does."""
        self.is_checked = False
        try:
            with self.real.scope():
                really(member=self.real.member)
            is_refused = False
        except (services.PhoneTaken, services.NobodyThere):
            is_refused = True
        try:
            should()
        except Refused:
            assert is_refused, "it should have been refused"
        else:
            assert not is_refused, "it should not have been refused"

    @staticmethod
    def _pick(ids: Iterable[int], pick: int) -> list[int]:
        """One of them, or none where there is none."""
        found = sorted(ids)
        return [found[pick % len(found)]] if found else []

    def _lead(self, pick: int) -> list[tuple[Lead, Row]]:
        if not self.world.leads:
            return []
        lead = self.world.leads[pick % len(self.world.leads)]
        with self.real.scope():
            return [(lead, Row.objects.get(pk=lead.pk))]

    # What must hold

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if not self.is_checked:
            compare(self.world, self.real)
            self.is_checked = True


def _both(stays: Contact, goes: Contact) -> Contact:
    """The remaining contact of a merge: what it lacks comes from the other."""
    fields = ("name", "phones", "emails", "company", "owner")
    return replace(stays, **{field: getattr(stays, field) or getattr(goes, field) for field in fields})
