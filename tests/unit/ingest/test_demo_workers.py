"""The processes that draw the demo end with the one that started them."""

import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from reidflow.ingest.demo.draw import draw
from reidflow.ingest.demo.settings import DemoSettings
if __name__ == "__main__":
    draw(Path(sys.argv[1]), DemoSettings(identities=40, images=4000, size=256), workers=2)
"""


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def drawing(pid: int) -> bool:
    try:
        return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def test_workers_end_when_the_process_that_draws_is_killed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    main = subprocess.Popen([sys.executable, program, tmp_path / "demo"])
    while not list(tmp_path.glob("**/train_*.png")):
        assert main.poll() is None
        time.sleep(0.05)
    workers = [pid for pid in children(main.pid) if drawing(pid)]
    assert len(workers) == 2
    main.kill()
    main.wait(timeout=600)
    for _ in range(1200):
        if not any(drawing(pid) for pid in workers):
            return
        time.sleep(0.05)
    raise AssertionError(f"workers {workers} outlive the process that started them")
