"""HubSpot's own client, unmodified but for the host, cannot tell the difference."""

import pytest
from hubspot import HubSpot
from hubspot.crm.associations.v4.models import BatchInputPublicFetchAssociationsBatchRequest
from hubspot.crm.companies.models import BatchReadInputSimplePublicObjectId as CompanyInputs
from hubspot.crm.contacts.exceptions import ApiException
from hubspot.crm.contacts.models import (
    BatchReadInputSimplePublicObjectId,
    PublicMergeInput,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)

from leadloom.sandbox import Sandbox


def test_it_lists_every_contact(official: HubSpot, box: Sandbox) -> None:
    contacts = official.crm.contacts.get_all(properties=["email", "phone"])
    assert {one.id: one.properties.get("email") for one in contacts} == {
        one.id: one.properties.get("email") for one in box.contacts()
    }


def test_it_searches_newest_first(official: HubSpot) -> None:
    request = PublicObjectSearchRequest(
        filter_groups=[], sorts=[{"propertyName": "createdate", "direction": "DESCENDING"}], limit=20, properties=[]
    )
    found = official.crm.contacts.search_api.do_search(public_object_search_request=request)
    created = [one.created_at for one in found.results]
    assert found.total == 350
    assert created == sorted(created, reverse=True)


def test_it_reads_a_batch(official: HubSpot, box: Sandbox) -> None:
    ids = [one.id for one in box.contacts()][:5]
    asked = BatchReadInputSimplePublicObjectId(
        inputs=[{"id": one} for one in ids], properties=["phone"], properties_with_history=[]
    )
    found = official.crm.contacts.batch_api.read(batch_read_input_simple_public_object_id=asked)
    assert sorted(one.id for one in found.results) == sorted(ids)


def test_it_reads_owners_at_work_and_owners_who_left(official: HubSpot) -> None:
    there = official.crm.owners.owners_api.get_page()
    left = official.crm.owners.owners_api.get_page(archived=True)
    assert {one.archived for one in there.results} == {False}
    assert {one.type for one in there.results} == {"PERSON", "QUEUE"}
    assert [one.user_id for one in left.results] == [None, None]
    assert all(one.user_id_including_inactive for one in left.results)


def test_it_reads_properties_with_the_labels_the_customer_chose(official: HubSpot) -> None:
    stage = official.crm.properties.core_api.get_by_name("contacts", "lifecyclestage")
    status = official.crm.properties.core_api.get_by_name("contacts", "hs_lead_status")
    owner = official.crm.properties.core_api.get_by_name("contacts", "hubspot_owner_id")
    assert "On-site visit booked" in {one.label for one in stage.options if one.value.isdecimal()}
    assert "Tried twice, no answer" in {one.label for one in status.options}
    assert owner.external_options
    assert owner.options == []
    everything = official.crm.properties.core_api.get_all("contacts")
    assert {"firstname", "phone", "do_not_text"} <= {one.name for one in everything.results}


def test_it_reads_companies_and_who_belongs_to_them(official: HubSpot, box: Sandbox) -> None:
    linked = next(one for one in box.contacts() if "associatedcompanyid" in one.properties)
    asked = BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": linked.id}])
    links = official.crm.associations.v4.batch_api.get_page(
        from_object_type="contacts",
        to_object_type="companies",
        batch_input_public_fetch_associations_batch_request=asked,
    )
    company = linked.properties["associatedcompanyid"]
    assert [str(to.to_object_id) for to in links.results[0].to] == [company]
    inputs = CompanyInputs(inputs=[{"id": company}], properties=["name"], properties_with_history=[])
    found = official.crm.companies.batch_api.read(batch_read_input_simple_public_object_id=inputs)
    assert found.results[0].properties["name"]


def test_it_creates_updates_and_archives(official: HubSpot, box: Sandbox) -> None:
    api = official.crm.contacts.basic_api
    made = api.create(
        simple_public_object_input_for_create=SimplePublicObjectInputForCreate(
            properties={"email": "New.Person@Example.com", "firstname": "New"}, associations=[]
        )
    )
    assert api.get_by_id(made.id, properties=["email"]).properties["email"] == "new.person@example.com"
    changed = api.update(made.id, simple_public_object_input=SimplePublicObjectInput(properties={"firstname": "Newer"}))
    assert changed.properties["firstname"] == "Newer"
    assert changed.updated_at >= made.updated_at
    api.archive(made.id)
    with pytest.raises(ApiException) as error:
        api.get_by_id(made.id)
    assert error.value.status == 404
    assert api.get_by_id(made.id, archived=True).archived


def test_it_merges_into_a_third_id_that_both_old_ids_lead_to(official: HubSpot, box: Sandbox) -> None:
    first, second = [one.id for one in box.contacts()][:2]
    merged = official.crm.contacts.basic_api.merge(
        public_merge_input=PublicMergeInput(primary_object_id=first, object_id_to_merge=second)
    )
    assert merged.id not in {first, second}
    for old in (first, second):
        assert official.crm.contacts.basic_api.get_by_id(old).id == merged.id


def test_it_renews_its_token(official: HubSpot, box: Sandbox) -> None:
    tokens = official.oauth.tokens_api.create(
        grant_type="refresh_token",
        refresh_token=box.refresh_token,
        client_id=box.client_id,
        client_secret=box.client_secret,
    )
    renewed = HubSpot(access_token=tokens.access_token, host=box.url)
    assert len(renewed.crm.contacts.basic_api.get_page(limit=3).results) == 3
