"""Hand-made contacts, each a known trap, to be added on request."""

_BASE = {"country": "United States", "lifecyclestage": "lead"}

AWKWARD: dict[str, dict[str, str | None]] = {
    "no_name": {"phone": "+1 212 736 5000", "email": "no.name@example.com"},
    "no_phone": {"firstname": "Nora", "lastname": "Mailonly", "email": "nora.mailonly@example.com"},
    "no_email": {"firstname": "Phil", "lastname": "Phoneonly", "phone": "(212) 736-5001"},
    "no_way_to_reach": {"firstname": "Ghost", "lastname": "Unreachable"},
    "nothing_at_all": {"country": None, "lifecyclestage": None},
    "phone_us_brackets": {"firstname": "F1", "phone": "(212) 736-5010"},
    "phone_us_dots": {"firstname": "F2", "phone": "212.736.5011"},
    "phone_us_bare": {"firstname": "F3", "phone": "2127365012"},
    "phone_us_extension": {"firstname": "F4", "phone": "+1 (212) 736-5013 ext. 204"},
    "phone_gb_local": {"firstname": "F5", "phone": "020 7946 0018", "country": "United Kingdom"},
    "phone_gb_trunk_in_brackets": {"firstname": "F6", "phone": "+44 (0)20 7946 0019", "country": "United Kingdom"},
    "phone_gb_double_zero": {"firstname": "F7", "phone": "0044 20 7946 0020", "country": "UK"},
    "phone_de_slash": {"firstname": "F8", "phone": "030/2270 1234", "country": "Deutschland"},
    "phone_fr_pairs": {"firstname": "F9", "phone": "01 42 34 20 00", "country": "France"},
    "phone_in_bare": {"firstname": "F10", "phone": "98450 12345", "country": "India"},
    "phone_arabic_digits": {"firstname": "F11", "phone": "+٤٤ ٢٠ ٧٩٤٦ ٠٠٢١"},
    "phone_two_in_one": {"firstname": "F12", "phone": "212-736-5020 / 212-736-5021"},
    "phone_words": {"firstname": "F13", "phone": "call office", "mobilephone": "+12127365022"},
    "description_1mb": {
        "firstname": "Long",
        "lastname": "Story",
        "email": "long@example.com",
        "message": "x" * 1_048_576,
    },
    "nul_characters": {
        "firstname": "Nu\u0000l",
        "lastname": "\u0000",
        "email": "nul@example.com",
        "message": "before\u0000after",
        "phone": "+1 212\u0000 736 5030",
    },
    "control_characters": {"firstname": "Tab\tNew\nLine", "lastname": "Bell\u0007", "email": "control@example.com"},
    "emoji": {"firstname": "🦄", "lastname": "👨‍👩‍👧‍👦 🇺🇳", "email": "emoji@example.com", "phone": "+1 212 736 5031"},
    "right_to_left": {
        "firstname": "\u202eمحمد",
        "lastname": "الهاشمي",
        "phone": "+44 20 7946 0022",
        "message": "مرحبا",
    },
    "very_long_name": {"firstname": "Wolfeschlegelsteinhausen" * 12, "email": "long.name@example.com"},
    "markup": {
        "firstname": "<script>alert(1)</script>",
        "lastname": "O'Br\"ien & \\Sons",
        "email": "markup@example.com",
    },
    "formula": {"firstname": "=HYPERLINK(1)", "lastname": "+SUM(A1)", "email": "formula@example.com"},
    "unknown_owner": {"firstname": "Lost", "lastname": "Owner", "email": "lost@example.com", "hubspot_owner_id": "77"},
    "unknown_stage": {"firstname": "Odd", "lastname": "Stage", "email": "odd@example.com", "lifecyclestage": "999999"},
    "opted_out": {
        "firstname": "Opal",
        "lastname": "Optout",
        "email": "opal@example.com",
        "phone": "+1 212 736 5032",
        "hs_email_optout": "true",
        "do_not_text": "true",
    },
    "sample": {"firstname": "Maria", "lastname": "Johnson (Sample Contact)", "email": "emailmaria@example.com"},
}
AWKWARD = {name: {**_BASE, **values} for name, values in AWKWARD.items()}
