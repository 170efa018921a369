"""dlt as its documentation recommends it: the REST source with a cursor, merged on the id into PostgreSQL.

It stores records, nested values in columns and tables of their own. It reads no phone numbers, matches nobody and makes
no leads. Run by dlt's own interpreter: ``dlt_loads.py URL TOKEN DSN DATASET FOLDER PROPERTIES``.
"""

import sys
from urllib.parse import parse_qs, quote, urlsplit

import dlt
from dlt.sources.rest_api import rest_api_source

url, token, dsn, dataset, folder, properties = sys.argv[1:]
source = rest_api_source(
    {
        "client": {
            "base_url": f"{url}/crm/v3/objects/",
            "auth": {"type": "bearer", "token": token},
            "paginator": {"type": "cursor", "cursor_path": "paging.next.after", "cursor_param": "after"},
        },
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
        "resources": [
            {
                "name": "contacts",
                "endpoint": {
                    "path": "contacts",
                    "params": {"limit": 100, "properties": properties, "archived": "false"},
                    "data_selector": "results",
                },
            }
        ],
    }
)
address = urlsplit(dsn)
credentials = {
    "username": address.username,
    "password": "trusted on its socket",
    "host": quote(parse_qs(address.query)["host"][0], safe=""),  # the folder of a socket
    "database": address.path.strip("/"),
}
pipeline = dlt.pipeline(
    "contacts", destination=dlt.destinations.postgres(credentials), dataset_name=dataset, pipelines_dir=folder
)
pipeline.run(source)
