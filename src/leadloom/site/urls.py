"""Every address of the site, by the part that answers it."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from leadloom.site.api import api

urlpatterns = [
    path("", include("leadloom.leads.urls")),
    path("", include("leadloom.connections.urls")),
    path("", include("leadloom.accounts.urls")),
    path("", include("leadloom.live.urls")),
    path("", include("leadloom.site.health_urls")),
    path("texter/", include("leadloom.texter.urls")),
    path("api/", api.urls),
]

handler500 = "leadloom.site.errors.page_failed"

if settings.DEBUG:
    urlpatterns.append(path("admin/", admin.site.urls))
