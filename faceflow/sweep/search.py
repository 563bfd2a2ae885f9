"""A search instead of a grid: Optuna proposes the jobs of a sweep, and its study can be continued later."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig, OmegaConf

from faceflow.checks import check_installed
from faceflow.errors import ConfigError
from faceflow.sweep.job import without_launcher

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

    _Trial = optuna.Trial | optuna.trial.FrozenTrial

_MODULE = "hydra_plugins.faceflow"
_SEARCH = "search"  # attribute of a study: what it searches
_SEVERAL = 3  # failed trials that are no accident


class OptunaSweeper(Sweeper):
    """Gets from a study the values of keys given as interval(a,b), tag(log,interval(a,b)), range or choice.

    Args:
        storage: SQLAlchemy URL of the study.
        n_trials: number of trials to finish, over all starts together.
        n_jobs: jobs at a time, for launchers that run several.
        direction: of the returned value, maximize or minimize.
        seed: of the sampler.
        params: keys of a preset; the command line overrides them.

    Raises:
        ConfigError: Optuna is not installed, there is nothing to search, or the study belongs to another search.
    """

    __module__ = _MODULE

    def __init__(
        self, *, storage: str, n_trials: int, n_jobs: int, direction: str, seed: int | None, params: DictConfig | None
    ) -> None:
        self.storage, self.n_trials, self.n_jobs = storage, n_trials, n_jobs
        self.direction: Any = direction
        self.seed, self.params = seed, {str(key): value for key, value in (params or {}).items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher of the jobs."""
        self.config, self.hydra_context = config, hydra_context
        self.folder = Path(config.hydra.sweep.dir)
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> float:
        """Run trials until `n_trials` have finished, first those left by an earlier start; return the best value.

        Failed trials are replaced until several, and more than half of all, have failed: the next would fail, too.
        """
        check_installed("optuna", key="sweep=search", install="faceflow[sweep]")
        overrides = {override.key_or_group: override for override in _parsed(arguments, self.params)}
        space = {key: _distribution(override) for key, override in overrides.items() if override.is_sweep_override()}
        if not space:
            raise ConfigError(
                "sweep=search: expected a key to search, such as 'optimizer.lr=tag(log,interval(1e-5,1e-3))', got none"
            )
        fixed = [str(override.input_line) for override in overrides.values() if not override.is_sweep_override()]
        self.folder.mkdir(parents=True, exist_ok=True)
        study, failed = self._study(space, fixed), 0
        OmegaConf.save(self.config, self.folder / "multirun.yaml")
        waiting = _interrupted(study)
        while (left := self.n_trials - _finished(study)) > 0:
            trials: Sequence[_Trial] = waiting or [study.ask(space) for _ in range(min(left, self.n_jobs))]
            waiting = []
            jobs = [_job(trial, overrides, space, fixed) for trial in trials]
            self.validate_batch_is_legal(jobs)
            results = self.launcher.launch(jobs, initial_job_idx=trials[0].number)
            bad = [result for trial, result in zip(trials, results, strict=True) if not _tell(study, trial, result)]
            failed += len(bad)
            if failed >= _SEVERAL and failed > _finished(study):
                _ = bad[0].return_value  # raises what went wrong
                raise ConfigError(
                    f"sweep=search: expected jobs with a finite value of `monitor`, got {bad[0].return_value} from "
                    "most; leave out report_only and preview, and see the output.txt of the jobs"
                )
        return study.best_value

    def _study(self, space: dict[str, BaseDistribution], fixed: Sequence[str]) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            study_name="faceflow",
            storage=self.storage,
            direction=self.direction,
            load_if_exists=True,
        )
        if self.seed is not None:  # continues with new proposals instead of repeating the first ones
            study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(study.trials))
        asked = {
            "space": {key: repr(value) for key, value in sorted(space.items())},
            "fixed": sorted(without_launcher(fixed)),
        }
        known = study.user_attrs.get(_SEARCH)
        if known is not None and known != asked:
            different = next(part for part in asked if known.get(part) != asked[part])
            raise ConfigError(
                f"hydra.sweeper.storage: expected a study of this search ({json.dumps(asked[different])}), got "
                f"{self.storage} of another one ({json.dumps(known.get(different))}); choose another file"
            )
        study.set_user_attr(_SEARCH, asked)
        return study


def register() -> None:
    """Register `hydra/sweeper=faceflow_optuna` with Hydra; sweep=search holds its settings."""
    Plugins.instance().register(OptunaSweeper)
    # Hydra imports a plugin by its name from this package only, and an editable install cannot add to the package.
    package, _, _ = _MODULE.partition(".")
    if package not in sys.modules and importlib.util.find_spec(package) is None:  # no other plugin is installed
        sys.modules[package] = types.ModuleType(package)
    sys.modules.setdefault(_MODULE, types.ModuleType(_MODULE))
    setattr(sys.modules[_MODULE], OptunaSweeper.__name__, OptunaSweeper)
    node: dict[str, Any] = {"_target_": f"{_MODULE}.{OptunaSweeper.__name__}"}
    node |= dict.fromkeys(("storage", "n_trials", "n_jobs", "direction", "seed", "params"), MISSING)
    ConfigStore.instance().store(group="hydra/sweeper", name="faceflow_optuna", node=node)


def _parsed(arguments: Sequence[str], params: dict[str, Any]) -> list[Override]:
    lines = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    parsed: list[Override] = OverridesParser.create().parse_overrides(lines)
    return parsed


def _distribution(override: Override) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        low, high, log = value.start, value.end, "log" in value.tags
        if "int" in value.tags:
            return IntDistribution(int(low), int(high), log=log)
        return FloatDistribution(float(low), float(high), log=log)
    assert isinstance(value, ChoiceSweep | RangeSweep)
    return CategoricalDistribution([str(choice) for choice in override.sweep_iterator(transformer=Transformer.encode)])


def _job(
    trial: _Trial, overrides: dict[str, Override], space: dict[str, BaseDistribution], fixed: Sequence[str]
) -> tuple[str, ...]:
    return (*(f"{overrides[key].get_key_element()}={trial.params[key]}" for key in space), *fixed)


def _finished(study: optuna.Study) -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]))


def _interrupted(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials of an interrupted start: their jobs continue, or have a value that the study has not received."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=[TrialState.RUNNING])


def _tell(study: optuna.Study, trial: _Trial, result: JobReturn) -> bool:
    """Report the value of a job to its study; False if there is none."""
    from optuna.trial import TrialState

    value = result.return_value if result.status is JobStatus.COMPLETED else None
    if value is None or not math.isfinite(value):
        study.tell(trial.number, state=TrialState.FAIL)
        return False
    study.tell(trial.number, float(value))
    return True
