"""Zoho's own client, unmodified but for the address, cannot tell the difference.

It signs in by refresh token, learns the fields of a module before its records, and goes where the token reply says.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.api.logger import Logger
from zohocrmsdk.src.com.zoho.crm.api import HeaderMap, Initializer, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.bulk_read import BodyWrapper as BulkBody
from zohocrmsdk.src.com.zoho.crm.api.bulk_read import BulkReadOperations, Criteria, Query
from zohocrmsdk.src.com.zoho.crm.api.coql import BodyWrapper, CoqlOperations
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.fields import MinifiedField
from zohocrmsdk.src.com.zoho.crm.api.modules import MinifiedModule
from zohocrmsdk.src.com.zoho.crm.api.org import OrgOperations
from zohocrmsdk.src.com.zoho.crm.api.record import (
    GetDeletedRecordsHeader,
    GetDeletedRecordsParam,
    GetRecordsHeader,
    GetRecordsParam,
    RecordOperations,
)
from zohocrmsdk.src.com.zoho.crm.api.sdk_config import SDKConfig
from zohocrmsdk.src.com.zoho.crm.api.users import GetUsersParam, UsersOperations
from zohocrmsdk.src.com.zoho.crm.api.util import Choice

from leadloom.sandbox import Sandbox

FIELDS = "Last_Name,Phone,Email,Owner,Modified_Time,Lead_Status,$converted_detail"
LONG_AGO, NEVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox("zoho", contacts=450, seed=7) as sandbox:
        Initializer.initialize(
            DataCenter.Environment(sandbox.url, f"{sandbox.url}/oauth/v2/token", sandbox.url),
            OAuthToken(
                client_id=sandbox.client_id,
                client_secret=sandbox.client_secret,
                refresh_token=sandbox.refresh_token,
                find_user=False,
            ),
            store=FileStore(str(tmp_path / "tokens.txt")),
            sdk_config=SDKConfig(auto_refresh_fields=False, pick_list_validation=False),
            resource_path=str(tmp_path),
            logger=Logger.get_instance(level=Logger.Levels.ERROR, file_path=str(tmp_path / "log.txt")),
        )
        yield sandbox


def people(module: str, *, since: datetime | None = None, **more: Any) -> Iterator[Any]:
    """Every page's records, by page token."""
    token = None
    while True:
        asked, headers = ParameterMap(), HeaderMap()
        for name, value in {"fields": FIELDS, "per_page": 200, "page_token": token, **more}.items():
            if value is not None:
                asked.add(getattr(GetRecordsParam, name), value)
        if since:
            headers.add(GetRecordsHeader.if_modified_since, since)
        reply = RecordOperations(module).get_records(asked, headers)
        if reply.get_status_code() in (204, 304):
            return
        yield from reply.get_object().get_data()
        info = reply.get_object().get_info()
        if not info.get_more_records():
            return
        token = info.get_next_page_token()


def ids(records: Iterator[Any]) -> set[str]:
    return {str(one.get_id()) for one in records}


def of_module(box: Sandbox, module: str) -> list[str]:
    return [one.id for one in box.contacts() if one.properties["module"] == module]


@pytest.mark.parametrize("module", ["Leads", "Contacts"])
def test_it_lists_everybody_by_page_token(box: Sandbox, module: str) -> None:
    assert ids(people(module)) == set(of_module(box, module))


def test_it_reads_times_owners_and_statuses(box: Sandbox) -> None:
    found = list(people("Leads"))
    assert all(one.get_key_value("Modified_Time").tzinfo is not None for one in found)
    assert {one.get_key_value("Owner").get_name() for one in found} >= {"Ada Okafor", "Hana Petrova"}
    assert "Attempted to Contact" in {
        choice.get_value() for one in found if (choice := one.get_key_value("Lead_Status"))
    }


def test_it_reads_what_changed_and_takes_nothing_changed_for_an_answer(box: Sandbox) -> None:
    assert ids(people("Leads", since=LONG_AGO)) == set(of_module(box, "Leads"))
    assert ids(people("Leads", since=NEVER)) == set()


def test_it_reads_deleted_records(box: Sandbox) -> None:
    def deleted(since: datetime) -> dict[str, str]:
        asked, headers = ParameterMap(), HeaderMap()
        asked.add(GetDeletedRecordsParam.type, "all")
        headers.add(GetDeletedRecordsHeader.if_modified_since, since)
        reply = RecordOperations("Leads").get_deleted_records(asked, headers)
        rows = reply.get_object().get_data() if reply.get_status_code() == 200 else []
        return {str(row.get_id()): row.get_type() for row in rows}

    own_id = of_module(box, "Leads")[0]
    assert deleted(LONG_AGO) == {}
    box.archive(own_id)
    assert deleted(LONG_AGO) == {own_id: "recycle"}
    assert deleted(NEVER) == {}


def test_it_queries_by_id(box: Sandbox) -> None:
    known = of_module(box, "Contacts")
    wrapper = BodyWrapper()
    wrapper.set_select_query(f"select id from Contacts where id < '{known[-1]}' order by id desc limit 2000")
    found = CoqlOperations().get_records(wrapper).get_object()
    assert [str(one.get_id()) for one in found.get_data()] == known[-2::-1]


def test_it_has_a_file_of_the_rest_prepared_and_downloads_it(box: Sandbox) -> None:
    known = of_module(box, "Contacts")
    module, field, below, query, body = MinifiedModule(), MinifiedField(), Criteria(), Query(), BulkBody()
    module.set_api_name("Contacts")
    field.set_api_name("id")
    below.set_field(field)
    below.set_comparator(Choice("less_than"))
    below.set_value(known[-1])
    query.set_module(module)
    query.set_fields(["Last_Name", "Owner"])
    query.set_criteria(below)
    body.set_query(query)
    operations = BulkReadOperations()
    job = operations.create_bulk_read_job(body).get_object().get_data()[0].get_details()["id"]

    def told() -> Any:
        [found] = operations.get_bulk_read_job_details(int(job)).get_object().get_data()
        return found

    assert told().get_state().get_value() in ("ADDED", "IN PROGRESS")
    box.advance(10)
    assert told().get_state().get_value() == "COMPLETED"
    assert (told().get_result().get_count(), told().get_result().get_more_records()) == (len(known) - 1, False)
    stream = operations.download_result(int(job)).get_object().get_file().get_stream()
    with ZipFile(BytesIO(b"".join(stream))) as archive:
        rows = list(csv.DictReader(StringIO(archive.read(archive.namelist()[0]).decode())))
    assert [row["id"] for row in rows] == known[:-1]
    assert set(rows[0]) == {"id", "Last_Name", "Owner"}


def test_it_reads_users_who_left_and_the_organisation(box: Sandbox) -> None:
    asked = ParameterMap()
    asked.add(GetUsersParam.type, "AllUsers")
    users = UsersOperations().get_users(asked).get_object().get_users()
    assert {one.get_status() for one in users} == {"active", "inactive", "deleted"}
    [org] = OrgOperations().get_organization().get_object().get_org()
    assert (org.get_company_name(), org.get_zgid()) == ("Sandbox Sales", "20081234567")
