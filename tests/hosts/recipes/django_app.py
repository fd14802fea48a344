"""Django: the project's `asgi.py`."""

import os

from django.core.asgi import get_asgi_application

from compatgw import from_config

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
gateway = from_config()
app = gateway.beside(get_asgi_application(), "/ai")
