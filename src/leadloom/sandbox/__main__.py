"""A sandbox in a process of its own, for ``Sandbox(own_process=True)``: serves on a socket that the parent opened."""

import json
import socket
import sys

from leadloom.sandbox.server import make_server
from leadloom.sandbox.serving import make_app

settings = json.loads(sys.argv[1])
inherited = socket.socket(fileno=settings.pop("descriptor"))
make_server(make_app(settings.pop("crm"), **settings)).run([inherited])
