"""What an operator does from the command line. They act on the server itself, so no sign-in is asked."""


class Unknown(Exception):
    """There is no such thing, or more than one. The message says which names there are."""
