"""Alerts reach real servers on this computer, once, with nobody's name; each that fails is one sentence."""

import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from journeybook.cli import main
from journeybook.errors import JourneybookError
from journeybook.report.alerting import REGISTER, alert, identifying, message_of, read_delivery
from journeybook.report.delivering import PASSWORD, TOKEN
from journeybook.report.outcomes import PageOutcome, exit_code, with_checks
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters
from journeybook.report.storing import locked, write_json

ALARM = {
    "table": "transactions", "source": "till", "measure": "completeness", "column": "revenue",
    "since": "2017-11-06", "until": "2017-11-12 23:59:59", "expected": 0.99, "seen": 0.625, "effect": -0.365,
    "low": -0.40, "high": -0.33, "verdict": "changed", "is_new": True,
}  # fmt: skip
CHECK = {
    "name": "rows in, rows out", "passed": False, "value": 1469307, "rule": "within", "reference": 1469306,
    "tolerance": 0, "source": "counted apart", "kind": "conservation",
}  # fmt: skip


def finished(out: Path, *, alerts: list[dict], checks: list[dict], failed: tuple[str, ...] = ()) -> Path:
    """A folder as a run leaves it."""
    write_json(out / "results" / "15_monitoring.json", {"tables": {"alerts": alerts}, "checks": []})
    write_json(out / "results" / "02_cleaning.json", {"tables": {}, "checks": checks})
    statuses = {"02_cleaning": "done", "15_monitoring": "done"} | dict.fromkeys(failed, "failed")
    pages = {name: {"status": status} for name, status in statuses.items()}
    about = {"ended_at": "2026-01-05T06:00:00+00:00", "parameters": {"dataset": "files"}}
    write_json(out / "manifest.json", {"pages": pages, **about})
    return out


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run with one alarm and one failed check; an old alarm and a known miss are neither."""
    old, miss = ALARM | {"is_new": False}, CHECK | {"name": "known", "kind": "known_miss"}
    return finished(tmp_path / "report", alerts=[old, ALARM], checks=[CHECK, miss])


@pytest.fixture
def asked(tmp_path: Path):
    """Write a block `alerts:`, quick to give up; returns its file."""

    def write(**block: object) -> Path:
        path = tmp_path / "to.yaml"
        quick = {"timeout_seconds": 1, "attempts": 3, "pause_seconds": 0.01}
        path.write_text(json.dumps({"alerts": quick | block}), encoding="utf-8")
        return path

    return write


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Box:
    """Keeps what a mail server took; `answers` come before it takes anything."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.mails, self.asked = list(answers), [], 0

    async def handle_DATA(self, _server, _session, envelope) -> str:
        self.asked += 1
        if self.answers:
            return self.answers.pop(0)
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 taken"


@contextmanager
def mail_server(box: Box, **how: object) -> Iterator[int]:
    server = Controller(box, hostname="127.0.0.1", port=free_port(), **how)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@contextmanager
def web_server(*answers: int) -> Iterator[tuple[str, list]]:
    """An HTTP server that gives these answers in turn, the last for good; yields its URL and what it got."""
    left, got = list(answers), []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook/secret", got
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


def plain(port: int, **more: object) -> dict:
    return {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from": "a@b.example",
        "to": ["ops@c.example"],
        **more,
    }


def test_the_alarm_and_the_failed_check_leave_by_all_three_ways(out: Path, asked, tmp_path: Path, capsys) -> None:
    box = Box()
    with mail_server(box) as port, web_server(200) as (url, got):
        to = asked(
            file="alerts.json", mail=plain(port, to=["ops@c.example", "lead@c.example"]), webhook={"url": url}
        )
        assert main(["alert", "--out", str(out), "--to", str(to)]) == 0
    said = capsys.readouterr()
    assert said.err == "" and said.out.count(": sent: journeybook: 1 alarm, 1 failed check (files).") == 4
    assert "secret" not in said.out, "the path of a webhook is often all that guards it"
    written = json.loads((tmp_path / "alerts.json").read_text("utf-8"))
    assert got[0][2] == written
    assert written["alarms"] == [ALARM] and written["counts"] == {
        "alarms": 1,
        "failed_checks": 1,
        "failed_pages": 0,
    }
    assert [row["name"] for row in written["failed_checks"]] == ["rows in, rows out"]
    assert [to for to, _ in box.mails] == [["ops@c.example"], ["lead@c.example"]]
    mail = box.mails[0][1]
    assert mail["Subject"] == "journeybook: 1 alarm, 1 failed check (files)" and mail["To"] == "ops@c.example"
    lines = mail.get_content().splitlines()
    assert (
        "* transactions from till: completeness of revenue, 2017-11-06 to 2017-11-12: 0.625 seen, 0.99 expected, "
        "effect -0.365 (-0.4 to -0.33)" in lines
    )
    assert "* 02_cleaning: rows in, rows out: 1,469,307, must be 1,469,306" in lines
    assert got[0][1]["Idempotency-Key"] == written["run"] and written["run"] in mail["Message-ID"]


def test_a_run_is_told_once_and_another_one_again(out: Path, asked, capsys) -> None:
    box = Box()
    with mail_server(box) as port, web_server(200) as (url, got):
        to = str(asked(mail=plain(port), webhook={"url": url}))
        for _ in range(2):
            assert main(["alert", "--out", str(out), "--to", to]) == 0
        assert capsys.readouterr().out.count("has it already; nothing was sent again.") == 2
        assert len(box.mails) == len(got) == 1
        finished(out, alerts=[ALARM | {"seen": 0.5}], checks=[])
        assert main(["alert", "--out", str(out), "--to", to]) == 0
        assert len(box.mails) == len(got) == 2
    assert len({mail["Message-ID"] for _, mail in box.mails}) == 2
    kept = (out / REGISTER).read_text("utf-8")
    assert "ops@" not in kept and "secret" not in kept


def test_what_failed_is_sent_later_and_what_arrived_is_not_sent_twice(out: Path, asked, capsys) -> None:
    box, port = Box(), free_port()
    with web_server(200) as (url, got):
        to = str(asked(mail=plain(port), webhook={"url": url}))
        assert main(["alert", "--out", str(out), "--to", to]) == 1
        said = capsys.readouterr()
        assert (
            said.err == "journeybook: mail to ops@c.example: not sent: the connection is refused (3 attempts).\n"
        )
        server = Controller(box, hostname="127.0.0.1", port=port)
        server.start()
        try:
            assert main(["alert", "--out", str(out), "--to", to]) == 0
        finally:
            server.stop()
        assert len(box.mails) == len(got) == 1


@pytest.mark.parametrize(
    ("answers", "attempts", "code", "why"),
    [
        ((500, 503, 200), 3, 0, None),
        ((429, 200), 2, 0, None),
        ((500,), 3, 1, "the server answers 500 (3 attempts)"),
        ((404,), 1, 1, "the server answers 404"),
        ((302,), 1, 1, "the server answers 302"),
    ],
)
def test_a_webhook_is_tried_again_where_that_may_help(
    out: Path, asked, answers: tuple, attempts: int, code: int, why: str | None, capsys
) -> None:
    with web_server(*answers) as (url, got):
        assert main(["alert", "--out", str(out), "--to", str(asked(webhook={"url": url}))]) == code
    assert len(got) == attempts and len({headers["Idempotency-Key"] for _, headers, _ in got}) == 1
    host = url.partition("/hook")[0]
    assert capsys.readouterr().err == (f"journeybook: webhook {host}: not sent: {why}.\n" if why else "")


@pytest.mark.parametrize(
    ("answers", "asked_for", "code", "why"),
    [
        (("451 later", "421 later"), 3, 0, None),
        (("554 no",), 1, 1, "the server answers 554"),
        (("451 a", "451 b", "451 c"), 3, 1, "the server answers 451 (3 attempts)"),
    ],
)
def test_mail_is_tried_again_where_that_may_help(
    out: Path, asked, answers: tuple, asked_for: int, code: int, why: str | None, capsys
) -> None:
    box = Box(*answers)
    with mail_server(box) as port:
        assert main(["alert", "--out", str(out), "--to", str(asked(mail=plain(port)))]) == code
    assert (box.asked, len(box.mails)) == (asked_for, int(code == 0))
    assert capsys.readouterr().err == (f"journeybook: mail to ops@c.example: not sent: {why}.\n" if why else "")


def test_a_server_that_says_nothing_is_left_in_time(out: Path, asked, capsys) -> None:
    with silent_server() as port:
        hook = {"url": f"http://127.0.0.1:{port}/"}
        to = asked(mail=plain(port), webhook=hook, timeout_seconds=0.2, attempts=2)
        assert main(["alert", "--out", str(out), "--to", str(to)]) == 1
    assert capsys.readouterr().err == (
        "journeybook: mail to ops@c.example: not sent: no answer within 0.2 s (2 attempts).\n"
        f"journeybook: webhook http://127.0.0.1:{port}: not sent: no answer within 0.2 s (2 attempts).\n"
    )


def test_the_pause_doubles(out: Path, asked, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr("journeybook.report.delivering.time.sleep", paused.append)
    with web_server(500) as (url, _):
        to = asked(webhook={"url": url}, attempts=4, pause_seconds=0.5)
        assert main(["alert", "--out", str(out), "--to", str(to)]) == 1
    assert paused == [0.5, 1, 2]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    about = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*made, *about, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def login(_server, _session, _envelope, _mechanism, given) -> AuthResult:
    return AuthResult(success=(given.login, given.password) == (b"reports", b"right"), handled=False)


def test_starttls_and_login_and_a_certificate_that_nobody_vouches_for(
    out: Path, asked, certificate, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(*certificate)
    box = Box()
    how = {"tls_context": secure, "require_starttls": True, "authenticator": login, "auth_required": True}
    with mail_server(box, **how) as port:
        to = str(asked(mail=plain(port, security="starttls", user="reports")))
        assert main(["alert", "--out", str(out), "--to", to]) == 2
        assert f"the environment has no {PASSWORD}." in capsys.readouterr().err
        monkeypatch.setenv(PASSWORD, "right")
        assert main(["alert", "--out", str(out), "--to", to]) == 1
        assert "its certificate is not trusted (self-signed certificate)." in capsys.readouterr().err
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        monkeypatch.setenv(PASSWORD, "wrong")
        assert main(["alert", "--out", str(out), "--to", to]) == 1
        assert f"the server refuses the user and the password in {PASSWORD} (535)." in capsys.readouterr().err
        assert box.mails == []
        monkeypatch.setenv(PASSWORD, "right")
        assert main(["alert", "--out", str(out), "--to", to]) == 0
    assert len(box.mails) == 1


def test_a_password_is_not_sent_where_the_server_offers_no_tls(
    out: Path, asked, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv(PASSWORD, "right")
    box = Box()
    with mail_server(box, authenticator=login, auth_require_tls=False) as port:
        to = asked(mail=plain(port, security="starttls", user="reports"))
        assert main(["alert", "--out", str(out), "--to", str(to)]) == 1
    assert "does not offer STARTTLS" in capsys.readouterr().err and box.mails == []


def test_the_webhook_s_url_and_token_come_from_the_environment(
    out: Path, asked, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    to = str(asked(webhook={"url": "$HOOK_OF_MINE"}))
    assert main(["alert", "--out", str(out), "--to", to]) == 2
    assert (
        "alerts.webhook.url is $HOOK_OF_MINE, but the environment has no HOOK_OF_MINE." in capsys.readouterr().err
    )
    with web_server(204) as (url, got):
        monkeypatch.setenv("HOOK_OF_MINE", url)
        monkeypatch.setenv(TOKEN, "abc")
        assert main(["alert", "--out", str(out), "--to", to]) == 0
    assert got[0][1]["Authorization"] == "Bearer abc"


def test_nothing_to_tell_sends_nothing(tmp_path: Path, asked, capsys) -> None:
    quiet = finished(tmp_path / "quiet", alerts=[], checks=[CHECK | {"passed": True}])
    with web_server(200) as (url, got):
        assert main(["alert", "--out", str(quiet), "--to", str(asked(webhook={"url": url}))]) == 0
    assert got == [] and not (quiet / REGISTER).exists()
    said = "Nothing to tell: no alarm, no failed check, no failed page. Nothing was sent.\n"
    assert capsys.readouterr().out == said


def test_a_failed_page_is_told_by_its_name_alone(tmp_path: Path) -> None:
    message = message_of(finished(tmp_path, alerts=[], checks=[], failed=("03_identity",)))
    assert message is not None and message.subject == "journeybook: 1 failed page (files)"
    assert message.content["failed_pages"] == ["03_identity"]


def test_a_long_list_is_cut_and_counted(tmp_path: Path) -> None:
    many = [ALARM | {"column": f"c{i}"} for i in range(33)]
    message = message_of(finished(tmp_path, alerts=many, checks=[]))
    assert message is not None and len(message.content["alarms"]) == 20
    assert message.content["counts"]["alarms"] == 33
    assert "* and 13 more; the report lists them" in message.text.splitlines()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ann.lee@example.com", "an e-mail address"),
        ("of ANN@EXAMPLE.CO.UK", "an e-mail address"),
        ("555-0134", "a telephone number"),
        ("+44 20 7946 0018", "a telephone number"),
        ("(212) 555-0187", "a telephone number"),
        ("2125550187", "a telephone number"),
        ("person 3f9a1c0be2d47a6658b1c2d3", "a pseudonym"),
    ],
)
def test_a_message_that_names_somebody_is_not_sent(tmp_path: Path, asked, value: str, kind: str, capsys) -> None:
    named = finished(tmp_path / "named", alerts=[ALARM | {"column": value}], checks=[])
    with web_server(200) as (url, got):
        assert main(["alert", "--out", str(named), "--to", str(asked(webhook={"url": url}))]) == 2
    said = capsys.readouterr().err
    assert (
        said == f"journeybook: Nothing was sent: the message holds what looks like {kind}, at alarms[1].column.\n"
    )
    assert got == [] and not (named / REGISTER).exists()


@pytest.mark.parametrize(
    "name", ["rows of 2016-2017, 1,469,307.25", "2017-12-31 23:59:59", "seed 20260101", "p 0.000123456"]
)
def test_dates_and_amounts_name_nobody(tmp_path: Path, name: str) -> None:
    message = message_of(finished(tmp_path, alerts=[], checks=[CHECK | {"name": name}]))
    assert message is not None and list(identifying(message)) == []


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({}, "alerts names nothing to send to: a file, mail or webhook is needed."),
        ({"fle": "x"}, "alerts: Additional properties are not allowed ('fle' was unexpected)."),
        ({"mail": {"host": "h", "from": "a@b"}}, "alerts.mail: 'to' is a required property."),
        ({"mail": plain(25, password="hush")}, f"alerts.mail.password: a password is read from {PASSWORD} alone."),
        ({"mail": plain(25, host="mail.example")}, "alerts.mail.security is none, but mail.example"),
        ({"mail": plain(0)}, "alerts.mail.port: 0 is less than the minimum of 1."),
        ({"webhook": {"url": "http://example.org/x"}}, "alerts.webhook.url is http, but example.org is"),
        ({"webhook": {"url": "https://u:hush@example.org/"}}, "alerts.webhook.url holds a user or a password"),
        ({"webhook": {"url": "file:///etc/hosts"}}, "alerts.webhook.url is 'file:///etc/hosts' (text), but must"),
        ({"file": "x", "attempts": 0}, "alerts.attempts: 0 is less than the minimum of 1."),
    ],
)  # fmt: skip
def test_a_block_that_is_wrong_is_one_sentence_before_anything_runs(
    tmp_path: Path, block: dict, sentence: str
) -> None:
    path = tmp_path / "to.yaml"
    path.write_text(json.dumps({"alerts": block}), encoding="utf-8")
    for read in (read_delivery, lambda file: read_parameters(file, pages=discover())):
        with pytest.raises(JourneybookError, match=re.escape(f"to.yaml: {sentence}")) as told:
            read(path)
        assert "hush" not in str(told.value)


def test_a_parameters_file_may_hold_the_block_and_a_run_is_not_changed_by_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 7\nalerts: {file: told.json, webhook: {url: $NOT_HERE}}\n", encoding="utf-8")
    run = read_parameters(path, pages=discover())
    assert run.seed == 7 and not hasattr(run, "alerts")
    path.write_text("seed: 7\nalerts: {file: told.json}\n", encoding="utf-8")
    assert read_delivery(path).targets[0].address == str(tmp_path / "told.json")


def test_no_finished_run_and_one_that_is_being_written(tmp_path: Path, out: Path, asked, capsys) -> None:
    to = str(asked(file="told.json"))
    assert main(["alert", "--out", str(tmp_path / "none"), "--to", to]) == 2
    assert "holds no finished run: there is no manifest.json." in capsys.readouterr().err
    with locked(out):
        assert main(["alert", "--out", str(out), "--to", to]) == 2
    assert "Another run is writing into" in capsys.readouterr().err
    (out / "results" / "02_cleaning.json").write_text("{", encoding="utf-8")
    assert main(["alert", "--out", str(out), "--to", to]) == 2
    assert "02_cleaning.json cannot be read as JSON: run the report again." in capsys.readouterr().err
    assert not (tmp_path / "told.json").exists()


def test_a_file_that_cannot_be_written_is_one_sentence(out: Path, asked, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    told = alert(out, read_delivery(asked(file="there")))
    assert told.said == () and told.failed[0].startswith(f"file {tmp_path / 'there'}: not sent: ")


def test_strict_counts_a_new_alarm_of_page_15_like_a_failed_check() -> None:
    results = {"tables": {"alerts": [ALARM, ALARM | {"is_new": False}]}, "checks": []}
    found = [
        with_checks(PageOutcome(name, "", "", "done"), results)
        for name in ("15_monitoring", "15_monitoring.other", "02_cleaning")
    ]
    assert [page.alarms for page in found] == [1, 1, 0]
    assert [exit_code(found, strict=strict) for strict in (False, True)] == [0, 1]
    assert exit_code(found[2:], strict=True) == 0
