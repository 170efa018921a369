"""One switch for the whole worker process: set when it has been told to stop, so that runs hand over at their next
page instead of waiting to be killed."""

import threading

event = threading.Event()
