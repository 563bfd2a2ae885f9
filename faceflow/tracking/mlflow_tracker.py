"""MLflow: a local SQLite store below the runs folder, or a server."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only

from faceflow.checks import check_installed
from faceflow.errors import ConfigError
from faceflow.tracking.environment import check_single, named_by_environment
from faceflow.tracking.identity import note, recall
from faceflow.tracking.tracker import FILES, INTERRUPTED, Outcome, TrackedRun, Tracker, check_kinds, chosen

NAME = "mlflow"  # in tracking.json
RUN_ID = "MLFLOW_RUN_ID"
_VARIABLES = {
    "tracking_uri": "MLFLOW_TRACKING_URI",
    "experiment": "MLFLOW_EXPERIMENT_NAME",
    "experiment_id": "MLFLOW_EXPERIMENT_ID",
    "id": RUN_ID,
}
_STATUS = {0: "FINISHED", INTERRUPTED: "KILLED"}


class MLflowTracker(MLFlowLogger, Tracker):
    """Lightning's MLFlowLogger with parameters, artifacts and the final status of the run.

    Args:
        experiment: name of the experiment that holds the runs.
        tracking_uri: address of a server or a database; None for mlflow.db in `folder`.
        folder: of the local store.
        artifact_location: where a new experiment keeps files, such as s3://bucket/mlflow; None for the server's
            default, or mlartifacts in `folder`.
        artifacts: kinds of files to keep, from `FILES`.

    Raises:
        ConfigError: mlflow is not installed, or cannot open the address.
    """

    samples = 0
    #: Environment variables that override settings.
    variables: Mapping[str, str] = _VARIABLES

    def __init__(
        self,
        *,
        experiment: str,
        tracking_uri: str | None,
        folder: str,
        artifact_location: str | None,
        artifacts: list[str],
    ) -> None:
        check_kinds(artifacts, FILES, key="logger.mlflow")
        self._decided = named_by_environment(self.variables, key="logger.mlflow")
        tracking_uri = self._decided.get("tracking_uri", tracking_uri)
        experiment = self._decided.get("experiment", experiment)
        modules = ("mlflow",) if tracking_uri else ("mlflow", "sqlalchemy", "alembic")
        check_installed(*modules, key="logger.mlflow", install="faceflow[tracking]", instead="choose another logger")
        root = Path(folder).resolve()
        if tracking_uri is None:
            root.mkdir(parents=True, exist_ok=True)
            tracking_uri = f"sqlite:///{root / 'mlflow.db'}"
            artifact_location = artifact_location or (root / "mlartifacts").as_uri()
        self.location, self.artifacts = artifact_location, artifacts
        from mlflow.exceptions import MlflowException

        for chatter in ("mlflow", "alembic"):  # after the import, which sets it
            logging.getLogger(chatter).setLevel(logging.WARNING)
        try:
            super().__init__(experiment_name=experiment, tracking_uri=tracking_uri, artifact_location=artifact_location)
        except MlflowException as error:
            raise ConfigError(
                f"logger.mlflow.tracking_uri: expected an address that MLflow can open, got '{tracking_uri}': "
                + " ".join(str(error).split())
            ) from error

    @classmethod
    def reopen(cls, folder: Path) -> MLflowTracker | None:
        """Tracker that continues the run of a folder; None if MLflow tracked none there."""
        facts = recall(folder, NAME)
        if not facts:
            return None
        address, experiment = str(facts.get("tracking_uri")), str(facts.get("experiment"))
        return _RecordedRun(
            experiment=experiment, tracking_uri=address, folder=str(folder), artifact_location=None, artifacts=[]
        )

    @rank_zero_only
    def begin(self, run: TrackedRun) -> None:
        """Open the run and log its parameters."""
        from mlflow.exceptions import MlflowException

        earlier = self._decided.get("id")
        if earlier:
            check_single(run, RUN_ID)
        else:
            earlier = recall(run.continues, NAME).get("id")
        self._run_name = run.name
        self.tags = {"job_type": run.job_type, "folder": str(run.folder)} | ({"group": run.group} if run.group else {})
        address = os.environ.get(_VARIABLES["tracking_uri"])
        try:
            if "experiment_id" in self._decided:
                self._experiment_name = self._mlflow_client.get_experiment(self._decided["experiment_id"]).name
            if earlier and ("id" in self._decided or self._exists(earlier)):
                self._run_id = earlier
                self.experiment.update_run(earlier, status="RUNNING")
                self._experiment_name = self._mlflow_client.get_experiment(str(self.experiment_id)).name
                if "id" in self._decided:
                    self._describe(run)
            else:
                # Lightning would create a missing experiment with a warning.
                if self._mlflow_client.get_experiment_by_name(self._experiment_name) is None:
                    self._mlflow_client.create_experiment(self._experiment_name, artifact_location=self.location)
                self.log_hyperparams(dict(run.config))
        except MlflowException as error:
            raise ConfigError(f"logger.mlflow: MLflow refused the run: {' '.join(str(error).split())}") from error
        finally:  # MLflow sets its address there, which would also apply to the next run of this process
            if address is None:
                os.environ.pop(_VARIABLES["tracking_uri"], None)
            else:
                os.environ[_VARIABLES["tracking_uri"]] = address
        note(run.folder, NAME, id=self.run_id, experiment=self._experiment_name, tracking_uri=self._tracking_uri)

    def _describe(self, run: TrackedRun) -> None:
        """Set tags and parameters of a run created elsewhere; existing parameters cannot change their value."""
        client: Any = self.experiment
        for name, text in (self.tags or {}).items():
            client.set_tag(self.run_id, name, text)
        known = client.get_run(self.run_id).data.params
        self.log_hyperparams({name: value for name, value in _flat(run.config).items() if name not in known})

    def _exists(self, run: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._mlflow_client.get_run(run)
        except MlflowException:
            return False
        return True

    @rank_zero_only
    def log_outcome(self, outcome: Outcome) -> None:
        """Log the scores, and files in a folder per kind."""
        self.log_metrics(dict(outcome.scores))
        client: Any = self.experiment
        for kind, files in chosen(outcome, self.artifacts).items():
            for file in files:
                client.log_artifact(self.run_id, str(file), kind)

    @rank_zero_only
    def close(self, code: int) -> None:
        """Set the final status of the run."""
        if self._initialized:
            self.experiment.set_terminated(self.run_id, _STATUS.get(code, "FAILED"))


class _RecordedRun(MLflowTracker):
    """A run that is reopened from its notes, independent of the environment."""

    variables: Mapping[str, str] = {}


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a config with keys joined as Lightning does."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{prefix}{name}/") if isinstance(value, Mapping) and value else {f"{prefix}{name}": value}
    return flat
