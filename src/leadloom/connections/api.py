"""The JSON API of connections: connect, sync, preview, status, disconnect.

Reads and writes go through the services; here is only what is asked, what is answered, and who may.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from django.conf import settings
from ninja import Query, Router, Status
from pydantic import Field, model_validator

from leadloom.accounts.api_auth import ApiRequest, acting_member, in_account, require_manager, session_or_token
from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections import services, vault
from leadloom.connections.models import Connection, Method, Run, State, Strategy, Trigger
from leadloom.connections.nango import Nango
from leadloom.connections.own_fields import own_fields_of
from leadloom.connections.proof import Proof, Standing, proof_of
from leadloom.leads.records import Unimported, results_of
from leadloom.providers.catalogue import all_providers
from leadloom.providers.catalogue import provider as provider_of
from leadloom.site.wire import ApiError, Failure, Wire
from leadloom.sync.finish import finish_within

LONGEST_WAIT_S = 300

router = Router(auth=session_or_token, by_alias=True, tags=["CRM"])


class SessionAsked(Wire):
    provider: str = Field("", max_length=40, description="A CRM by its short name, such as hubspot.")
    integration: str = Field("", max_length=255, description="The integration's key at Nango, where it differs.")
    connection_id: int | None = Field(None, description="A connection to sign in to again.")


class SessionOut(Wire):
    success: bool = True
    token: str
    expires_at: str
    integration: str
    api_url: str
    connect_url: str


class Credentials(Wire):
    method: Literal["token", "sandbox"] = "token"
    token: str = Field("", max_length=4000)
    typed: dict[str, Annotated[str, Field(max_length=200)]] = Field(
        {}, max_length=10, description="What the CRM asks for beside a token, by name."
    )


class ConnectAsked(Wire):
    """Either what Nango's dialog returned, or a CRM and credentials for it."""

    connection_id: str = Field("", max_length=255, description="Nango's id of the connection.")
    provider_config_key: str = Field("", max_length=255)
    provider: str = Field("", max_length=40)
    credentials: Credentials | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> Self:
        if self.connection_id and self.provider_config_key:
            return self
        if not self.provider or self.credentials is None:
            raise ValueError("Send connectionId and providerConfigKey, or provider and credentials")
        if self.credentials.method == "token" and not self.credentials.token.strip():
            raise ValueError("credentials.token is empty")
        return self


class ConnectOut(Wire):
    success: bool = True
    provider: str
    connection_id: int
    run_id: int
    message: str


class SyncAsked(Wire):
    strategy: Strategy = Strategy.APPEND
    connection_id: int | None = Field(None, description="Needed only when several CRMs are connected.")
    wait: float = Field(0, ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for the result.")


class AbsentAsked(Wire):
    have_left: bool = Field(description="True: they are marked as gone. False: they stay as they are.")
    connection_id: int | None = Field(None, description="Needed only when several CRMs are connected.")


class AbsentOut(Wire):
    success: bool = True
    run_id: int | None = Field(description="The pass that marks whoever is still not there.")


class PreviewAsked(Wire):
    connection_id: int | None = None
    wait: float = Field(0, ge=0, le=LONGEST_WAIT_S)


class Results(Wire):
    total: int
    created: int
    updated: int
    unchanged: int
    linked: int
    skipped: int
    failed: int
    errors: list[Unimported]


class RunError(Wire):
    code: str
    message: str


class SyncOut(Wire):
    success: bool
    run_id: int
    connection_id: int
    strategy: str
    state: str
    joined: bool = Field(description="A run was under way already, and this is it.")
    message: str = ""
    results: Results | None = None
    sample: dict[str, Any] | None = None
    error: RunError | None = None


class CountOut(Wire):
    """How many contacts the CRM says it has, against those we account for, whatever became of them."""

    crm: int
    accounted: int
    counted_at: datetime
    standing: Standing = Field(
        description="equal; seen_once: counted again at the next check; sought: everybody is read again; held: say at "
        "/crm/absent whether they have left; unexplained: they differ though everybody was read since."
    )
    message: str


class ConnectionOut(Wire):
    connection_id: int
    provider: str
    name: str
    method: str
    external_account_id: str
    state: str
    reason: str
    last_synced_at: datetime | None
    last_change_at: datetime | None
    next_sync_at: datetime | None
    count: CountOut | None = Field(
        description="The count proof of the last day; null where the CRM does not tell how many contacts it has."
    )
    held_run_id: int | None = Field(
        description="A pass over everybody that met too few: say at /crm/absent whether the others have left."
    )


class StatusOut(Wire):
    success: bool = True
    connected: bool
    provider: str | None = None
    connection_id: int | None = None
    state: str | None = None
    reason: str | None = None
    last_synced_at: datetime | None = None
    next_sync_at: datetime | None = None
    connections: list[ConnectionOut]


class FieldsAsked(Wire):
    connection_id: int | None = Field(None, description="Needed only when several CRMs are connected.")


class FieldOut(Wire):
    name: str = Field(description="Under which the CRM's record holds it.")
    label: str
    type: str = Field(description="In the CRM's own word.")


class FieldsOut(Wire):
    success: bool = True
    connection_id: int
    read_at: datetime | None = Field(
        description="When the CRM was last asked; null before the first refresh has ended."
    )
    fields: list[FieldOut]


class DisconnectAsked(Wire):
    connection_id: int | None = None


class DisconnectOut(Wire):
    success: bool = True
    connection_id: int
    message: str


REFUSALS: dict[int, type[Failure]] = dict.fromkeys((400, 401, 403, 404, 409, 422, 502, 503), Failure)


@router.post("/session-token", response={200: SessionOut, **REFUSALS}, summary="A session for Nango's connect dialog")
@in_account
def session_token(request: ApiRequest, asked: SessionAsked) -> SessionOut:
    """Opens a session with which this account's browser may sign in to one CRM, for 30 minutes."""
    require_manager(request)
    person = _person(request)
    who: dict[str, Any] = {"account_id": request.account.pk, "user_id": person.user_id, "email": person.user.email}
    nango = Nango()
    if asked.connection_id is None:
        integration = asked.integration or provider_of(asked.provider or _only_provider()).nango_key
        session = nango.connect_session(**who, integration=integration)
    else:
        known = _connection(asked.connection_id, method=Method.NANGO)
        integration = known.provider_config_key
        session = nango.reconnect_session(**who, connection_id=known.nango_connection_id, integration=integration)
        vault.forget(known)  # from now on it may open another CRM account
    return SessionOut(
        token=session.token,
        expires_at=session.expires_at,
        integration=integration,
        api_url=settings.NANGO_HOST,
        connect_url=settings.NANGO_CONNECT_URL,
    )


@router.post("/connect", response={200: ConnectOut, **REFUSALS}, summary="Connect a CRM")
def connect(request: ApiRequest, asked: ConnectAsked) -> ConnectOut:
    """Tests the credential, saves the connection and starts the first import. Answers before any contact is read."""
    require_manager(request)
    with account_scope(request.account.pk):  # no scope is open while the CRM answers
        who: dict[str, Any] = {"account": request.account, "member": acting_member(request)}
    if asked.connection_id and asked.provider_config_key:
        found, run = services.connect_with_nango(
            **who, connection_id=asked.connection_id, provider_config_key=asked.provider_config_key
        )
    elif asked.credentials and asked.credentials.method == "token":
        given = asked.credentials
        found, run = services.connect_with_token(**who, provider=asked.provider, token=given.token, typed=given.typed)
    else:
        found, run = services.connect_to_sandbox(**who, provider=asked.provider)
    crm = provider_of(found.provider).name
    begun = "The first import has begun." if run.is_first else "Changes since the last refresh are being read."
    return ConnectOut(
        provider=found.provider, connection_id=found.pk, run_id=run.pk, message=f"Connected to {crm}. {begun}"
    )


@router.post("/sync", response={200: SyncOut, 202: SyncOut, **REFUSALS}, summary="Refresh from the CRM")
def sync(request: ApiRequest, asked: SyncAsked) -> Status[SyncOut]:
    """Starts a run, or joins the one under way. 202 while it goes on; 200 when it ended within ``wait`` seconds."""
    return _run(request, asked.connection_id, asked.strategy, asked.wait)


@router.post("/preview", response={200: SyncOut, 202: SyncOut, **REFUSALS}, summary="Count before importing")
def preview(request: ApiRequest, asked: PreviewAsked) -> Status[SyncOut]:
    """Reads everything and changes nothing: exact counts, and a sample of what a sync would do."""
    return _run(request, asked.connection_id, Strategy.PREVIEW, asked.wait)


@router.post("/absent", response={200: AbsentOut, **REFUSALS}, summary="Say whether many absent contacts have left")
def absent(request: ApiRequest, asked: AbsentAsked) -> AbsentOut:
    """When a pass over everybody does not meet more than 2 % and more than 50 of the contacts we know, nobody is
    marked as gone until somebody says so. They are listed at ``/runs/{heldRunId}/records?outcome=absent``."""
    require_manager(request)
    with account_scope(request.account.pk):
        found = _chosen(request, asked.connection_id)
        try:
            if not asked.have_left:
                services.keep_absent(found, acting_member(request))
                return AbsentOut(run_id=None)
            _require_syncable(found)
            return AbsentOut(run_id=services.mark_absent(found, acting_member(request)).pk)
        except (services.NothingHeld, services.RunUnderWay) as error:
            raise ApiError(409, error.code, str(error)) from error


@router.get("/status", response={200: StatusOut, 401: Failure}, summary="What is connected, and how it is")
@in_account
def status(request: ApiRequest) -> StatusOut:
    """The first connection at the top, all of them in ``connections``."""
    connections = [_shown(one) for one in _active(request)]
    if not connections:
        return StatusOut(connected=False, connections=[])
    first = connections[0]
    return StatusOut(
        connected=True,
        provider=first.provider,
        connection_id=first.connection_id,
        state=first.state,
        reason=first.reason,
        last_synced_at=first.last_synced_at,
        next_sync_at=first.next_sync_at,
        connections=connections,
    )


@router.get("/fields", response={200: FieldsOut, **REFUSALS}, summary="Fields that you added to contacts in the CRM")
@in_account
def fields(request: ApiRequest, asked: Query[FieldsAsked]) -> FieldsOut:
    """As last read, by label."""
    found = _chosen(request, asked.connection_id)
    listed = [FieldOut(name=one.name, label=one.label, type=one.type) for one in own_fields_of(found)]
    return FieldsOut(connection_id=found.pk, read_at=found.tables_read_at, fields=listed)


@router.post("/disconnect", response={200: DisconnectOut, **REFUSALS}, summary="Disconnect a CRM")
@in_account
def disconnect(request: ApiRequest, asked: DisconnectAsked) -> DisconnectOut:
    """Ends the connection and its grant. Leads, messages and opt-outs stay."""
    require_manager(request)
    found = _chosen(request, asked.connection_id)
    if found.is_active:
        services.disconnect(found, acting_member(request))
    crm = provider_of(found.provider).name
    return DisconnectOut(connection_id=found.pk, message=f"Disconnected from {crm}. Your leads are kept.")


def _run(request: ApiRequest, connection_id: int | None, strategy: Strategy, wait: float) -> Status[SyncOut]:
    """Not inside one scope: a worker must see the run committed while we wait for it."""
    account_id = request.account.pk
    with account_scope(account_id):
        found = _chosen(request, connection_id)
        _require_syncable(found)
        run, joined = services.request_run(
            connection=found, trigger=Trigger.MANUAL, strategy=strategy, member=acting_member(request)
        )
        if run.strategy != strategy:
            raise ApiError(409, "run_under_way", "Another kind of run is under way. Ask again when it has ended.")
    if wait:
        run = finish_within(run.pk, account_id, wait)
    with account_scope(account_id):
        return Status(202 if run.is_active else 200, run_told(run, joined=joined))


def run_told(run: Run, *, joined: bool) -> SyncOut:
    """How a run is answered. Called inside the account's scope."""
    out = SyncOut(
        success=not run.error_code or run.is_active,
        run_id=run.pk,
        connection_id=run.connection_id,
        strategy=run.strategy,
        state=run.state,
        joined=joined,
    )
    if run.error:
        out.error = RunError(code=run.error_code, message=run.error)
    if not run.is_active:
        told = results_of(run)
        out.message = told.sentence
        out.results = Results(
            total=run.seen,
            created=run.created,
            updated=run.updated,
            unchanged=run.unchanged,
            linked=run.linked,
            skipped=run.skipped,
            failed=run.failed,
            errors=told.unimported,
        )
        out.sample = told.sample
    return out


def _require_syncable(found: Connection) -> None:
    if found.state == State.NEEDS_RECONNECT:
        raise ApiError(409, found.reason_code or "needs_reconnect", found.reason or "Reconnect this CRM to go on.")
    if found.state == State.PAUSED:
        raise ApiError(409, "paused", "This connection is paused. Resume it to refresh.")
    if not found.is_active:
        raise ApiError(409, "not_connected", "This CRM is disconnected. Connect it again to refresh.")


def _chosen(request: ApiRequest, connection_id: int | None) -> Connection:
    if connection_id is not None:
        return _connection(connection_id)
    active = _active(request)
    if not active:
        raise ApiError(404, "not_connected", "No CRM is connected yet.")
    if len(active) > 1:
        raise ApiError(422, "which_connection", "Several CRMs are connected: send connectionId.")
    return active[0]


def _active(request: ApiRequest) -> list[Connection]:
    return list(Connection.objects.filter(account_id=request.account.pk, is_active=True).order_by("pk"))


def _connection(connection_id: int, **fields: Any) -> Connection:
    found = Connection.objects.filter(pk=connection_id, **fields).first()
    if found is None:  # not there, or another account's: row-level security makes these the same
        raise ApiError(404, "not_found", "There is no such connection.")
    return found


def _counted(proof: Proof | None) -> CountOut | None:
    if proof is None:
        return None
    return CountOut(
        crm=proof.crm,
        accounted=proof.ours,
        counted_at=proof.counted_at,
        standing=proof.standing,
        message=proof.sentence,
    )


def _shown(one: Connection) -> ConnectionOut:
    return ConnectionOut(
        connection_id=one.pk,
        provider=one.provider,
        name=one.external_account_name,
        method=one.method,
        external_account_id=one.external_account_id,
        state=one.state,
        reason=one.reason,
        last_synced_at=one.last_synced_at,
        last_change_at=one.last_change_at,
        next_sync_at=one.next_due_at,
        held_run_id=one.held_run_id,
        count=_counted(proof_of(one)),
    )


def _only_provider() -> str:
    providers = all_providers()
    if len(providers) > 1:
        raise ApiError(422, "which_provider", "Send provider: there are several CRMs to choose from.")
    return providers[0].slug


def _person(request: ApiRequest) -> Member:
    person = acting_member(request)
    if person is None:
        raise ApiError(403, "not_allowed", "Whoever made this token has left. Make a new one.")
    return person
