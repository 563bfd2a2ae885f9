"""Weights & Biases: offline without a login; pictures only if requested."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from faceflow.checks import check_installed, check_number, check_whole
from faceflow.errors import ConfigError, suggest
from faceflow.tracking.environment import check_single, named_by_environment
from faceflow.tracking.identity import note, recall
from faceflow.tracking.tracker import FILES, Outcome, Samples, TrackedRun, Tracker, check_kinds, chosen
from faceflow.tracking.wandb_charts import charts, samples_table
from faceflow.tracking.wandb_login import OFFLINE, ONLINE, Mode, choose_mode

log = logging.getLogger(__name__)

KINDS = (*FILES, "data")
_TYPES = {"checkpoint": "model", "onnx": "model", "data": "dataset"}
NAME = "wandb"  # in tracking.json
RUN_ID, SWEEP_ID = "WANDB_RUN_ID", "WANDB_SWEEP_ID"
_VARIABLES = {  # which W&B reads itself, unless `wandb.init` overrides them
    "id": RUN_ID,
    "project": "WANDB_PROJECT",
    "entity": "WANDB_ENTITY",
    "name": "WANDB_NAME",
    "group": "WANDB_RUN_GROUP",
    "job_type": "WANDB_JOB_TYPE",
    "notes": "WANDB_NOTES",
    "tags": "WANDB_TAGS",
    "dir": "WANDB_DIR",
}
_NOTED = ("id", "project", "entity", "name", "group", "job_type")
_INIT_TIMEOUT, _FINISH_TIMEOUT = 30.0, 600.0  # s, if a run is reopened


class WandbTracker(WandbLogger, Tracker):
    """Lightning's WandbLogger with samples, plots and artifacts.

    Args:
        save_dir: folder of W&B's own files.
        project, entity: where the run belongs; entity None for the login's default.
        mode: auto, online, offline or disabled, see `choose_mode`.
        name, group: None for the name of the run folder, and of the sweep or protocol.
        tags: of the run.
        samples: number of validation faces in the table.
        artifacts: kinds of files to upload, from `KINDS`.
        references: data set -> further address of its files, such as s3://bucket/disfa.
        init_timeout: seconds to wait for the server before the run goes offline.
        finish_timeout: seconds to wait for uploads at the end of a run.

    Raises:
        ConfigError: wandb is not installed, or a setting is not valid.
    """

    def __init__(
        self,
        *,
        save_dir: str,
        project: str,
        entity: str | None,
        mode: str,
        name: str | None,
        group: str | None,
        tags: list[str],
        samples: int,
        artifacts: list[str],
        references: dict[str, str],
        init_timeout: float,
        finish_timeout: float,
    ) -> None:
        check_installed("wandb", key="logger.wandb", install="faceflow[tracking]", instead="choose another logger")
        check_whole(samples, key="logger.wandb.samples", lowest=0, expected="a count of faces")
        for key, value in (("init_timeout", init_timeout), ("finish_timeout", finish_timeout)):
            check_number(value, key=f"logger.wandb.{key}", expected="seconds above 0", valid=lambda x: x > 0)
        check_kinds(artifacts, KINDS, key="logger.wandb")
        super().__init__(name=name, save_dir=save_dir, project=project)
        self.entity, self.group, self.tags = entity, group, tags
        self.asked, self.mode = mode, choose_mode(mode)
        self.samples, self.artifacts, self.references = samples, artifacts, references
        self.init_timeout, self.finish_timeout = init_timeout, finish_timeout
        self.run: Any = None

    #: Environment variables that override settings, by argument of `wandb.init`.
    variables: Mapping[str, str] = _VARIABLES

    @classmethod
    def reopen(cls, folder: Path) -> WandbTracker | None:
        """Tracker that continues the run of a folder; None if W&B tracked none there.

        Raises:
            ConfigError: the environment names another run of a sweep, into which W&B would write.
        """
        facts = recall(folder, NAME)
        if not facts:
            return None
        if os.environ.get(SWEEP_ID) and os.environ.get(RUN_ID) != facts.get("id"):
            raise ConfigError(
                f"track: expected the run '{facts.get('id')}' of '{folder}', got another in {RUN_ID} and {SWEEP_ID}, "
                "which W&B would open; unset them"
            )
        return _RecordedRun(
            save_dir=str(folder),
            project=str(facts.get("project")),
            entity=facts.get("entity"),
            mode=str(facts.get("mode")),
            name=facts.get("name"),
            group=facts.get("group"),
            tags=[],
            samples=0,
            artifacts=[],
            references={},
            init_timeout=_INIT_TIMEOUT,
            finish_timeout=_FINISH_TIMEOUT,
        )

    @rank_zero_only
    def begin(self, run: TrackedRun) -> None:
        """Open the run; offline if the server cannot be reached."""
        earlier = recall(run.continues, NAME)
        decided = named_by_environment(self.variables, key="logger.wandb")
        if "id" in decided:
            check_single(run, RUN_ID)
        settings: dict[str, Any] = {
            "project": earlier.get("project") or self._project,  # an id is valid only in its project
            "entity": earlier.get("entity") or self.entity,
            "dir": self._save_dir,
            "id": earlier.get("id") or uuid.uuid4().hex[:8],
            "resume": "allow" if earlier else None,
            "name": self._name or run.name,
            "group": self.group or run.group,
            "job_type": run.job_type,
            "notes": str(run.folder),
            "tags": self.tags,
            "config": dict(run.config),
        }
        with _folders_checked():
            self._open(run, {name: value for name, value in settings.items() if name not in decided})

    def _open(self, run: TrackedRun, settings: dict[str, Any]) -> None:
        import wandb

        try:
            self.run = self._init(self.mode, settings)
        except wandb.errors.CommError as error:
            log.warning("logger.wandb: the server did not accept the run (%s)", str(error).splitlines()[0])
            wandb.teardown(exit_code=1)  # its process holds on to the id of the run that failed
            self.run = self._init(OFFLINE, settings)
        except (wandb.Error, ValueError) as error:  # also for variables that it cannot read
            raise ConfigError(f"logger.wandb: W&B refused the run: {' '.join(str(error).split())}") from error
        self._experiment = self.run
        self.run.define_metric("trainer/global_step")
        self.run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        facts = {name: getattr(self.run, name) or None for name in _NOTED}  # of the run that was opened
        note(run.folder, NAME, mode=self.asked, **facts)
        if self.run.settings.mode == OFFLINE:
            first = "wandb login, then " if self.mode == OFFLINE else ""
            log.info("W&B: this run stays offline; to upload it: %swandb sync %s", first, self.folder)
        elif self.run.settings.mode == ONLINE:
            log.info("W&B: %s", self.run.url)
        if "data" in self.artifacts:
            self._use_data(run.datasets)

    def _init(self, mode: Mode, settings: Mapping[str, Any]) -> Any:
        import wandb

        timeouts: dict[str, Any] = {"init_timeout": self.init_timeout, "finish_timeout": self.finish_timeout}
        own = {name: value for name, value in timeouts.items() if not os.environ.get(f"WANDB_{name.upper()}")}
        # W&B prints nothing, and uploads no copy of the output, which names subjects and paths.
        return wandb.init(**settings, settings=wandb.Settings(mode=mode, silent=True, console="off", **own))

    @property
    def folder(self) -> Path:
        """Folder of the open run, for `wandb sync`."""
        return Path(self.run.dir).parent

    @rank_zero_only
    def log_samples(self, samples: Samples, *, epoch: int, step: int) -> None:
        """Log a table of this epoch; W&B shows them one after another, or joined."""
        self.run.log({"samples": samples_table(samples, epoch), "trainer/global_step": step})

    @rank_zero_only
    def log_outcome(self, outcome: Outcome) -> None:
        """Put the scores into the run's summary, and upload plots and artifacts."""
        self.run.summary.update(dict(outcome.scores))
        with _folders_checked():
            if outcome.curves:
                self.run.log(charts(outcome.curves))
            for kind, files in chosen(outcome, self.artifacts).items():
                self._log_files(kind, files)

    def _log_files(self, kind: str, files: Sequence[Path]) -> None:
        import wandb

        artifact = wandb.Artifact(_artifact_name(kind, self.run.id), _TYPES.get(kind, kind))
        for file in files:
            # Immutable: uploaded from the run folder, not from a second copy below the home folder.
            artifact.add_file(str(file.resolve()), name=file.name, policy="immutable")
        self.run.log_artifact(artifact)

    def _use_data(self, datasets: Mapping[str, Sequence[Path]]) -> None:
        """Register the label files by reference: W&B keeps their checksums and addresses, no content."""
        import wandb

        if unknown := next((name for name in self.references if name not in datasets), None):
            raise ConfigError(
                f"logger.wandb.references: expected data sets of this run, got '{unknown}'; "
                + suggest(unknown, datasets)
            )
        for name, files in datasets.items():
            artifact = wandb.Artifact(_artifact_name("data", name), "dataset")
            try:
                for file in files:
                    artifact.add_reference(file.resolve().as_uri(), name=file.name)
                if name in self.references:
                    artifact.add_reference(self.references[name], checksum=False)
            except (wandb.Error, ValueError) as error:
                text = " ".join(str(error).split())
                raise ConfigError(f"logger.wandb.references.{name}: expected an address to refer to: {text}") from error
            # W&B cannot record the use of an artifact without its server; offline, the artifact is only logged.
            (self.run.use_artifact if self.run.settings.mode == ONLINE else self.run.log_artifact)(artifact)

    @rank_zero_only
    def close(self, code: int) -> None:
        """Finish the run."""
        if self.run is not None:
            self.run.finish(exit_code=code)
            self.run = None


class _RecordedRun(WandbTracker):
    """A run that is reopened from its notes, independent of the environment."""

    variables: Mapping[str, str] = {"dir": _VARIABLES["dir"]}


@contextlib.contextmanager
def _folders_checked() -> Iterator[None]:
    """Raise ConfigError that names the folders if W&B cannot write them, as in a container without a home folder."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"logger.wandb: expected folders that W&B can write, got '{error.filename}' ({error.strerror or error}); "
            "set HOME, or WANDB_DATA_DIR, WANDB_CACHE_DIR and WANDB_CONFIG_DIR, or choose another logger"
        ) from error


def _artifact_name(kind: str, name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", f"{kind}-{name}")[:128]
