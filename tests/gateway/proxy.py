"""What stands before replicas in production: it sends each connection to the next of them, whoever comes."""

import asyncio

from tests.broker.proxy import Proxy


class Balancer(Proxy):
    """Without stickiness: a client's second connection goes to another replica than its first."""

    def __init__(self, *ports: int) -> None:
        super().__init__(0)
        self.ports = list(ports)
        """Of the replicas; may be changed while it runs."""
        self._turn = 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._ends.add(writer)
        replica = await self._connected()
        if replica is None:
            self._ends.discard(writer)
            writer.transport.abort()
            return
        replica_reader, replica_writer = replica
        self._ends.add(replica_writer)
        self._join(reader, writer, replica_reader, replica_writer)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next replica that takes a connection; nothing when none does."""
        for _ in range(len(self.ports)):
            self._turn += 1
            try:
                return await asyncio.open_connection("127.0.0.1", self.ports[self._turn % len(self.ports)])
            except OSError:
                continue
        return None
