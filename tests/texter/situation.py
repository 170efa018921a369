"""Alice's texter and the service it sends to, with the few things a test does to them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from standardwebhooks import Webhook
from tests.factories import make_lead
from tests.texter.receiver import Received, Receiver

from leadloom.accounts.models import Account, Member
from leadloom.accounts.scope import account_scope
from leadloom.leads.models import Lead
from leadloom.texter.collect import collect
from leadloom.texter.deliver import deliver
from leadloom.texter.models import Delivery, DeliveryAttempt, TexterSettings
from leadloom.texter.retries import Verdict


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = timezone.now() + timedelta(seconds=30)  # what is queued on a busy machine is due, too

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, wait: timedelta) -> None:
        self.now += wait


@dataclass
class Texting:
    """Alice's texter and the service it sends to."""

    member: Member
    service: Receiver
    secret: str
    clock: Clock

    @property
    def account(self) -> Account:
        return self.member.account

    def lead(self, **fields: Any) -> Lead:
        return make_lead(self.account, **fields)

    def collect(self, *, only_new: bool = False) -> int:
        return collect(self.account.pk, only_new=only_new)

    def queue(self, **fields: Any) -> Delivery:
        """A lead that is in the outbox already."""
        lead = self.lead(**fields)
        self.collect()
        with account_scope(self.account.pk):
            return Delivery.objects.select_related("lead").get(lead=lead)

    def deliver(self, delivery: Delivery) -> Verdict | None:
        return deliver(account_id=self.account.pk, delivery_id=delivery.pk, clock=self.clock)

    def deliver_all(self) -> None:
        with account_scope(self.account.pk):
            queued = list(Delivery.objects.filter(state="queued").order_by("id"))
        for delivery in queued:
            self.deliver(delivery)

    def again(self, delivery: Delivery) -> Delivery:
        with account_scope(self.account.pk):
            return Delivery.objects.get(pk=delivery.pk)

    def attempts(self, delivery: Delivery) -> list[DeliveryAttempt]:
        with account_scope(self.account.pk):
            return list(DeliveryAttempt.objects.filter(delivery=delivery).order_by("id"))

    def settings(self) -> TexterSettings:
        with account_scope(self.account.pk):
            return TexterSettings.objects.get(account=self.account)

    def states(self) -> list[str]:
        with account_scope(self.account.pk):
            return list(Delivery.objects.order_by("id").values_list("state", flat=True))

    def verified(self, request: Received) -> Any:
        """The event, if its signature is right; raises otherwise."""
        return Webhook(self.secret).verify(request.body, request.headers)
