"""A server on this machine that speaks what huggingface_hub asks of Hugging Face to push and pull models.

Its files are versions of repositories in memory; large ones come by Git LFS, as there. Who writes, and who
reads what is private, needs the one token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

LARGE = (".h5ad", ".pt", ".safetensors")
ROUTES = {
    "POST": {
        r"/api/repos/create": "create",
        r"/api/validate-yaml": "validate",
        r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)": "preupload",
        r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch": "batch",
        r"/api/models/([^/]+/[^/]+)/commit/([^/]+)": "commit",
        r"/lfs/verify": "verify",
    },
    "PUT": {r"/lfs/([0-9a-f]{64})": "store"},
    "GET": {
        r"/api/models/([^/]+/[^/]+)": "info",
        r"/api/models/([^/]+/[^/]+)/revision/([^/]+)": "info",
        r"/api/models/([^/]+/[^/]+)/tree/([^/]+)": "tree",
        r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": "resolve",
    },
}
ROUTES["HEAD"] = {pattern: name for pattern, name in ROUTES["GET"].items() if name == "resolve"}


@dataclass
class Repository:
    """Versions of the files of one model; the last is "main"."""

    private: bool
    versions: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"0" * 40: {}})

    def version(self, revision: str) -> str | None:
        if revision == "main":
            return list(self.versions)[-1]
        return revision if revision in self.versions else None


@dataclass
class Answer:
    """Status, body and headers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def refused(status: int, code: str) -> Answer:
    return Answer(status, b'{"error": "no"}', {"X-Error-Code": code, "Content-Type": "application/json"})


class LoopbackHub:
    """The server; ``url`` is what HF_ENDPOINT must be."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.seen: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                hub.answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - names that it asks for

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(request.path).path)
        self.seen.append(f"{request.command} {path}")
        known = request.headers.get("Authorization") == f"Bearer {self.token}"
        answer = Answer(404)
        for pattern, name in ROUTES.get(request.command, {}).items():
            match = re.fullmatch(pattern, path)
            if match:
                method: Callable[..., Answer] = getattr(self, name)
                if request.command == "POST" and name != "validate" and not known:
                    answer = refused(401, "")
                else:
                    answer = method(body, known, *match.groups())
                break
        request.send_response(answer.status)
        length = {} if "Content-Length" in answer.headers else {"Content-Length": str(len(answer.body))}
        for header, value in {**answer.headers, **length}.items():
            request.send_header(header, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(answer.body)

    # --- writing -----------------------------------------------------------------------------------

    def create(self, body: bytes, known: bool) -> Answer:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] == "closed":
            return refused(403, "")
        if name in self.repositories:
            return as_json({"url": f"{self.url}/{name}"}, 409)
        private = asked.get("private", asked.get("visibility") == "private")
        self.repositories[name] = Repository(private=private)
        return as_json({"url": f"{self.url}/{name}"})

    def validate(self, body: bytes, known: bool) -> Answer:
        header = yaml.safe_load(json.loads(body)["content"].split("---\n")[1])
        assert isinstance(header["tags"], list)
        return as_json({"errors": [], "warnings": []})

    def preupload(self, body: bytes, known: bool, name: str, revision: str) -> Answer:
        if name not in self.repositories:
            return refused(404, "RepoNotFound")
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        return as_json({"files": files})

    def batch(self, body: bytes, known: bool, name: str) -> Answer:
        objects = json.loads(body)["objects"]
        actions = [
            {"upload": {"href": f"{self.url}/lfs/{o['oid']}"}, "verify": {"href": f"{self.url}/lfs/verify"}}
            for o in objects
        ]
        entries = [{**o, "actions": action} for o, action in zip(objects, actions, strict=True)]
        return as_json({"transfer": "basic", "objects": entries})

    def store(self, body: bytes, known: bool, oid: str) -> Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            return Answer(422)
        self.large[oid] = body
        return Answer()

    def verify(self, body: bytes, known: bool) -> Answer:
        asked = json.loads(body)
        return Answer() if len(self.large.get(asked["oid"], b"")) == asked["size"] else Answer(404)

    def commit(self, body: bytes, known: bool, name: str, revision: str) -> Answer:
        repository = self.repositories[name]
        files = dict(repository.versions[repository.version(revision)])
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        oid = hashlib.sha1(body + str(len(repository.versions)).encode()).hexdigest()
        repository.versions[oid] = files
        address = f"{self.url}/{name}/commit/{oid}"
        return as_json({"success": True, "commitUrl": address, "commitOid": oid, "pullRequestUrl": None})

    # --- reading -----------------------------------------------------------------------------------

    def _found(self, known: bool, name: str, revision: str) -> tuple[str, dict[str, bytes]] | Answer:
        repository = self.repositories.get(name)
        if repository is None or (repository.private and not known):
            return refused(404 if known else 401, "RepoNotFound")
        version = repository.version(revision)
        if version is None:
            return refused(404, "RevisionNotFound")
        return version, repository.versions[version]

    def info(self, body: bytes, known: bool, name: str, revision: str = "main") -> Answer:
        found = self._found(known, name, revision)
        if isinstance(found, Answer):
            return found
        siblings = [{"rfilename": path} for path in found[1]]
        private = self.repositories[name].private
        return as_json({"id": name, "sha": found[0], "private": private, "siblings": siblings, "tags": []})

    def tree(self, body: bytes, known: bool, name: str, revision: str) -> Answer:
        found = self._found(known, name, revision)
        if isinstance(found, Answer):
            return found
        return as_json([self._entry(path, data) for path, data in found[1].items()])

    def _entry(self, path: str, data: bytes) -> dict[str, Any]:
        entry = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        if path.endswith(LARGE):
            lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            entry["lfs"] = lfs
        return entry

    def resolve(self, body: bytes, known: bool, name: str, revision: str, path: str) -> Answer:
        found = self._found(known, name, revision)
        if isinstance(found, Answer):
            return found
        version, files = found
        if path not in files:
            return refused(404, "EntryNotFound")
        data = files[path]
        etag = (hashlib.sha256 if path.endswith(LARGE) else hashlib.sha1)(data).hexdigest()
        headers = {"X-Repo-Commit": version, "ETag": f'"{etag}"', "Content-Length": str(len(data))}
        return Answer(200, data, headers)
