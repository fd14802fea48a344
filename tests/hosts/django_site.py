"""The settings and the one page of a Django project."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

DEBUG = False
SECRET_KEY = "not one"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.hosts.django_site"
MIDDLEWARE: list[str] = []


def hello(request: HttpRequest) -> JsonResponse:
    """A page of the host's own."""
    return JsonResponse({"hello": "world"})


urlpatterns = [path("v1/hello", hello)]
