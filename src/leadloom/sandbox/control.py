"""``/_control``: steering that has nothing to do with a vendor. Bodies are JSON; unknown keys are refused."""

import msgspec

from leadloom.sandbox.faults import Fault
from leadloom.sandbox.http import Json, Refusal, Reply, Request, Routes, json_reply
from leadloom.sandbox.server import Shell
from leadloom.sandbox.texting import TextingSettings

CONTROLS: Routes[Shell, None] = Routes()


class Latency(msgspec.Struct):
    ms: float


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    advance_s: float = 0
    date_skew_s: float | None = None


def read_control[Body](request: Request, kind: type[Body]) -> Body:
    """Raises a 400 that says what is wrong with the body."""
    try:
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Refusal(json_reply(400, {"error": str(error)})) from error


def done(**more: Json) -> Reply:
    return json_reply(200, {"ok": True, **more})


@CONTROLS.add("POST", "/_control/latency", None)
def set_latency(shell: Shell, request: Request, _: tuple[str, ...]) -> Reply:
    shell.latency_ms = read_control(request, Latency).ms
    return done()


@CONTROLS.add("POST", "/_control/faults", None)
def add_fault(shell: Shell, request: Request, _: tuple[str, ...]) -> Reply:
    shell.faults.add(read_control(request, Fault))
    return done()


@CONTROLS.add("DELETE", "/_control/faults", None)
def clear_faults(shell: Shell, _: Request, __: tuple[str, ...]) -> Reply:
    shell.clear_faults()
    return done()


@CONTROLS.add("POST", "/_control/clock", None)
def set_clock(shell: Shell, request: Request, _: tuple[str, ...]) -> Reply:
    """``advance_s`` moves the vendor's time on; ``date_skew_s`` makes only its ``Date`` header wrong."""
    wanted = read_control(request, Advance)
    clock = shell.dialect.clock
    clock.advance(wanted.advance_s)
    if wanted.date_skew_s is not None:
        clock.date_skew_s = wanted.date_skew_s
    return done(now_ms=clock.now_ms())


@CONTROLS.add("GET", "/_control/stats", None)
def get_stats(shell: Shell, _: Request, __: tuple[str, ...]) -> Reply:
    return json_reply(200, {**shell.stats.as_json(), "faults": shell.faults.hits})


@CONTROLS.add("POST", "/_control/stats/reset", None)
def reset_stats(shell: Shell, _: Request, __: tuple[str, ...]) -> Reply:
    shell.stats.reset()
    return done()


@CONTROLS.add("POST", "/_control/reset", None)
def reset(shell: Shell, _: Request, __: tuple[str, ...]) -> Reply:
    shell.reset()
    return done()


@CONTROLS.add("GET", "/_control/texting", None)
def get_texting(shell: Shell, _: Request, __: tuple[str, ...]) -> Reply:
    return json_reply(200, {"deliveries": list(shell.texting.deliveries)})


@CONTROLS.add("POST", "/_control/texting", None)
def set_texting(shell: Shell, request: Request, _: tuple[str, ...]) -> Reply:
    shell.texting.set(read_control(request, TextingSettings))
    return done()
