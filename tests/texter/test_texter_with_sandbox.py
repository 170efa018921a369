"""The same promises against the sandbox's texting service, which checks signatures and remembers what it met."""

from collections.abc import Iterator

import pytest
from django.utils import timezone
from tests.texter.situation import Texting

from leadloom.accounts.scope import account_scope
from leadloom.sandbox import Sandbox
from leadloom.texter import services


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(contacts=1) as running:
        yield running


def test_a_service_that_fails_at_first_gets_the_lead_once(texting: Texting, sandbox: Sandbox) -> None:
    with account_scope(texting.account.pk):
        services.set_address(member=texting.member, address=sandbox.texting_url)
    sandbox.set_texting(secret=texting.secret, fail_next=1, status=503)
    delivery = texting.queue(name="Ada Lovelace")
    texting.clock.now = timezone.now()
    for _ in range(4):
        texting.deliver(delivery)
        texting.clock.now = max(texting.clock.now, texting.again(delivery).next_attempt_at)
    met = sandbox.texting()
    assert [one.status for one in met] == [503, 202]
    assert len({one.headers["webhook-id"] for one in met}) == 1
    assert [one.body["data"]["name"] for one in met if one.status == 202] == ["Ada Lovelace"]


def test_a_service_with_another_secret_says_so_in_the_log(texting: Texting, sandbox: Sandbox) -> None:
    with account_scope(texting.account.pk):
        services.set_address(member=texting.member, address=sandbox.texting_url)
    sandbox.set_texting(secret="whsec_" + "QUFB" * 10)
    delivery = texting.queue()
    texting.clock.now = timezone.now()
    texting.deliver(delivery)
    assert "did not accept the signature" in texting.again(delivery).last_error
