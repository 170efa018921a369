"""What a command tells its user when it cannot do what was asked: one sentence, no traceback."""


class Complaint(Exception):
    """The message says what is wrong and what to do. It is all that the user sees."""
