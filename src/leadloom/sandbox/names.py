"""Names, firms, places and remarks from which the population is drawn. All invented or generic."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Culture:
    """Where a kind of name is common, and how often it is drawn."""

    regions: tuple[str, ...]
    weight: int
    firsts: tuple[str, ...]
    lasts: tuple[str, ...]


# fmt: off
CULTURES = (
    Culture(
        ("US", "GB"),
        46,
        (
            "James", "Mary", "Robert", "Patricia", "Linda", "Michael", "David", "Susan", "Karen", "Daniel",
            "Lisa", "Mark", "Sandra", "Paul", "Emily",
        ),
        (
            "Smith", "Johnson", "Brown", "Miller", "Davis", "Wilson", "Taylor", "Clark", "Lewis", "Walker",
            "Young", "King", "Wright", "Hill", "Baker",
        ),
    ),
    Culture(
        ("US",),
        10,
        ("José", "María", "Sofía", "Andrés", "Lucía", "Ángel", "Inés", "Raúl"),
        ("García Márquez", "Muñoz", "Peña", "Núñez", "Ibáñez", "Ordóñez", "de la Cruz", "Castañeda"),
    ),
    Culture(
        ("GB", "US"),
        6,
        ("Aoife", "Seán", "Niamh", "Conor", "Siobhán", "Pádraig"),
        ("O'Brien", "O'Neill", "Ó Súilleabháin", "McCarthy", "Byrne"),
    ),
    Culture(
        ("DE",),
        14,
        ("Jürgen", "Käthe", "Björn", "Günter", "Anneliese", "Sören", "Ulrike", "Matthias", "Jörg", "Heike"),
        (
            "Müller", "Schäfer", "Weiß", "Köhler", "Groß", "Krüger", "Böhm", "Schröder", "Vogt", "Lange",
            "von der Heide",
        ),
    ),
    Culture(
        ("FR",),
        8,
        ("Élodie", "François", "Chloé", "Benoît", "Hélène", "Loïc", "Anaïs", "Jérôme"),
        ("Lefèvre", "Bérard", "Gauthier", "Faucheux", "Désormeaux", "Périer", "Guérin"),
    ),
    Culture(
        ("IN",),
        5,
        ("Priya", "Arjun", "Kavya", "Rohan", "Ananya", "Vikram", "Meera", "Sanjay"),
        ("Sharma", "Patel", "Iyer", "Nair", "Gupta", "Reddy", "Joshi", "Banerjee"),
    ),
    Culture(("IN",), 2, ("प्रिया", "अर्जुन", "मीरा"), ("शर्मा", "पटेल", "गुप्ता")),
    Culture(("US", "GB"), 2, ("محمد", "فاطمة", "ليلى", "يوسف"), ("الهاشمي", "حداد", "المصري")),
    Culture(("US",), 1, ("נועה", "יוסף", "תמר"), ("כהן", "לוי", "מזרחי")),
    Culture(("US",), 2, ("伟", "秀英", "さくら", "健太"), ("王", "李", "佐藤", "鈴木")),
    Culture(("DE", "GB"), 2, ("Олена", "Дмитро", "Ірина"), ("Шевченко", "Коваль", "Бондар")),
    Culture(("US", "GB"), 2, ("Zoë 🌟", "Max 🚀", "Ana 👩‍💻"), ("Hart", "Quinn ✨", "Lopez")),
)
# fmt: on

_HEADS = (
    "Northwind", "Acme", "Bluebird", "Cobalt", "Drift", "Ember", "Fernhill", "Granite", "Harbour", "Ironwood",
    "Juniper", "Kestrel", "Larkspur", "Meridian", "Nimbus", "Oakline", "Pinnacle", "Quarry", "Redwood",
    "Saltmarsh", "Tidewater", "Umbra", "Vesper", "Willow", "Xenon", "Yarrow", "Zephyr",
)  # fmt: skip
FIRMS = tuple(
    f"{head} {tail}"
    for tail in (
        "Logistics",
        "GmbH",
        "& Co.",
        "Ltd",
        "Dental",
        "Roofing",
        "Légumes SARL",
        "Labs",
        "ไทย Foods",
        "株式会社",
    )
    for head in _HEADS
)
PLACES = {
    "US": (("Austin", "TX"), ("Denver", "CO"), ("Portland", "OR"), ("Chicago", "IL"), ("San José", "CA")),
    "GB": (("London", ""), ("Leeds", ""), ("Cardiff", ""), ("Edinburgh", "")),
    "DE": (("Köln", "NW"), ("München", "BY"), ("Görlitz", "SN")),
    "FR": (("Orléans", ""), ("Lyon", ""), ("Besançon", "")),
    "IN": (("Pune", "MH"), ("Kochi", "KL"), ("Bengaluru", "KA")),
}
JOBS = ("Owner", "Office manager", "CEO", "Buyer", "Geschäftsführerin", "Head of Sales", "Facilities", "Directrice")
REMARKS = (
    "Please call after 5 pm.",
    "Interested in the yearly plan.\nAsked for a quote for 12 seats.",
    "Met at the spring fair 🌷 – wants a demo",
    'Said: "not before Q3", try again later',
    "<p>Kitchen &amp; bath, two sites.</p>",
    "Ne parle pas anglais. Rappeler Mme Guérin.",
    "يرجى الاتصال بعد الظهر",
    "Bitte nur per SMS, tagsüber schlecht erreichbar.\r\nDanke!",
    "Referred by a neighbour; roof is 20 years old; two quotes already; wants a visit on a weekend; has a dog.",
    "tabs\tand\\slashes / and a long dash — in one line",
)
MAIL_HOSTS = ("example.com", "example.org", "example.net", "mail.example.com", "sales.example.org")
