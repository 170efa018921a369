"""Django settings, read from the environment once. docs/operations.md lists them all."""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from croniter import croniter
from django.utils.csp import CSP

from leadloom.site import env
from leadloom.site.keys import secret_keys
from leadloom.site.line import line_to

PACKAGE = Path(__file__).resolve().parent.parent

DATA_DIR = env.data_dir()
DEBUG = env.boolean("LEADLOOM_DEBUG", False)
LEADLOOM_URL = env.text("LEADLOOM_URL", "http://127.0.0.1:8000").rstrip("/")
_own = urlsplit(LEADLOOM_URL)
if _own.scheme not in ("http", "https") or not _own.hostname:
    raise env.SettingError(
        f"LEADLOOM_URL must be a full address such as https://leads.example.com, not {LEADLOOM_URL!r}"
    )
IS_HTTPS = _own.scheme == "https"

# Keys: the first seals, the rest only open, so a key can be rotated without losing anything.
SECRET_KEYS = secret_keys(DATA_DIR)
SECRET_KEY = SECRET_KEYS[0]
SECRET_KEY_FALLBACKS = SECRET_KEYS[1:]

ALLOWED_HOSTS = sorted({_own.hostname, "127.0.0.1", "localhost", "[::1]", *env.words("LEADLOOM_ALLOWED_HOSTS")})
CSRF_TRUSTED_ORIGINS = [f"{_own.scheme}://{_own.netloc}"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "procrastinate.contrib.django",
    "leadloom.accounts",
    "leadloom.connections",
    "leadloom.leads",
    "leadloom.sync",
    "leadloom.texter",
    "leadloom.site",
]

MIDDLEWARE = [
    "leadloom.site.logs.request_log",
    "leadloom.site.wire.json_errors",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "leadloom.site.one_hop.one_hop",
]

ROOT_URLCONF = "leadloom.site.urls"
ASGI_APPLICATION = "leadloom.site.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "site" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leadloom.site.context.product",
            ],
        },
    },
]


def database(url: str) -> dict[str, object]:
    """``postgresql://user:password@host:port/name?host=/socket&sslmode=…`` as Django settings."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise env.SettingError("DATABASE_URL must start with postgresql://")
    options = line_to(url)
    host = options.pop("host", "") or unquote(parts.hostname or "")
    port = str(parts.port or options.pop("port", ""))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "leadloom",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            **options,
            "pool": {
                "min_size": 1,
                "max_size": env.integer("LEADLOOM_DB_POOL", 20, least=2),
                "timeout": 20,
                "max_idle": 60,  # a burst's connections are given back one a minute, not one in ten
            },
        },
    }


# Unset while the embedded PostgreSQL is not up yet: the command line starts it and sets this before Django loads.
DATABASE_URL = env.secret("DATABASE_URL")
DATABASES = {"default": database(DATABASE_URL or "postgresql:///leadloom")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "sign-in"

SESSION_ENGINE = "leadloom.accounts.sessions"
SESSION_COOKIE_NAME = "leadloom_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_SSL_REDIRECT = False  # the proxy in front does it; see docs/operations.md
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.boolean("LEADLOOM_BEHIND_PROXY", False) else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

# Nango: its API, and the page of its Connect UI, which is an iframe.
NANGO_SECRET_KEY = env.secret("NANGO_SECRET_KEY")
NANGO_WEBHOOK_KEY = env.secret("NANGO_WEBHOOK_KEY") or NANGO_SECRET_KEY
NANGO_HOST = env.text("NANGO_HOST", "https://api.nango.dev").rstrip("/")
NANGO_CONNECT_URL = env.text("NANGO_CONNECT_URL", "https://connect.nango.dev").rstrip("/")

_nango_frames = [NANGO_CONNECT_URL] if NANGO_SECRET_KEY else []
_nango_calls = [NANGO_HOST, NANGO_HOST.replace("http", "ws", 1)] if NANGO_SECRET_KEY else []
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF, *_nango_calls],
    "frame-src": _nango_frames or [CSP.NONE],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}

STATIC_URL = "static/"
STATICFILES_DIRS = [PACKAGE / "site" / "static"]
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# What runs when, and who may ask for it.
SYNC_SCHEDULE = env.text("SYNC_SCHEDULE", "0 * * * *")
if not croniter.is_valid(SYNC_SCHEDULE):
    raise env.SettingError(f"SYNC_SCHEDULE must be a cron expression such as '0 * * * *', not {SYNC_SCHEDULE!r}")
CRON_SECRET = env.secret("CRON_SECRET")
METRICS_TOKEN = env.secret("METRICS_TOKEN")
WORKER_CONCURRENCY = env.integer("LEADLOOM_CONCURRENCY", 8, least=1)

# May addresses typed by customers (webhook targets) lie in private networks? Only the operator can say yes.
ALLOW_PRIVATE_URLS = env.boolean("LEADLOOM_ALLOW_PRIVATE_URLS", False)
# May anyone who reaches the site open an account of their own, or only people with an invitation?
OPEN_SIGNUP = env.boolean("LEADLOOM_OPEN_SIGNUP", False)
# The address of a sandbox CRM that the demo offers in its connect dialog; empty outside the demo.
SANDBOX_URL = env.text("LEADLOOM_SANDBOX_URL").rstrip("/")
# Which CRM it simulates, and what opens it: a token, and what the CRM asks for beside a token as a JSON object.
SANDBOX_CRM = env.text("LEADLOOM_SANDBOX_CRM", "hubspot")
SANDBOX_TOKEN = env.text("LEADLOOM_SANDBOX_TOKEN", "pat-na1-sandbox")
SANDBOX_TOLD: dict[str, str] = json.loads(env.text("LEADLOOM_SANDBOX_TOLD", "{}"))
# A sandbox without limits is asked as fast as it answers, for benchmarks. Real CRMs are always asked at their pace.
SANDBOX_UNPACED = env.boolean("LEADLOOM_SANDBOX_UNPACED", False)
DEMO_KEY = env.secret("LEADLOOM_DEMO_KEY")

PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"
PROCRASTINATE_WORKER_DEFAULTS = {"delete_jobs": "successful"}

LOGGING_CONFIG = None  # leadloom.site.logs configures structlog and the standard library together
