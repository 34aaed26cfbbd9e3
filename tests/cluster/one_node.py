"""A real SLURM on this machine alone: one node, mock GPUs, no systemd, no cgroups, a folder of its own.

    python tests/cluster/one_node.py up FOLDER [gpus=2] [cpus=8] [memory_mb=64000]      then:  . FOLDER/env.sh
    python tests/cluster/one_node.py down FOLDER
    python tests/cluster/one_node.py start|stop FOLDER munged|mariadbd|slurmdbd|slurmctld|slurmd

It uses Debian's packages and runs as root, or as any user for that user's jobs only.
"""

import getpass
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from settings import COMMANDS, ENVIRONMENT, PACKAGES, gres_conf, recorder, slurm_conf, slurmdbd_conf, srun_wrapper

DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def missing() -> list[str]:
    """Return the commands that SLURM needs and this machine lacks."""
    return [command for command in COMMANDS if not shutil.which(command, path=SEARCHED)]


def remedy() -> str:
    """Return how to install what is missing."""
    return (
        f"SLURM is not installed here ({', '.join(missing())} missing). On Debian or Ubuntu:\n"
        f"    apt-get install --no-install-recommends {' '.join(PACKAGES)}\n"
        "None of their services needs to run: the tests start their own daemons."
    )


def free_ports(count: int) -> list[int]:
    """Return TCP ports that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class OneNode:
    """The daemons of one SLURM in `folder`, whose path must be short, for Unix sockets."""

    def __init__(self, folder: Path, gpus: int = 2, cpus: int = 8, memory_mb: int = 64000) -> None:
        self.folder = folder.resolve()
        if len(str(self.folder)) > 80:
            raise ValueError(f"{self.folder}: too long a path for Unix sockets; choose one of at most 80 characters")
        self.host = socket.gethostname().split(".")[0]
        self.user = getpass.getuser()
        self.hardware = {"gpus": gpus, "cpus": cpus, "memory_mb": memory_mb}

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables with which a command uses this SLURM."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        path = f"{self.folder}/bin:{SEARCHED}"
        return {**mine, "SLURM_CONF": str(self.folder / "etc/slurm.conf"), "PATH": path}

    def call(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        """Run a command of SLURM's and return what it prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def up(self) -> None:
        """Write the configuration and start every daemon; those that run already are left alone."""
        self._configure()
        for name in DAEMONS:
            self.start(name)

    def down(self) -> None:
        """End all jobs and daemons that were started in the folder."""
        if self.pid("slurmctld") and self.pid("slurmd"):
            for _ in range(60):
                left = self.call("squeue", "-h", "-o", "%A", check=False).split()
                if not left:
                    break
                self.call("scancel", *left, check=False)
                time.sleep(0.5)
        for name in reversed(DAEMONS):
            self.stop(name)

    def start(self, name: str) -> None:
        """Start one daemon and wait until it answers."""
        if self.pid(name):
            return
        if name == "mariadbd" and not (self.folder / "db/mysql").is_dir():
            options = ["--no-defaults", f"--user={self.user}", f"--datadir={self.folder}/db", "--skip-test-db"]
            self.call("mariadb-install-db", *options, "--auth-root-authentication-method=normal", timeout=300)
        if name == "munged":
            (self.folder / "munge.sock").unlink(missing_ok=True)
        log = (self.folder / f"log/{name}.out").open("ab")
        daemon = subprocess.Popen(
            self._command(name),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        (self.folder / f"run/{name}.pid").write_text(str(daemon.pid))
        self._wait(name, self._answers(name), daemon)
        if name == "mariadbd":
            self._make_database()
        if name == "slurmdbd":
            self._make_account()
        if name == "slurmd":
            self._wait("the node", self._node_up)

    def stop(self, name: str, how: int = signal.SIGTERM) -> None:
        """End one daemon, with SIGKILL after 20 s."""
        pid = self.pid(name)
        for step, number in ((100, how), (20, signal.SIGKILL)):
            for _ in range(step):
                if not self.pid(name):
                    break
                os.kill(pid, number)
                time.sleep(0.2)
        (self.folder / f"run/{name}.pid").unlink(missing_ok=True)

    def pid(self, name: str) -> int | None:
        """Return the process of a daemon while it lives."""
        try:
            pid = int((self.folder / f"run/{name}.pid").read_text())
            process = Path(f"/proc/{pid}")
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            return pid if state != "Z" and (process / "comm").read_text().startswith(name) else None
        except (OSError, ValueError):
            return None

    def _command(self, name: str) -> list[str]:
        folder = self.folder
        options = {
            "munged": [
                "--foreground",
                f"--socket={folder}/munge.sock",
                f"--key-file={folder}/etc/munge.key",
                f"--pid-file={folder}/run/munged.own",
                f"--log-file={folder}/log/munged.log",
                f"--seed-file={folder}/etc/munge.seed",
            ],
            "mariadbd": [
                "--no-defaults",
                f"--user={self.user}",
                f"--datadir={folder}/db",
                f"--socket={folder}/db.sock",
                "--bind-address=127.0.0.1",
                f"--port={self.hardware['ports'][3]}",
                f"--pid-file={folder}/run/mariadbd.own",
                "--innodb-buffer-pool-size=64M",
                "--innodb-log-file-size=16M",
            ],
        }
        return [shutil.which(name, path=SEARCHED), *options.get(name, ["-D"])]

    def _answers(self, name: str) -> Callable[[], object]:
        probes = {
            "munged": ["munge", "-S", f"{self.folder}/munge.sock", "-n"],
            "mariadbd": ["mariadb", "--no-defaults", f"--socket={self.folder}/db.sock", "-u", "root", "-e", "select 1"],
            "slurmdbd": ["sacctmgr", "-n", "show", "cluster"],
            "slurmctld": ["sinfo", "-h"],
            "slurmd": ["sinfo", "-h"],
        }
        return lambda: self.call(*probes[name])

    def _node_up(self) -> None:
        state = self.call("sinfo", "-h", "-N", "-o", "%T")
        if state.startswith(("down", "drain")):
            self.call("scontrol", "update", f"NodeName={self.host}", "State=RESUME", check=False)
        if not state.startswith(("idle", "mixed", "allocated")):
            raise RuntimeError(f"the node is {state}")

    def _wait(self, what: str, answers: Callable[[], object], daemon: subprocess.Popen | None = None) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                answers()
                return
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                if time.monotonic() > deadline or (daemon and daemon.poll() is not None):
                    raise RuntimeError(f"{what} did not come up, see {self.folder}/log: {error}") from None
                time.sleep(0.2)

    def _make_database(self) -> None:
        account = f"'slurm'@'127.0.0.1' identified by '{self._password}'"
        sql = f"create database if not exists slurm; create user if not exists {account};"
        sql += "grant all on slurm.* to 'slurm'@'127.0.0.1';"
        self.call("mariadb", "--no-defaults", f"--socket={self.folder}/db.sock", "-u", "root", "-e", sql)

    def _make_account(self) -> None:
        if not self.call("sacctmgr", "-nP", "show", "cluster", "onenode"):
            self.call("sacctmgr", "-iQ", "add", "cluster", "onenode")
            self.call("sacctmgr", "-iQ", "add", "account", "main", "cluster=onenode")
            self.call("sacctmgr", "-iQ", "add", "user", self.user, "account=main", "cluster=onenode")

    @property
    def _password(self) -> str:
        return (self.folder / "etc/password").read_text()

    def _configure(self) -> None:
        known = self.folder / "etc/hardware.json"
        if known.exists():
            self.hardware = json.loads(known.read_text())
            return
        for name in ("etc", "run", "log", "bin", "gpus", "state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.hardware["ports"] = free_ports(4)
        for number in range(self.hardware["gpus"]):
            (self.folder / f"gpus/gpu{number}").symlink_to("/dev/null")
        keys = {"munge.key": secrets.token_bytes(128), "password": secrets.token_hex(16).encode()}
        texts = {
            "slurm.conf": slurm_conf(self),
            "gres.conf": gres_conf(self),
            "slurmdbd.conf": slurmdbd_conf(self, keys["password"].decode()),
        }
        for name, content in {**keys, **{name: text.encode() for name, text in texts.items()}}.items():
            path = self.folder / "etc" / name
            path.write_bytes(content)
            path.chmod(0o644 if name in ("slurm.conf", "gres.conf") else 0o600)
        scripts = {"srun": srun_wrapper(self, shutil.which("srun", path=SEARCHED))}
        scripts.update({event: recorder(self, event) for event in ("began", "ended")})
        for name, text in scripts.items():
            (self.folder / "bin" / name).write_text(text)
            (self.folder / "bin" / name).chmod(0o755)
        (self.folder / "env.sh").write_text(ENVIRONMENT.format(folder=self.folder))
        known.write_text(json.dumps(self.hardware))


def main() -> None:
    """Bring a SLURM up, take it down, or start and stop one daemon of it."""
    if len(sys.argv) < 3 or sys.argv[1] not in ("up", "down", "start", "stop"):
        sys.exit(__doc__)
    if missing():
        sys.exit(remedy())
    action, folder, further = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    hardware = {name: int(value) for name, value in (word.split("=") for word in further)} if action == "up" else {}
    folder.mkdir(parents=True, exist_ok=True)
    node = OneNode(folder, **hardware)
    if (node.folder / "etc/hardware.json").exists():
        node.hardware = json.loads((node.folder / "etc/hardware.json").read_text())
    if action in ("up", "down"):
        getattr(node, action)()
    for name in further if action in ("start", "stop") else ():
        getattr(node, action)(name)
    if action == "up":
        print(node.call("sinfo", "-N", "-o", "%N %T %c CPUs %m MB %G") + f"ready:  . {node.folder}/env.sh")


if __name__ == "__main__":
    main()
