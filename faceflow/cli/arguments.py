"""A command line as users type it, in the order that Hydra accepts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from faceflow.config.path_arguments import literal_text
from faceflow.errors import ConfigError

_NAMED = {"compare": "runs"}  # key of the files that a command accepts without a key
_FLAGS = {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"} | {
    *("--shell-completion", "-sc")
}
_VALUED = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"} | {
    "--experimental-rerun"
}
_MAYBE_VALUED = {"--info", "-i"}
_LOOKS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")  # of --info
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"  # what text processors and web pages turn "-" into
_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb"


def ordered(arguments: Sequence[str], command: str) -> list[str]:
    """Put Hydra's own options before the settings, because it ignores settings after one of them.

    Files without a key become a setting: those of faceflow-compare become runs=[...].

    Args:
        arguments: the command line.
        command: name of the command, for messages.

    Raises:
        ConfigError: an unknown option, typographic dashes or quotes, a setting without "=", or files both with and
            without their key.
    """
    options: list[str] = []
    settings: list[str] = []
    files: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name = argument.partition("=")[0]
        if name[:1] and name[0] in _DASHES:
            raise ConfigError(
                f"'{argument}': expected -, got the dash of a text processor ({name[0]}); type it as "
                f"'-{argument.lstrip(_DASHES)}' or '--{argument.lstrip(_DASHES)}'"
            )
        if name in _FLAGS:
            options.append(argument)
        elif name in _VALUED | _MAYBE_VALUED:
            options.append(argument)
            follows = rest and "=" not in argument and (name in _VALUED or rest[0] in _LOOKS)
            if follows:
                options.append(rest.pop(0))
        elif name.startswith("-"):
            value = argument[len(name) + 1 :] or (rest[0] if rest and not rest[0].startswith("-") else "VALUE")
            raise ConfigError(
                f"'{argument}': expected key=value, got an option that faceflow-{command} does not have; write "
                f"{name.lstrip('-')}={value}, or see faceflow-{command} --help"
            )
        elif command in _NAMED and argument and ("=" not in argument or Path(argument).exists()):
            files.append(QuotedString(text=literal_text(argument), quote=Quote.single).with_quotes())
        else:
            _check_setting(argument)
            settings.append(argument)
    if files and any(setting.startswith(f"{_NAMED[command]}=") for setting in settings):
        raise ConfigError(
            f"{_NAMED[command]}: expected the key, or files without it, got both; write faceflow-{command} RUN_A RUN_B"
        )
    return [*options, *settings, *([f"{_NAMED[command]}=[{','.join(files)}]"] if files else [])]


def _check_setting(argument: str) -> None:
    key, equals, value = argument.partition("=")
    if not equals and Path(argument).exists():  # a missing key is another error
        return
    if key != key.rstrip() or not key or (not equals and not key.startswith("~")):
        lack = ("a space before '='" if key else "no key before '='") if equals else "no '='"
        raise ConfigError(f"'{argument}': expected key=value, got {lack}; write it as one word, key=value")
    if len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES and not Path(value).exists():
        raise ConfigError(f"'{argument}': expected ' or \" as quotes, got {value[0]} and {value[-1]}; type them again")
