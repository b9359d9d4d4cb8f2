"""Where protocols are found: by id, or by an id and a change."""

from typing import TYPE_CHECKING

from envs.registry import Registry

if TYPE_CHECKING:
    from benchmarks.protocol import EvalProtocol


class Protocols(Registry["EvalProtocol"]):
    """Protocols by id; ``<id>+<change>`` is one of them with a change, see ``derived``."""

    def __getitem__(self, name: str) -> "EvalProtocol":
        """Return the protocol, or raise ``UsageError`` listing the known names."""
        base, plus, change = name.partition("+")
        if not plus:
            return super().__getitem__(name)
        from benchmarks.derived import derive  # here: it builds on protocols

        return derive(super().__getitem__(base), change)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a protocol, with a change or without."""
        return super().__contains__(str(name).partition("+")[0])
