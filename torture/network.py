"""Test hosts on this machine: each a network namespace with its own addresses, joined by switches that can be cut.

Needs root and ``ip netns``. Nothing of the machine's own network is touched: the switches live in a namespace too, so
no packet can leave. A cut is silent, as in life: packets vanish, nobody is told, and open connections stay open.
Whatever a crash left behind is taken away at the next start.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

NAMESPACES = Path("/run/netns")
PREFIX = "leadloom-"
NETWORKS = {"data": "10.77.1", "world": "10.77.2"}
"""Where the database is, and where CRMs and people are."""
SLOW_RATE = "1mbit"


class NoNetwork(Exception):
    """This machine or user cannot have namespaces. The message says why."""


class Network:
    """``with Network(db=["data"], crm=["world"], worker=["data", "world"]) as network: …``"""

    def __init__(self, **hosts: Sequence[str]) -> None:
        self._hosts = hosts
        self._mine = f"{PREFIX}{os.getpid()}-"

    def __enter__(self) -> Self:
        _sweep()
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def address(self, host: str, network: str) -> str:
        return f"{NETWORKS[network]}.{list(self._hosts).index(host) + 1}"

    def command(self, host: str, *command: str) -> list[str]:
        """The command, as it is to be run on this host. Keeps its process id."""
        return ["ip", "netns", "exec", self._name(host), *command]

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Sockets that this thread opens in the block are the host's, and stay so."""
        with (
            Path("/proc/thread-self/ns/net").open() as home,
            (NAMESPACES / self._name(host)).open() as there,
        ):
            os.setns(there.fileno(), os.CLONE_NEWNET)
            try:
                yield
            finally:
                os.setns(home.fileno(), os.CLONE_NEWNET)

    def cut(self, host: str, *networks: str) -> None:
        """From now on every packet between the host and these networks is lost."""
        for network in networks:
            _ip("-n", self._name("switch"), "link", "set", _port(host, network), "nomaster")

    def heal(self, host: str, *networks: str) -> None:
        for network in networks:
            _ip("-n", self._name("switch"), "link", "set", _port(host, network), "master", network)

    def slow(self, host: str, network: str) -> str:
        """Make the host's line thin or long, as the kernel can. Answers which."""
        device = ["-n", self._name(host), "qdisc", "replace", "dev", network, "root"]
        for how in (["netem", "delay", "200ms", "50ms", "loss", "1%"], ["tbf", "rate", SLOW_RATE, *_BURST]):
            if subprocess.run(["tc", *device, *how], capture_output=True).returncode == 0:
                return " ".join(how[:3])
        raise NoNetwork("this kernel can neither delay nor throttle (sch_netem, sch_tbf)")

    def quicken(self, host: str, network: str) -> None:
        subprocess.run(["tc", "-n", self._name(host), "qdisc", "del", "dev", network, "root"], capture_output=True)

    def _name(self, host: str) -> str:
        return self._mine + host

    def _build(self) -> None:
        for host in ("switch", *self._hosts):
            _ip("netns", "add", self._name(host))
            _ip("-n", self._name(host), "link", "set", "lo", "up")
        for network in NETWORKS:
            _ip("-n", self._name("switch"), "link", "add", network, "type", "bridge")
            _ip("-n", self._name("switch"), "link", "set", network, "up")
        for host, networks in self._hosts.items():
            for network in networks:
                self._plug(host, network)

    def _plug(self, host: str, network: str) -> None:
        here, switch, port = self._name(host), self._name("switch"), _port(host, network)
        _ip("-n", here, "link", "add", network, "type", "veth", "peer", "name", port, "netns", switch)
        _ip("-n", here, "address", "add", f"{self.address(host, network)}/24", "dev", network)
        _ip("-n", here, "link", "set", network, "up")
        _ip("-n", switch, "link", "set", port, "master", network)
        _ip("-n", switch, "link", "set", port, "up")

    def _remove(self) -> None:
        for host in ("switch", *self._hosts):
            _delete(self._name(host))


_BURST = ("burst", "16kb", "latency", "400ms")


def reason_against() -> str:
    """Why there can be no test hosts here; nothing if there can."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    try:
        with Network(alone=["data"]):
            return ""
    except (NoNetwork, FileNotFoundError) as error:
        return f"network namespaces cannot be made here: {error}"


def _port(host: str, network: str) -> str:
    return f"{host}-{network}"[:15]  # what the kernel allows


def _ip(*args: str) -> str:
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    if done.returncode:
        raise NoNetwork(f"ip {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


def _sweep() -> None:
    """Take away what a run that was killed has left: its process is gone, its namespaces are not."""
    for left in NAMESPACES.glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            _delete(left.name)


def _delete(namespace: str) -> None:
    """And end whatever still runs there: nothing but ours ever did."""
    with suppress(NoNetwork):
        for pid in _ip("netns", "pids", namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _ip("netns", "del", namespace)
