"""The ASGI entry: ``uvicorn leadloom.site.asgi:application``."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadloom.site.settings")

from django.core.asgi import get_asgi_application

from leadloom.live.one_thread import share_a_thread

application = share_a_thread(get_asgi_application())
