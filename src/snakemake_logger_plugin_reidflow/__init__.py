"""Snakemake's logger plugin `reidflow`: progress for people on the screen, Snakemake's own messages in its log file.

Snakemake imports it before it reads a Snakefile, and the Snakefile decides where the code of reidflow lies. Hence nothing
of the package is imported before that.
"""

import runpy
import sys
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

_COMMAND_LINE = Path(__file__).parents[1] / "reidflow" / "workflow" / "command_line.py"
runpy.run_path(str(_COMMAND_LINE))["refuse_swallowed_target"]()


class LogHandler(LogHandlerBase):
    """What a person sees of a command. Whatever is no ordinary run of jobs is shown as Snakemake shows it."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        given = self.common_settings
        self._plain = ColorizingTextHandler(given.nocolor, sys.stdout if given.stdout else sys.stderr)
        self._held: list[LogRecord] = []
        self._screen: Any = None
        wanted = given.dryrun, given.quiet, given.verbose, given.debug_dag, given.printshellcmds
        self._undecided = not any(wanted)

    def emit(self, record: LogRecord) -> None:
        """Show a message, or keep it until it is clear whether jobs will run."""
        if self._undecided:
            self._decide(record)
        if self._screen is not None:
            self._screen.show(record, self.format)
        elif self._undecided and record.levelno < WARNING:
            self._held.append(record)
        else:
            self._show(record)

    def close(self) -> None:
        """Show what is still kept, and how the run ended. May be called twice."""
        self._release()
        screen, self._screen = self._screen, None
        if screen is not None:
            screen.close()
        super().close()

    def _decide(self, record: LogRecord) -> None:
        """Have a run of jobs shown as progress, and every other command as Snakemake shows it."""
        progress = sys.modules.get("reidflow.workflow.progress")
        state = progress.state if progress else ""
        if state == "reading":
            self._release()
        elif state == "running" and getattr(record, "event", None) == LogEvent.WORKFLOW_STARTED:
            from reidflow.commands.screen import Screen

            self._screen, self._undecided, self._held = Screen(progress.current, self._plain), False, []

    def _release(self) -> None:
        self._undecided = False
        held, self._held = self._held, []
        for record in held:
            self._show(record)

    def _show(self, record: LogRecord) -> None:
        self._plain.setFormatter(self.formatter)
        self._plain.handle(record)
