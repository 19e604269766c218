"""Where alerts go: a file, mailboxes, a webhook; each tried a stated number of times, within a stated time."""

import contextlib
import hashlib
import http.client
import ipaddress
import json
import os
import re
import smtplib
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from journeybook.errors import JourneybookError
from journeybook.report.reading import said
from journeybook.report.storing import write_json

PASSWORD = "JOURNEYBOOK_SMTP_PASSWORD"
"""Variable of the environment with the password of the mail server's user; a file may not hold it."""
TOKEN = "JOURNEYBOOK_WEBHOOK_TOKEN"
"""Variable with what the webhook takes as a bearer token; without it none is sent."""

_BOX: dict[str, object] = {"type": "string", "pattern": r"^[!-?A-~]+@[!-?A-~]+$"}
_BOXES: dict[str, object] = {"type": "array", "items": _BOX, "minItems": 1}
_TEXT: dict[str, object] = {"type": "string", "minLength": 1}


def _block(required: list[str], **keys: Mapping) -> dict:
    return {"type": "object", "properties": keys, "required": required, "additionalProperties": False}


_SCHEMA = _block(
    [],
    file=_TEXT,
    mail=_block(
        ["host", "from", "to"],
        **{"host": _TEXT, "user": _TEXT, "from": _BOX, "to": _BOXES},
        port={"type": "integer", "minimum": 1, "maximum": 65535},
        security={"enum": ["starttls", "tls", "none"]},
    ),
    webhook=_block(["url"], url=_TEXT),
    timeout_seconds={"type": "number", "exclusiveMinimum": 0, "maximum": 300},
    attempts={"type": "integer", "minimum": 1, "maximum": 10},
    pause_seconds={"type": "number", "minimum": 0, "maximum": 60},
)


@dataclass(frozen=True)
class Target:
    """One place that an alert goes to.

    Attributes:
        kind: `file`, `mail` or `webhook`.
        address: The path, the mailbox, or the URL.
    """

    kind: str
    address: str

    @property
    def said(self) -> str:
        """The place in words; the path of a URL may be a secret, and is left out."""
        if self.kind == "webhook":
            parts = urlsplit(self.address)
            return f"webhook {parts.scheme}://{parts.netloc}"
        return f"mail to {self.address}" if self.kind == "mail" else f"file {self.address}"

    @property
    def key(self) -> str:
        """What the place is known by, where its address must not be read."""
        return f"{self.kind}:{hashlib.sha256(self.address.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Delivery:
    """Where alerts go, and how.

    Attributes:
        targets: The places.
        mail: Keys of the block `mail`, its defaults filled in; empty without one.
        timeout_seconds: How long a server may be silent.
        attempts: How often a place is tried where trying again may help.
        pause_seconds: The wait before the second attempt; it doubles from one to the next.
    """

    targets: tuple[Target, ...]
    mail: Mapping[str, Any]
    timeout_seconds: float = 10
    attempts: int = 3
    pause_seconds: float = 1


@dataclass(frozen=True)
class Message:
    """What is sent: the `run` it is about, a `subject`, a `text`, and the `content` of the JSON."""

    run: str
    subject: str
    text: str
    content: Mapping[str, Any]


class Undelivered(Exception):
    """A message did not reach its place; one sentence."""


def delivery_of(
    block: object, *, where: str, base: Path, environment: Mapping[str, str] | None = None
) -> Delivery:
    """Return what a block `alerts:` asks for, checked; relative paths are relative to `base`.

    Secrets are looked up in `environment`; without one the block is only checked, for whoever sends nothing.

    Raises:
        JourneybookError: A key is unknown, missing, of another type or out of its range; no place is named; a
            secret stands in the file, or would cross a network in the clear. One sentence that names the key.
    """
    import jsonschema

    block = {} if block is None else block
    if isinstance(block, dict) and isinstance(block.get("mail"), dict) and "password" in block["mail"]:
        raise JourneybookError(f"{where}: alerts.mail.password: a password is read from {PASSWORD} alone.")
    wrong = next(jsonschema.Draft202012Validator(_SCHEMA).iter_errors(block), None)
    if wrong is not None:
        at = ".".join(["alerts", *map(str, wrong.absolute_path)])
        raise JourneybookError(f"{where}: {at}: {wrong.message}.")
    assert isinstance(block, dict)
    mail = {"security": "starttls", "user": "", **block["mail"]} if "mail" in block else {}
    if mail.get("user") and environment is not None and not environment.get(PASSWORD):
        raise JourneybookError(f"{where}: alerts.mail.user is given, but the environment has no {PASSWORD}.")
    targets = [Target("file", str(base / block["file"]))] if "file" in block else []
    if mail:
        mail.setdefault("port", {"starttls": 587, "tls": 465, "none": 25}[mail["security"]])
        if mail["security"] == "none" and not _is_here(mail["host"]):
            raise JourneybookError(
                f"{where}: alerts.mail.security is none, but {mail['host']} is another computer: starttls or tls "
                "is needed."
            )
        targets += [Target("mail", box) for box in dict.fromkeys(mail["to"])]
    if "webhook" in block:
        targets.append(
            Target("webhook", _url(block["webhook"]["url"], environment, where=f"{where}: alerts.webhook.url"))
        )
    if not targets:
        raise JourneybookError(f"{where}: alerts names nothing to send to: a file, mail or webhook is needed.")
    limits = {name: block[name] for name in ("timeout_seconds", "attempts", "pause_seconds") if name in block}
    return Delivery(tuple(targets), mail, **limits)


def _url(given: str, environment: Mapping[str, str] | None, *, where: str) -> str:
    """A URL as it stands, or, given as `$NAME`, from the environment."""
    url, shown = given, said(given)
    if given.startswith("$"):
        if environment is None:
            return given
        url, shown = environment.get(given[1:], ""), given
        if not url:
            raise JourneybookError(f"{where} is {given}, but the environment has no {given[1:]}.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or re.search(r"[\s\x00-\x1f]", url):
        raise JourneybookError(f"{where} is {shown}, but must be a URL such as https://example.org/hook.")
    if "@" in parts.netloc:
        raise JourneybookError(f"{where} holds a user or a password: a token is read from {TOKEN} alone.")
    if parts.scheme == "http" and not _is_here(host):
        raise JourneybookError(f"{where} is http, but {host} is another computer: https is needed.")
    return url


def _is_here(host: str) -> bool:
    """Whether a host is this computer, so that nothing crosses a network."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def deliver(message: Message, target: Target, how: Delivery) -> None:
    """Bring a message to one place.

    An attempt that may go well the next time (no connection, no answer in time, an answer of 429, 5xx, or of mail
    4xx) is made again, after a pause that doubles. A server that took a message and was silent may get it twice:
    both carry the same `Message-ID` or `Idempotency-Key`.

    Raises:
        Undelivered: No attempt went well.
    """
    way = {"file": _write, "mail": _mail, "webhook": _post}[target.kind]
    for attempt in range(1, how.attempts + 1):
        try:
            way(message, target, how)
            return
        except (OSError, http.client.HTTPException) as error:
            why, again = _why(error, how)
            if not again or attempt == how.attempts:
                tries = f" ({attempt} attempts)" if attempt > 1 else ""
                raise Undelivered(f"{target.said}: not sent: {why}{tries}.") from None
        time.sleep(how.pause_seconds * 2 ** (attempt - 1))


def _write(message: Message, target: Target, _how: Delivery) -> None:
    write_json(Path(target.address), dict(message.content))


def _mail(message: Message, target: Target, how: Delivery) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, how.mail["from"], target.address
    mail["Date"], mail["Auto-Submitted"] = formatdate(), "auto-generated"
    mail["Message-ID"] = f"<{message.run}.{target.key.partition(':')[2]}@{how.mail['from'].rpartition('@')[2]}>"
    mail.set_content(message.text)
    security, place = how.mail["security"], (how.mail["host"], how.mail["port"])
    secure = ssl.create_default_context() if security != "none" else None
    if security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*place, timeout=how.timeout_seconds, context=secure)
    else:
        server = smtplib.SMTP(*place, timeout=how.timeout_seconds)
    try:
        if security == "starttls":
            server.starttls(context=secure)
        if how.mail["user"]:
            server.login(how.mail["user"], os.environ[PASSWORD])
        server.send_message(mail)
        # It has the message: a farewell that goes wrong is no reason to send it again.
        with contextlib.suppress(OSError):
            server.quit()
    finally:
        server.close()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: followed, the message would be left behind."""

    def redirect_request(self, *_asked: Any, **_how: Any) -> None:
        """Follow nowhere."""


def _post(message: Message, target: Target, how: Delivery) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "journeybook", "Idempotency-Key": message.run}
    if token := os.environ.get(TOKEN):
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps(message.content).encode()
    request = urllib.request.Request(target.address, data=body, headers=headers, method="POST")
    here = [urllib.request.ProxyHandler({})] if _is_here(urlsplit(target.address).hostname or "") else []
    with urllib.request.build_opener(_NoRedirect, *here).open(request, timeout=how.timeout_seconds):
        pass


def _why(error: Exception, how: Delivery) -> tuple[str, bool]:
    """What went wrong in words, without a text of the server's, and whether the next attempt may go well."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"the server answers {error.code}", error.code == 429 or error.code >= 500
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, TimeoutError):
        error = error.__context__
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
        return f"the server refuses this recipient ({code})", 400 <= code < 500
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the server refuses the user and the password in {PASSWORD} ({error.smtp_code})", False
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server answers {error.smtp_code}", 400 <= error.smtp_code < 500
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "the server does not offer STARTTLS, or no login", False
    if isinstance(error, TimeoutError):
        return f"no answer within {how.timeout_seconds:g} s", True
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})", False
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused", True
    if isinstance(error, socket.gaierror):
        return "no such host is known", error.errno == socket.EAI_AGAIN
    if isinstance(error, ConnectionError | smtplib.SMTPServerDisconnected | http.client.HTTPException):
        return "the connection broke off", True
    return getattr(error, "strerror", None) or type(error).__name__, False
