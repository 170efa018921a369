"""The job of leads. Wiring only: ids in, one function called. It is safe to run twice and safe to kill."""

from procrastinate.contrib.django import app


@app.task(name="leads.undo", queue="sync", priority=25)
def undo_job(undo_id: int, account_id: int) -> None:
    from leadloom.leads.undo import work_on

    work_on(undo_id, account_id)
