import os
import subprocess
import sys
import textwrap

from reidflow.store.lease import lease, visible


def test_jobs_get_cards_of_their_own_and_a_dead_holders_card_is_free(tmp_path):
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from reidflow.store.lease import lease
        print(lease(["0", "1"], Path({str(tmp_path)!r}), 0.05)[0], flush=True)
        time.sleep(60)
    """)
    jobs = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(job.stdout.readline().strip() for job in jobs) == ["0", "1"]
    third = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "waiting for one of the cards 0, 1" in third.stderr.readline()
    jobs[0].kill()
    jobs[0].wait()
    assert third.stdout.readline().strip() in ("0", "1")
    for job in (jobs[1], third):
        job.kill()
        job.wait()
    device, descriptor = lease(["0", "1"], tmp_path)
    os.close(descriptor)
    assert device == "0"


def test_cards_are_named_as_the_machine_names_them(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible(2) == ["3", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible(2) == ["0", "1"]
