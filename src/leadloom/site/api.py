"""The JSON API: one NinjaAPI that the parts add their routers to."""

from ninja import NinjaAPI

api = NinjaAPI(title="Leadloom", version="1", docs_url="/docs")
