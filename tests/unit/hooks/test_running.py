"""Commands and webhooks: what they are told, what they can say, and who allows them."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import frazil
from frazil import HookError, Repository
from frazil.hooks import Hook, commands, webhooks

LOOK = """
import json, os, sys, frazil
told = json.load(sys.stdin)
tree = frazil.open(os.environ["FRAZIL_REPOSITORY"], snapshot=os.environ["FRAZIL_SNAPSHOT"])
print(told["event"], told["ref"], os.environ["FRAZIL_EVENT"], os.environ["FRAZIL_HOOKS"])
print(sorted(told["changes"]["new_arrays"]), tree["a"][:].tolist() if "a" in tree else None)
sys.exit("a" in tree and int(tree["a"][0]))
"""


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRAZIL_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("FRAZIL_HOOKS", raising=False)
    return tmp_path / "settings"


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository.create(frazil.local_filesystem_storage(str(tmp_path / "weather")))


def python(code: str, **options: Any) -> Hook:
    return Hook(name="test", command=[sys.executable, "-c", code], **options)


def commit(repo: Repository, value: int = 1) -> str:
    session = repo.writable_session("main")
    session["a"] = [value]
    return session.commit("x")


# Commands


def test_a_command_sees_what_would_be_committed(repo: Repository) -> None:
    repo.hooks.add(python(LOOK))
    repo.hooks.allow()
    with pytest.raises(HookError) as e:
        commit(repo, 3)
    (finding,) = e.value.findings
    assert finding.message == "ended with 3: commit main commit skip / ['/a'] [3]"
    assert len(list(repo.ancestry(branch="main"))) == 1


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["no-such-program-anywhere"], "cannot be run: No such file"),
        ([sys.executable, "-c", "print('x' * 9999); print('why'); exit(1)"], "/ why"),
        ([sys.executable, "-c", "import time; time.sleep(100)"], "did not end within 0.3 seconds"),
    ],
)
def test_a_command_that_fails_refuses(repo: Repository, command: list[str], text: str) -> None:
    repo.hooks.add(Hook(name="test", command=command, timeout=0.3 if "within" in text else 60))
    repo.hooks.allow()
    with pytest.raises(HookError) as e:
        commit(repo)
    assert text in str(e.value)
    assert len(str(e.value)) < 5000


def test_on_windows_a_command_is_ended_with_its_children(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def run(command: list[str], **_: Any) -> None:
        ended.append(" ".join(command[:-1]))

    monkeypatch.setattr(commands, "WINDOWS", True)
    monkeypatch.setattr(commands.subprocess, "run", run)
    repo.hooks.add(python("import time; time.sleep(100)", timeout=0.3))
    repo.hooks.allow()
    with pytest.raises(HookError, match="did not end within"):
        commit(repo)
    assert ended == ["taskkill /F /T /PID"]


def test_a_command_on_names(repo: Repository, tmp_path: Path) -> None:
    code = f"import os; open({str(tmp_path / 'told')!r}, 'a').write(os.environ['FRAZIL_ACTION'])"
    repo.hooks.add(python(code, on=["tag", "branch"], when="after"))
    repo.hooks.allow()
    id_ = commit(repo)
    repo.create_tag("v1", id_)
    repo.create_branch("dev", id_)
    repo.delete_branch("dev")
    assert (tmp_path / "told").read_text() == "createcreatedelete"


# Consent


def test_nothing_runs_that_was_not_allowed(repo: Repository, tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w')"
    repo.hooks.add(python(code))
    repo.hooks.add(Hook(name="chat", command=["no-such-program"], when="after"))
    with pytest.raises(HookError, match="a command that you did not allow"):
        commit(repo)
    assert not (tmp_path / "ran").exists()
    assert [repo.hooks.is_allowed(hook) for hook in repo.hooks] == [False, False]
    assert [hook.name for hook in repo.hooks.allow("test")] == ["test"]
    with pytest.warns(RuntimeWarning, match=r"is done, .* chat: it is a command that you did not"):
        commit(repo)
    assert (tmp_path / "ran").exists()


def test_what_was_looked_at_is_allowed_and_nothing_else(repo: Repository) -> None:
    repo.hooks.add(python("print(1)"))
    (looked_at,) = repo.hooks
    repo.hooks.add(python("print(2)"))
    with pytest.raises(frazil.InvalidInputError, match="no hook 'test' like that"):
        repo.hooks.allow(looked_at)
    assert not repo.hooks.is_allowed(looked_at)
    repo.hooks.add(python("print(1)"))
    assert repo.hooks.allow(looked_at) == [looked_at]
    assert repo.hooks.is_allowed(looked_at)


def test_consent_is_for_one_place_and_one_wording(
    repo: Repository, tmp_path: Path, settings: Path
) -> None:
    repo.hooks.add(python("print(1)"))
    repo.hooks.allow()
    commit(repo)
    other = Repository.create(frazil.local_filesystem_storage(str(tmp_path / "other")))
    other.hooks.add(python("print(1)"))
    with pytest.raises(HookError):
        commit(other)
    repo.hooks.add(python("print(2)"))
    with pytest.raises(HookError):
        commit(repo)
    repo.hooks.add(python("print(1)"))
    commit(repo)
    other.hooks.allow()
    (file,) = settings.iterdir()
    stored = json.loads(file.read_text())
    assert set(stored) == {str(tmp_path / "weather"), str(tmp_path / "other")}
    file.write_text("{damaged")
    with pytest.raises(HookError):
        commit(repo)


def test_the_environment_decides_where_nobody_can_be_asked(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = python("exit(1)")
    repo.hooks.add(hook)
    monkeypatch.setenv("FRAZIL_HOOKS", "skip")
    commit(repo)
    monkeypatch.setenv("FRAZIL_HOOKS", "allow")
    with pytest.raises(HookError, match="ended with 1"):
        commit(repo)
    monkeypatch.setenv("FRAZIL_HOOKS", f"sha256:0, {hook.digest}")
    with pytest.raises(HookError, match="ended with 1"):
        commit(repo)
    monkeypatch.setenv("FRAZIL_HOOKS", "sha256:0")
    with pytest.raises(HookError, match="did not allow"):
        commit(repo)
    monkeypatch.setenv("FRAZIL_HOOKS", "yes")
    with pytest.raises(HookError, match="FRAZIL_HOOKS is allow, skip, or digests"):
        commit(repo)


# Webhooks


class Server:
    """A web server that answers with these codes, one after the other, then with 200."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.text = b"because"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.told.append((self.path, json.loads(body)))
                code = outer.codes.pop(0) if outer.codes else 200
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(outer.text)))
                self.end_headers()
                self.wfile.write(outer.text)

            def log_message(self, *args: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hook"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(webhooks, "_PAUSE_SECONDS", 0)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=[0.01])
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def test_a_webhook_is_told_what_happened(repo: Repository, server: Server) -> None:
    repo.hooks.add(Hook(name="chat", webhook=server.url, on=["commit", "tag"]))
    repo.hooks.allow()
    id_ = commit(repo)
    repo.create_tag("v1", id_)
    (path, told), (_, tagged) = server.told
    assert path == "/hook"
    assert told["repository"] == str(frazil.storage.api.place_of(repo.storage))
    assert told["snapshot_id"] == id_
    assert told["changes"]["new_arrays"] == ["/a"]
    assert told["changes"]["updated_chunks"] == {"/a": 1}
    assert (told["when"], told["event"], told["action"], told["ref"]) == (
        *("after", "commit", "commit", "main"),
    )
    assert (tagged["event"], tagged["action"], tagged["ref"]) == ("tag", "create", "v1")
    assert tagged["changes"] is None


def test_it_is_tried_again(repo: Repository, server: Server) -> None:
    repo.hooks.add(Hook(name="chat", webhook=server.url, retries=2))
    repo.hooks.allow()
    server.codes = [503, 429]
    commit(repo)
    assert len(server.told) == 3
    server.codes = [503] * 9
    with pytest.warns(RuntimeWarning, match="chat: answered 503: because"):
        commit(repo)
    assert len(server.told) == 6


def test_redirects_are_not_followed(repo: Repository, server: Server) -> None:
    repo.hooks.add(Hook(name="chat", webhook=server.url))
    repo.hooks.allow()
    server.codes = [302]
    with pytest.warns(RuntimeWarning, match="answered 302"):
        commit(repo)
    assert len(server.told) == 1


def test_a_webhook_can_refuse(repo: Repository, server: Server) -> None:
    repo.hooks.add(Hook(name="gate", webhook=server.url, when="before"))
    repo.hooks.allow()
    server.codes = [403]
    with pytest.raises(HookError, match="gate: answered 403: because"):
        commit(repo)
    assert server.told[0][1]["snapshot_id"] is None
    assert repo.hooks.run("gate") == []
    commit(repo)


def test_nobody_answers(repo: Repository, server: Server) -> None:
    closed = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    url = f"http://127.0.0.1:{closed.server_port}/"
    closed.server_close()
    repo.hooks.add(Hook(name="gate", webhook=url, when="before", retries=1))
    repo.hooks.allow()
    with pytest.raises(HookError, match="gate: could not be reached"):
        commit(repo)
