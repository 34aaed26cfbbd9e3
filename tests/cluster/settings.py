"""The configuration files of the one-node SLURM, with the reasons for their values."""

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "slurmdbd", "mariadb-server")
COMMANDS = (
    *("munged", "munge", "slurmctld", "slurmd", "sinfo", "sbatch", "srun", "slurmdbd", "sacctmgr"),
    *("mariadbd", "mariadb", "mariadb-install-db"),
)
ENVIRONMENT = """\
export SLURM_CONF='{folder}/etc/slurm.conf'
case :$PATH: in *:'{folder}/bin':*) ;; *) export PATH='{folder}/bin':$PATH:/usr/sbin ;; esac
"""


def slurm_conf(node) -> str:
    """Return slurm.conf: no cgroups, CPUs and memory as configured, scheduling at once."""
    folder, hardware = node.folder, node.hardware
    control, daemon, database, _ = hardware["ports"]
    return f"""\
ClusterName=onenode
SlurmctldHost={node.host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={daemon}
SlurmUser={node.user}
SlurmdUser={node.user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
# Accept the CPUs and the memory below, even where the machine has less.
SlurmdParameters=config_overrides
# Without bf_min_age_reserve a job that waits for a GPU blocks every later job of the only node.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2,bf_min_age_reserve=86400
# Long enough for the tests to look at all jobs afterwards.
MinJobAge=3600
KillWait=5
# `ulimit -v` of a job in percent of the memory it requested.
VSizeFactor=400
# They record which job had which GPU, and when.
Prolog={folder}/bin/began
Epilog={folder}/bin/ended
SlurmdTimeout=30
SlurmctldTimeout=30
InactiveLimit=0
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.own
SlurmdPidFile={folder}/run/slurmd.own
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
DefMemPerCPU=200
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={database}
# Clients of slurmdbd look for munge here, and not at AuthInfo.
AccountingStoragePass={folder}/munge.sock
AccountingStorageTRES=gres/gpu
NodeName={node.host} NodeAddr=127.0.0.1 CPUs={hardware["cpus"]} RealMemory={hardware["memory_mb"]} Gres=gpu:mock:{hardware["gpus"]}
PartitionName=main Nodes={node.host} Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
"""


def gres_conf(node) -> str:
    """Return gres.conf: slurmd requires a character device per GPU; its number becomes CUDA_VISIBLE_DEVICES."""
    gpus = [
        f"NodeName={node.host} Name=gpu Type=mock File={node.folder}/gpus/gpu{number}\n"
        for number in range(node.hardware["gpus"])
    ]
    return "AutoDetect=off\n" + "".join(gpus)


def slurmdbd_conf(node, password: str) -> str:
    """Return slurmdbd.conf."""
    folder, ports = node.folder, node.hardware["ports"]
    return f"""\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports[2]}
SlurmUser={node.user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[3]}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.own
"""


def recorder(node, event: str) -> str:
    """Return a script that slurmd runs before or after a job: it records the job, its GPUs and the time."""
    return f"""\
#!/bin/sh
echo "{event} $SLURM_JOB_ID ${{SLURM_JOB_GPUS:--}} $(date +%s.%N)" >> '{node.folder}/gpus.log'
"""


def srun_wrapper(node, srun: str) -> str:
    """Return a script in front of srun: the executor plugin takes SLURM_CONF out of a job step's environment."""
    return f"""\
#!/bin/sh
SLURM_CONF=${{SLURM_CONF:-'{node.folder}/etc/slurm.conf'}}
export SLURM_CONF
exec {srun} "$@"
"""
