"""The JSON API: one NinjaAPI that the parts add their routers to. How it speaks is in wire.py."""

from ninja import NinjaAPI

from leadloom.accounts.api import router as accounts
from leadloom.connections.api import router as connections
from leadloom.connections.hooks import router as hooks
from leadloom.leads.api import router as leads
from leadloom.leads.undo_api import router as undos
from leadloom.site.api_docs import PlainDocs
from leadloom.site.wire import StrictParser, explain_errors

api = NinjaAPI(title="Leadloom", version="1", docs_url="/docs", docs=PlainDocs(), parser=StrictParser())
explain_errors(api)
api.add_router("/crm", connections)
api.add_router("", hooks)
api.add_router("", leads)
api.add_router("", undos)
api.add_router("", accounts)
