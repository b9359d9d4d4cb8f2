"""Serve a policy to evaluations and environments elsewhere."""

import asyncio
import contextlib
from dataclasses import dataclass

EXAMPLES = """
armtrials serve --policy runs/act
armtrials serve --policy runs/act --port 9000 --threads 4
armtrials serve --policy runs/vla --device cuda --host 0.0.0.0
armtrials evaluate --policy remote:ws://localhost:8765
"""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Serve:
    """Put a policy behind a WebSocket until Ctrl-C: docs/serving.md has the protocol.

    Any number of clients may act with it at once, each has trials of its own. There is no password:
    on another host than this machine's own, everybody who reaches the port may use it; from
    elsewhere come through `ssh -L 8765:localhost:8765 BOX`.
    """

    policy: str
    """Checkpoint folder."""
    host: str = "127.0.0.1"
    """Address to serve on; 0.0.0.0: every network of this machine."""
    port: int = 8765
    """Port; 0 takes a free one."""
    threads: int = 1
    """Threads of torch; 1 gives the same bytes as an evaluation without a server."""
    device: str = "cpu"
    """Where the network computes: cpu, cuda, cuda:1, mps."""
    task: str | None = None
    """Of a policy that learned several tasks: the one it is to act in."""
    max_message: float = 256.0
    """Largest message of a client [MiB]; several images of many trials at once are large."""

    def run(self) -> int:
        """Serve until Ctrl-C; return 0."""
        from rich.console import Console

        from envs.errors import UsageError
        from envs.tasks import TASKS
        from policies.checkpoint import load_checkpoint_on
        from policies.serve import PolicyServer
        from policies.trained import placed

        if not 0 <= self.port <= 65535:
            raise UsageError(f"--port must be 0..65535, got {self.port}")
        if self.threads < 1:
            raise UsageError(f"--threads must be at least 1, got {self.threads}")
        if not self.max_message > 0:
            raise UsageError(f"--max-message must be positive, got {self.max_message}")
        console = Console(highlight=False, soft_wrap=True)
        policy = load_checkpoint_on(self.policy, self.device, self.threads)
        if self.task is not None:
            placed(policy, TASKS[self.task])
        server = PolicyServer(policy, round(self.max_message * 2**20))

        def ready(address: str) -> None:
            spec = policy.spec
            console.print(
                f"Serving {policy.name} ({spec.task}, {spec.arm}, {spec.track}) at {address} "
                "(Ctrl-C ends it).",
                markup=False,
            )
            if self.host not in LOOPBACK:
                console.print("Everybody who reaches this port may use it.", markup=False)

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(server.run(self.host, self.port, ready))
        console.print(f"{server.served} chunks served.", markup=False)
        return 0
