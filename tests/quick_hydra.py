"""Hydra without what it does again and again: it parses fifty files for each program, and composes many twice."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource


def make_quick(put: Callable[[Any, str, Any], None]) -> None:
    """Lets Hydra parse each YAML once, and compose a configuration once.

    The first of its two compositions only shows whether the program is a multirun, which an experiment can ask for.

    Args:
        put: `setattr`, or one that can be undone.
    """
    Plugins.instance()  # registers the sources
    get_mode = Hydra.get_mode

    def mode(self: Hydra, config_name: str | None, overrides: list[str]) -> Any:
        asks = any("experiment=" in word or "hydra." in word for word in overrides)
        return get_mode(self, config_name, overrides) if asks else None

    put(Hydra, "get_mode", mode)
    for scheme in ("file", "pkg"):
        source = SourcesRegistry.instance().resolve(scheme)
        put(source, "load_config", parsed_once(source.load_config))


def parsed_once(load: Callable[..., ConfigResult]) -> Callable[..., ConfigResult]:
    """Loads a file of a configuration from memory if it was loaded before, and has not changed."""
    results: dict[Any, ConfigResult] = {}

    def loaded(self: ConfigSource, config_path: str) -> ConfigResult:
        file = Path(self.path, self._normalize_file_name(config_path)).resolve()
        key = (self.path, config_path, self.provider, file.stat().st_mtime_ns if file.exists() else None)
        if key not in results:
            results[key] = load(self, config_path=config_path)
        return copy.deepcopy(results[key])

    return loaded
