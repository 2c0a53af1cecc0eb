"""A real Neo4j Community server for tests and trials, from Maven's central repository.

    python scripts/neo4j_server.py start            starts one, prints its address and password
    python scripts/neo4j_server.py stop             stops the one that start started
    python scripts/neo4j_server.py run -- COMMAND   starts one, runs COMMAND with it, stops it

It needs a JDK (17 or 21 for Neo4j 5.26, 21 or 25 for 2026.09) and Maven; no container. The jars
(about 120 MB) are assembled once into the user's cache. Each server has its own data directory,
its own free loopback port, and is stopped by its own process id. COMMAND finds the server through
KGREC_TEST_NEO4J_URI, KGREC_NEO4J_USER and KGREC_NEO4J_PASSWORD.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

#: Per version of Neo4j: its main class and the versions of Java it runs on, the best first.
VERSIONS: dict[str, tuple[str, tuple[int, ...]]] = {
    "5.26.25": ("org.neo4j.server.CommunityEntryPoint", (17, 21)),
    "2026.09.0": ("org.neo4j.server.Neo4jCommunity", (25, 21)),
}
DEFAULT_VERSION = "5.26.25"

READY_SECONDS = 120
HOW_TO = (
    "install a JDK 17 or later and Maven (Debian: apt install openjdk-17-jdk-headless maven), "
    "or set KGREC_TEST_NEO4J_URI to a running server that may be emptied"
)

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.kgrec</groupId><artifactId>neo4j-server</artifactId><version>{version}</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""

_CONF = """server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{port}
server.bolt.advertised_address=127.0.0.1:{port}
server.http.enabled=false
server.memory.pagecache.size={page_cache}
dbms.usage_report.enabled=false
dbms.security.auth_minimum_password_length=8
"""

_JVM = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Djdk.nio.maxCachedBufferSize=1024",
    "-Dlog4j2.disable.jmx=true",
    "-Dfile.encoding=UTF-8",
)


_ADMIN = "org.neo4j.cli.AdminTool"

#: Processes that this one started; kept so that they can be waited for when they end.
_children: "dict[int, subprocess.Popen[bytes]]" = {}


class ServerError(RuntimeError):
    """The server cannot be assembled or started."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        version: Version of Neo4j.
        uri: Bolt address.
        user: User name.
        password: Password.
        pid: Process id.
        home: Its directory; deleted when it is stopped.
        heap: Most memory of its heap.
    """

    version: str
    uri: str
    user: str
    password: str
    pid: int
    home: str
    heap: str = "1g"

    def environment(self) -> dict[str, str]:
        """What a command needs in its environment to find the server."""
        return {
            "KGREC_TEST_NEO4J_URI": self.uri,
            "KGREC_NEO4J_USER": self.user,
            "KGREC_NEO4J_PASSWORD": self.password,
        }


@dataclass(frozen=True)
class Admin:
    """`neo4j-admin` for the directory of a server that does not run yet.

    Attributes:
        java: The `java` program.
        classpath: Where the jars are.
        home: The server's directory.
        heap: Most memory of its heap.
    """

    java: Path
    classpath: str
    home: Path
    heap: str = "1g"

    def __call__(self, arguments: Sequence[str], folder: Path | None = None) -> None:
        """Runs a command, in `folder` if one is given.

        Raises:
            ServerError: If it fails; shows what it said.
        """
        done = subprocess.run(
            [str(self.java), *_JVM, f"-Xmx{self.heap}", "-cp", self.classpath, _ADMIN, *arguments],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = f"{done.stdout}\n{done.stderr}".strip()
            raise ServerError(f"neo4j-admin {' '.join(arguments[:2])} failed: {said[-3000:]}")

    def environment(self) -> dict[str, str]:
        """What Neo4j needs in its environment to find the directory."""
        conf = str(self.home / "conf")
        return {**os.environ, "NEO4J_HOME": str(self.home), "NEO4J_CONF": conf}


def cache_directory() -> Path:
    """Gives the folder for jars and for the address of the server that `start` started."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "kgrec" / "neo4j"


def find_java() -> dict[int, Path]:
    """Gives the `java` program of every installed JDK, by major version."""
    candidates = [shutil.which("java")]
    if home := os.environ.get("JAVA_HOME"):
        candidates.insert(0, str(Path(home) / "bin" / "java"))
    candidates += sorted(str(p) for p in Path("/usr/lib/jvm").glob("*/bin/java"))
    mac = Path("/Library/Java/JavaVirtualMachines")
    candidates += sorted(str(p) for p in mac.glob("*/Contents/Home/bin/java"))
    found: dict[int, Path] = {}
    for candidate in filter(None, candidates):
        try:
            shown = subprocess.run(
                [candidate, "-version"], capture_output=True, text=True, timeout=60
            )
        except OSError:
            continue
        match = re.search(r'version "(\d+)', shown.stderr + shown.stdout)
        if match:
            found.setdefault(int(match.group(1)), Path(candidate))
    return found


def runnable_versions() -> list[str]:
    """Gives the versions of Neo4j that can be run here, the default first; may be empty."""
    java = find_java()
    maven = shutil.which("mvn")
    return [
        version
        for version, (_, releases) in VERSIONS.items()
        if _java_for(releases, java) and (maven or _library(version).is_dir())
    ]


def _java_for(releases: Sequence[int], installed: Mapping[int, Path]) -> Path | None:
    """Gives the best JDK: a release that Neo4j supports, else the next one above the lowest."""
    above = sorted(release for release in installed if release > min(releases))
    return next((installed[r] for r in (*releases, *above) if r in installed), None)


def start(
    version: str = DEFAULT_VERSION,
    *,
    before: Callable[[Admin], None] | None = None,
    heap: str = "1g",
    page_cache: str = "256m",
) -> Server:
    """Starts a server with an empty database and waits until it answers.

    Args:
        version: Version of Neo4j.
        before: Called when all is ready for the server, for example to import a database.
        heap: Most memory of its heap.
        page_cache: Memory of its page cache.

    Raises:
        ServerError: If a JDK or Maven is missing, or the server does not answer in time.
    """
    entry_point, releases = VERSIONS[version]
    installed = find_java()
    java = _java_for(releases, installed)
    if java is None:
        raise ServerError(
            f"Neo4j {version} needs a JDK {min(releases)} or later, found {sorted(installed)}; "
            f"{HOW_TO}"
        )
    classpath = str(assemble(version) / "*")
    home = Path(tempfile.mkdtemp(prefix="kgrec-neo4j-"))
    for folder in ("conf", "data", "logs", "plugins", "import", "run", "lib"):
        (home / folder).mkdir()
    port = _free_port()
    (home / "conf" / "neo4j.conf").write_text(_CONF.format(port=port, page_cache=page_cache))
    password = secrets.token_hex(16)  # one that begins with "-" would be taken for an option
    admin = Admin(java, classpath, home, heap)
    try:
        admin(["dbms", "set-initial-password", password])
        if before is not None:
            before(admin)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    server = Server(version, f"bolt://127.0.0.1:{port}", "neo4j", password, 0, str(home), heap)
    return _launched(server, admin, entry_point)


def restart(server: Server) -> Server:
    """Kills a server, as a power cut would, and starts it again on the same data and address.

    Raises:
        ServerError: If it does not answer in time.
    """
    process = _children.pop(server.pid)
    process.kill()
    process.wait()
    entry_point, releases = VERSIONS[server.version]
    java = _java_for(releases, find_java())
    assert java is not None  # it ran before
    admin = Admin(java, str(assemble(server.version) / "*"), Path(server.home), server.heap)
    return _launched(server, admin, entry_point)


def _launched(server: Server, admin: Admin, entry_point: str) -> Server:
    """Runs a server in its home and waits until it answers."""
    home = Path(server.home)
    heap = f"-Xmx{admin.heap}"
    where = (f"--home-dir={home}", f"--config-dir={home / 'conf'}", "--console-mode")
    with (home / "logs" / "console.log").open("ab") as log:
        process = subprocess.Popen(
            [str(admin.java), *_JVM, heap, "-cp", admin.classpath, entry_point, *where],
            env=admin.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = replace(server, pid=process.pid)
    _children[process.pid] = process
    try:
        _wait_until_ready(server, process)
    except BaseException:
        stop(server)
        raise
    return server


def stop(server: Server) -> None:
    """Ends the server by its process id and deletes its directory; safe to call twice.

    Its data go with it, so it is not asked to write them out first, which takes ten seconds.
    """
    if _is_running(server):
        os.kill(server.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        if server.pid in _children:
            _children.pop(server.pid).wait()
        while _is_running(server):
            time.sleep(0.05)
    shutil.rmtree(server.home, ignore_errors=True)


@contextmanager
def running(
    version: str = DEFAULT_VERSION,
    *,
    before: Callable[[Admin], None] | None = None,
    heap: str = "1g",
    page_cache: str = "256m",
) -> Iterator[Server]:
    """A server for the time of a block; arguments as of `start`."""
    server = start(version, before=before, heap=heap, page_cache=page_cache)
    try:
        yield server
    finally:
        stop(server)


def assemble(version: str) -> Path:
    """Gives the folder of the server's jars, fetching them with Maven the first time.

    Raises:
        ServerError: If Maven is missing or cannot fetch them.
    """
    library = _library(version)
    if library.is_dir():
        return library
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerError(f"Neo4j {version} is not in the cache and Maven is missing; {HOW_TO}")
    library.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent.parent) as scratch:
        pom = Path(scratch) / "pom.xml"
        pom.write_text(_POM.format(version=version))
        goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib")
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(pom), *goal],
            cwd=scratch,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ServerError(
                f"Maven could not fetch Neo4j {version}: {done.stdout.strip()[-2000:]}; check "
                f"the network and Maven's settings (proxy, mirror)"
            )
        library.parent.mkdir(exist_ok=True)
        try:
            (Path(scratch) / "lib").rename(library)
        except OSError:  # another process was faster
            if not library.is_dir():
                raise
    return library


def _library(version: str) -> Path:
    return cache_directory() / version / "lib"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(server: Server, process: "subprocess.Popen[bytes]") -> None:
    import neo4j

    deadline = time.monotonic() + READY_SECONDS
    with neo4j.GraphDatabase.driver(
        server.uri, auth=(server.user, server.password), telemetry_disabled=True
    ) as driver:
        while True:
            try:
                driver.verify_connectivity()
                return
            except (neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError):
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                log = (Path(server.home) / "logs" / "console.log").read_text(errors="replace")
                raise ServerError(f"Neo4j {server.version} did not start:\n{log[-3000:]}")
            time.sleep(0.2)


def _is_running(server: Server) -> bool:
    """Whether the process id is still this server's, and not a later process's."""
    import psutil

    try:
        process = psutil.Process(server.pid)
        return process.status() != psutil.STATUS_ZOMBIE and any(
            server.home in part for part in process.cmdline()
        )
    except psutil.Error:
        return False


def _state_file() -> Path:
    return cache_directory() / "server.json"


def _start_command(version: str) -> int:
    _stop_command()
    server = start(version)
    _state_file().parent.mkdir(parents=True, exist_ok=True)
    _state_file().touch(mode=0o600)
    _state_file().write_text(json.dumps(asdict(server)))
    print(f"Neo4j {version} answers; stop it with: python scripts/neo4j_server.py stop")
    for name, value in server.environment().items():
        print(f"export {name}={value}")
    return 0


def _stop_command() -> int:
    if _state_file().exists():
        stop(Server(**json.loads(_state_file().read_text())))
        _state_file().unlink()
    return 0


def _run_command(version: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
    with running(version) as server:
        return subprocess.run(command, env={**environment, **server.environment()}).returncode


def main() -> int:
    """Runs one of start, stop and run; gives the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("start", "stop", "run"))
    parser.add_argument("--version", default=DEFAULT_VERSION, choices=tuple(VERSIONS))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    try:
        if options.action == "start":
            return _start_command(options.version)
        if options.action == "stop":
            return _stop_command()
        command = [part for part in options.command if part != "--"]
        return _run_command(options.version, command, os.environ)
    except ServerError as exc:
        print(exc, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
