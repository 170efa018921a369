"""From POST /api/crm/connect until GET /api/threads answers a lead, the CRM answering after 150 ms with real limits."""

import json
import subprocess
import sys
from pathlib import Path

from bench.report import Row, Wish


def measure(wish: Wish) -> list[Row]:
    contacts = wish.contacts or 5_000
    leadloom = Path(sys.executable).with_name("leadloom")
    command = [str(leadloom), "demo", "--once", "--json", "--contacts", str(contacts), "--latency-ms", "150"]
    printed = subprocess.run([*command, "--limits", "real"], check=True, capture_output=True, text=True).stdout
    figures = json.loads(printed.strip().splitlines()[-1])
    return [
        Row("connect to first lead over HTTP, 150 ms latency", f"{figures['first_lead_s']:.2f} s", "<= 1.0 s"),
        Row(f"all {contacts:,} contacts", f"{figures['complete_s']:.1f} s, {figures['requests']} requests"),
    ]
