"""What a run came to, in one sentence a person reads after pressing Refresh."""

from collections.abc import Mapping

from leadloom.connections.models import Run, RunState
from leadloom.leads.reasons import REASONS

SHOWN_REASONS = 2


def sentence(run: Run, reasons: Mapping[str, int] | None = None) -> str:
    """``2 new, 5 changed, 1 skipped: no phone or e-mail``. ``reasons`` counts the skipped and failed by code."""
    if run.state == RunState.FAILED:
        return run.error or "The run failed."
    if run.state == RunState.STOPPED:
        return "Stopped before it was complete."
    parts = [
        _part(run.created, "new"),
        _part(run.updated, "changed"),
        _part(run.linked, "linked to a lead you have"),
        _part(run.gone, "gone from the CRM"),
        _part(run.skipped, "skipped") + _because(run, reasons or {}),
        _part(run.failed, "not readable"),
    ]
    told = ", ".join(part for part in parts if part)
    if run.absent:
        held = f"{run.absent:,} known contacts were not there: too many to call them gone without being told so."
        return f"{told}. {held}" if told else held
    if told:
        return told
    if run.is_first:
        return "The CRM has no contacts yet." if run.seen == 0 else f"Nothing new: {run.seen:,} contacts checked."
    return "Nothing new."


def _part(count: int, word: str) -> str:
    return f"{count:,} {word}" if count else ""


def _because(run: Run, reasons: Mapping[str, int]) -> str:
    if not run.skipped or not reasons:
        return ""
    most = sorted(reasons, key=lambda code: -reasons[code])[:SHOWN_REASONS]
    return ": " + " or ".join(REASONS[code].short for code in most if code in REASONS)
