"""A cluster of one node on this machine: Slurm's own daemons, on loopback."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "squeue")
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=cred_expire=5,socket={home}/munge.sock
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobRequeue=1
KillWait=2
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """Where it lies, and what a process needs to talk to it."""

    home: Path
    env: dict[str, str]

    def say(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        env = os.environ | self.env
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def jobs(self) -> list[list[str]]:
        """Id, state and comment of every job that waits or runs."""
        lines = self.say("squeue", "--noheader", "--array", "--format=%i %T %k").splitlines()
        return [line.split(maxsplit=2) for line in lines]


def missing() -> str:
    """Why no cluster can be started here; empty where it can be tried."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    lacking = [name for name in TOOLS if shutil.which(name, path=path) is None]
    if lacking:
        return f"Slurm is not installed ({', '.join(lacking)}): apt-get install slurmctld slurmd"
    return ""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """Start the daemons, and end them; ``RuntimeError`` in words where one does not come up."""
    for name in ("state", "spool", "bin"):
        (home / name).mkdir(parents=True)
    home.chmod(0o700)
    host = socket.gethostname().partition(".")[0]
    (home / "munge.key").write_bytes(os.urandom(32))
    (home / "munge.key").chmod(0o600)
    file = home / "slurm.conf"
    ports = {"port": free_port(), "node_port": free_port()}
    file.write_text(CONFIG.format(host=host, home=home, user=getpass.getuser(), **ports))
    (home / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    # A step of Snakemake's plugin forgets where the configuration is, if not in /etc.
    (home / "bin" / "srun").write_text(
        f'#!/bin/sh\nSLURM_CONF={file} exec {shutil.which("srun")} "$@"\n'
    )
    (home / "bin" / "srun").chmod(0o755)
    env = {"SLURM_CONF": str(file), "PATH": f"{home / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"}
    found = Cluster(home, env)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in (
            ["munged", "--foreground", "--force", f"--key-file={home}/munge.key",
             f"--socket={home}/munge.sock", f"--pid-file={home}/munged.pid",
             f"--log-file={home}/munged.log", f"--seed-file={home}/munge.seed"],
            ["slurmctld", "-D", "-c", "-f", str(file)],
            ["slurmd", "-D", "-f", str(file), "-N", host],
        ):  # fmt: skip
            with (home / f"{command[0]}.out").open("wb") as said:
                started.append(
                    subprocess.Popen(command, env=os.environ | env, stdout=said, stderr=said)
                )
            time.sleep(1)
        until = time.monotonic() + 30
        while "idle" not in (state := _state(found)):
            if time.monotonic() > until or any(one.poll() is not None for one in started):
                names = ("munged.out", "slurmctld.out", "slurmd.out")
                said = " ".join((home / n).read_text(errors="replace")[-200:] for n in names)
                raise RuntimeError(f"Slurm does not come up here: {state} {said}")
            time.sleep(0.5)
        yield found
    finally:
        with contextlib.suppress(Exception):
            found.say("scancel", "--user", getpass.getuser())
            time.sleep(1)
        for one in reversed(started):
            one.terminate()
        for one in reversed(started):
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()


def _state(found: Cluster) -> str:
    try:
        return found.say("sinfo", "--noheader", "--format=%t")
    except (subprocess.CalledProcessError, OSError) as error:
        return str(error)
