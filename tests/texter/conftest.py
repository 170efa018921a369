"""The situation most of these tests start from: Alice's account, texter on, a texting service that answers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from tests.factories import make_member
from tests.texter.receiver import Receiver, receiver
from tests.texter.situation import Clock, Texting

from leadloom.accounts.scope import account_scope
from leadloom.texter import services


@pytest.fixture
def service() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def texting(db: None, settings: Any, service: Receiver) -> Texting:
    return start_texting(settings, service)


@pytest.fixture
def texting_for_real(committed: None, settings: Any, service: Receiver) -> Texting:
    """For tests with several threads: commits, and the tables are emptied afterwards."""
    return start_texting(settings, service)


def start_texting(settings: Any, service: Receiver) -> Texting:
    settings.ALLOW_PRIVATE_URLS = True  # the service runs on this machine
    member = make_member()
    with account_scope(member.account_id):
        secret = services.set_address(member=member, address=service.url)
        services.turn_on(member=member, now=timezone.now() - timedelta(hours=1))
    assert secret
    return Texting(member, service, secret, Clock())
