"""What a migration would do to the version that still runs while it is made, and until it is replaced.

An upgrade migrates first and restarts afterwards: for minutes, or for days where somebody is careful, yesterday's code
reads and writes tomorrow's tables. So tables grow first, in one release, and shrink in a later one.
"""

import re
from collections.abc import Iterator

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation

# Rows are written there all day, by the thousand: while a plain index is built, nobody writes.
GROWING = {"lead", "sourcecontact", "leadchange", "message", "runcontact", "run", "delivery"}
TAKES_AWAY = re.compile(
    r"\b(DROP\s+(TABLE|COLUMN|FUNCTION|VIEW|TYPE|SEQUENCE|DEFAULT)|RENAME\b|SET\s+NOT\s+NULL|ALTER\s+COLUMN\s+\w+\s+TYPE"
    r"|TRUNCATE|VALIDATE\s+CONSTRAINT\s+\w+\s*;\s*DROP)",
    re.IGNORECASE,
)


def troubles(operation: Operation) -> Iterator[str]:
    """Why old code would not survive it; nothing if it would."""
    match operation:
        case ops.RemoveField() | ops.DeleteModel():
            yield "old code still reads and writes it: take it away one release after the last code that names it"
        case ops.RenameField() | ops.RenameModel() | ops.AlterModelTable() | ops.RenameIndex():
            yield "old code knows only the old name: add the new one, copy, and take the old one away later"
        case ops.AddField(field=field) if not field.null and not field.has_db_default() and not field.many_to_many:
            yield "old code inserts rows without it: give it a db_default, or let it be null"
        case ops.AlterField(field=field) if not field.null and not field.has_db_default():
            yield "old code may leave it empty, or write what no longer fits: say why it does not"
        case ops.AddConstraint():
            yield "old code may write what it forbids: say why it does not"
        case AddIndexConcurrently():
            return
        case ops.AddIndex(model_name_lower=model) if model in GROWING:
            yield "nobody writes while it is built: AddIndexConcurrently, in a migration with atomic = False"
        case ops.RunSQL(sql=sql) if found := TAKES_AWAY.search(str(sql)):
            yield f"{found[0]}: old code may still need it"
        case ops.SeparateDatabaseAndState():
            for inner in operation.database_operations:
                yield from troubles(inner)
        case _:
            return
