"""The same situations as for connections."""

from tests.connections.conftest import alice, api, box, charlie

__all__ = ["alice", "api", "box", "charlie"]
