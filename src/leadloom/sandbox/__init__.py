"""Simulated CRMs over real HTTP: demo without credentials, test bed and benchmark in one.

Only the demo, tests and benchmarks may import this package; it imports nothing of Leadloom and no Django.
"""

from leadloom.sandbox.client import Delivery, Sandbox, SandboxStats, TrueContact
from leadloom.sandbox.serving import serve

__all__ = ["Delivery", "Sandbox", "SandboxStats", "TrueContact", "serve"]
