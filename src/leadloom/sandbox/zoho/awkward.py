"""Hand-made people, each a known trap, to be added on request."""

AWKWARD: dict[str, dict[str, str | None]] = {
    "no_first_name": {"module": "Leads", "Last_Name": "Okafor", "Phone": "+1 212 736 5000"},
    "no_phone": {"module": "Contacts", "Last_Name": "Mailonly", "Email": "nora.mailonly@example.com"},
    "no_email": {"module": "Contacts", "Last_Name": "Phoneonly", "Phone": "(212) 736-5001"},
    "no_way_to_reach": {"module": "Leads", "Last_Name": "Unreachable"},
    "assistant_only": {"module": "Contacts", "Last_Name": "Boss", "Asst_Phone": "+1 212 736 5002"},
    "fax_only": {"module": "Leads", "Last_Name": "Faxonly", "Fax": "+1 212 736 5003"},
    "home_phone_only": {"module": "Contacts", "Last_Name": "Home", "Home_Phone": "+1 212 736 5004"},
    "phone_words": {"module": "Leads", "Last_Name": "Words", "Phone": "call office", "Mobile": "+12127365022"},
    "phone_de_slash": {"module": "Contacts", "Last_Name": "Köln", "Phone": "030/2270 1234",
                       "Mailing_Country": "Deutschland"},
    "phone_gb_local": {"module": "Leads", "Last_Name": "Leeds", "Phone": "020 7946 0018", "Country": "United Kingdom"},
    "nul_characters": {"module": "Leads", "First_Name": "Nu\u0000l", "Last_Name": "\u0000x",
                       "Email": "nul@example.com", "Description": "before\u0000after"},
    "emoji": {"module": "Contacts", "First_Name": "🦄", "Last_Name": "👨‍👩‍👧‍👦 🇺🇳", "Email": "emoji@example.com"},
    "markup": {"module": "Leads", "First_Name": "<script>alert(1)</script>", "Last_Name": "O'Br\"ien & \\Sons",
               "Email": "markup@example.com"},
    "formula": {"module": "Leads", "First_Name": "=HYPERLINK(1)", "Last_Name": "+SUM(A1)",
                "Email": "formula@example.com"},
    "opted_out_of_mail": {"module": "Contacts", "Last_Name": "Optout", "Phone": "+1 212 736 5032",
                          "Email_Opt_Out": "true"},
}  # fmt: skip
