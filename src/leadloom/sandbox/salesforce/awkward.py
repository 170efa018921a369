"""Hand-made people, each a known trap, to be added on request."""

from leadloom.sandbox.salesforce.ids import id_of

PERSON_ACCOUNT, CONVERTED = "person_account", "converted"
"""Names of those that are more than their fields."""

AWKWARD: dict[str, dict[str, str | None]] = {
    "paris_as_us": {"object": "Contact", "LastName": "Faucheux", "Phone": "(014) 427-4427", "MailingCity": "Paris",
                    "MailingCountry": "France"},
    "owned_by_a_queue": {"object": "Lead", "LastName": "Waiting", "Company": "Queue & Co", "Phone": "+1 212 736 5000",
                         "OwnerId": id_of("Group", 0)},
    PERSON_ACCOUNT: {"object": "Contact", "FirstName": "Pat", "LastName": "Private", "Phone": "+1 212 736 5001",
                     "Company": "Pat Private"},
    "no_account": {"object": "Contact", "LastName": "Alone", "Phone": "(212) 736-5002", "AccountId": None},
    CONVERTED: {"object": "Lead", "FirstName": "Con", "LastName": "Verted", "Company": "Became Customer Ltd",
                "Phone": "+1 212 736 5003", "Email": "con.verted@example.com"},
    "address_in_the_street": {"object": "Contact", "LastName": "Einzeiler", "Phone": "030/2270 1234",
                              "MailingStreet": "Unter den Linden 77\n10117 Berlin\nDeutschland"},
    "many_phones": {"object": "Contact", "LastName": "Hotline", "Phone": "(212) 736-5004",
                    "MobilePhone": "+1 212 736 5005", "HomePhone": "212.736.5006", "OtherPhone": "212-736-5007",
                    "AssistantPhone": "+1 212 736 5008", "Fax": "+1 212 736 5009"},
    "assistant_only": {"object": "Contact", "LastName": "Boss", "AssistantPhone": "+1 212 736 5010"},
    "fax_only": {"object": "Lead", "LastName": "Faxonly", "Company": "Paper Ltd", "Fax": "+1 212 736 5011"},
    "phone_with_extension": {"object": "Lead", "LastName": "Desk", "Company": "Big Office",
                             "Phone": "212-736-5012 ext. 33"},
    "phone_words": {"object": "Lead", "LastName": "Words", "Company": "Talk", "Phone": "call office",
                    "MobilePhone": "+12127365022"},
    "phone_gb_local": {"object": "Lead", "LastName": "Leeds", "Company": "North", "Phone": "020 7946 0018",
                       "Country": "United Kingdom"},
    "no_phone": {"object": "Contact", "LastName": "Mailonly", "Email": "Nora.MAILONLY@example.com"},
    "no_email": {"object": "Contact", "LastName": "Phoneonly", "Phone": "(212) 736-5013"},
    "no_way_to_reach": {"object": "Lead", "LastName": "Unreachable", "Company": "[not provided]"},
    "no_company": {"object": "Lead", "LastName": "[not provided]", "Company": "[not provided]",
                   "Phone": "+1 212 736 5014"},
    "nul_characters": {"object": "Lead", "FirstName": "Nu\u0000l", "LastName": "\u0000x", "Company": "Nul",
                       "Email": "nul@example.com", "Description": "before\u0000after"},
    "emoji": {"object": "Contact", "FirstName": "🦄", "LastName": "👨‍👩‍👧‍👦 🇺🇳", "Email": "emoji@example.com"},
    "markup": {"object": "Lead", "FirstName": "<script>alert(1)</script>", "LastName": "O'Br\"ien & \\Sons",
               "Company": "Markup", "Email": "markup@example.com", "Description": "a,b\n\"c\";d"},
    "formula": {"object": "Lead", "FirstName": "=HYPERLINK(1)", "LastName": "+SUM(A1)", "Company": "Sheet",
                "Email": "formula@example.com"},
    "do_not_call": {"object": "Contact", "LastName": "Optout", "Phone": "+1 212 736 5032", "DoNotCall": "true"},
    "do_not_text": {"object": "Lead", "LastName": "Silent", "Company": "Quiet", "Phone": "+1 212 736 5033",
                    "Do_Not_Text__c": "true"},
    "activity_ahead": {"object": "Contact", "LastName": "Later", "Phone": "+1 212 736 5034",
                       "LastActivityDate": "2099-01-31"},
}  # fmt: skip
