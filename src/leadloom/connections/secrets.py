"""Sealing credentials at rest: AES-256-GCM under keys that can be rotated, bound to what they belong to.

A sealed value opens only with one of the configured keys *and* the same context, so a row copied into another account
is of no use there. Format: ``1`` (version), 4 bytes naming the key, 12 bytes of nonce, the sealed text.
"""

import os
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

VERSION = b"1"
KEY_NAME, NONCE = 4, 12  # bytes


class CannotOpen(Exception):
    """No configured key opens this, or it belongs to something else. The message names neither."""


def seal(secret: str, context: str) -> bytes:
    """The secret, sealed with the newest key for this context (``connection:12``)."""
    name, key = _keys(tuple(settings.SECRET_KEYS))[0]
    nonce = os.urandom(NONCE)
    return VERSION + name + nonce + AESGCM(key).encrypt(nonce, secret.encode(), context.encode())


def open_sealed(sealed: bytes, context: str) -> str:
    """The secret. Raises CannotOpen."""
    start = len(VERSION)
    name = sealed[start : start + KEY_NAME]
    nonce = sealed[start + KEY_NAME : start + KEY_NAME + NONCE]
    for known, key in _keys(tuple(settings.SECRET_KEYS)):
        if known != name or sealed[:start] != VERSION:
            continue
        try:
            return AESGCM(key).decrypt(nonce, sealed[start + KEY_NAME + NONCE :], context.encode()).decode()
        except InvalidTag:
            continue
    raise CannotOpen("A sealed secret cannot be opened: is the key it was sealed with still in LEADLOOM_SECRET_KEY?")


def is_sealed_with_newest(sealed: bytes) -> bool:
    """False when rotation should seal it again."""
    name, _ = _keys(tuple(settings.SECRET_KEYS))[0]
    return sealed[len(VERSION) : len(VERSION) + KEY_NAME] == name


@cache
def _keys(texts: tuple[str, ...]) -> tuple[tuple[bytes, bytes], ...]:
    """Each key's name and its 32 bytes, derived for sealing alone: session signing uses the same text differently."""
    return tuple((_derive(text, b"name", KEY_NAME), _derive(text, b"seal", 32)) for text in texts)


def _derive(text: str, purpose: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=None, info=b"leadloom:" + purpose).derive(text.encode())
