"""Making what a job's process is given: its folder, its variables, its user, its limits."""

from supervisor.core.job import Limits, Process
from supervisor.core.manifest.merged import Merged
from supervisor.core.manifest.settings import Surroundings
from supervisor.core.manifest.variables import parse_variables
from supervisor.values import dataclass, field


@dataclass(slots=True)
class Processes:
    """Makes them; a file of variables that several jobs name is read once."""

    around: Surroundings
    _files: dict[str, dict[str, str] | tuple[str, ...]] = field(default_factory=dict)
    """By path: the variables, or what is wrong with the file."""

    def process(self, table: Merged) -> Process:
        """Return what a job's process is given; ``env`` wins over ``env_file``."""
        values = table.values
        env: dict[str, str] = {}
        if "env_file" in values:
            env |= self._variables(table, self.around.absolute(values["env_file"]))
        env |= values.get("env", {})
        stdin = values.get("stdin")
        return Process(
            env=env,
            cwd=self.around.absolute(values.get("cwd", ".")),
            user=values.get("user"),
            group=values.get("group_id"),
            umask=values.get("umask"),
            nice=values.get("nice"),
            stdin=None if stdin is None else self.around.absolute(stdin),
            limits=Limits(**values.get("limits", {})),
        )

    def _variables(self, table: Merged, path: str) -> dict[str, str]:
        read = self._files.get(path)
        if read is None:
            read = self._files[path] = self._read(path)
        if isinstance(read, dict):
            return read
        for fault in read:
            table.add(("env_file",), fault)
        return {}

    def _read(self, path: str) -> dict[str, str] | tuple[str, ...]:
        try:
            text = self.around.read(path)
        except ValueError as error:
            return (str(error),)
        variables, faults = parse_variables(text)
        return tuple(f"{path}:{line}: {what}" for line, what in faults) or variables
