"""What the gateway's doors are given: the API, the sockets, the downloads."""

from dataclasses import dataclass, field

from gateway.auth import Auth
from gateway.broker import Publisher
from gateway.metrics import Metrics
from gateway.records import Records
from gateway.relay import Relay
from gateway.settings import GatewaySettings
from gateway.sources import Sources
from service.ledger import Ledger
from service.storage.port import Storage


@dataclass
class Parts:
    """One gateway's."""

    settings: GatewaySettings
    ledger: Ledger
    records: Records
    relay: Relay
    publisher: Publisher
    auth: Auth
    sources: Sources
    metrics: Metrics
    is_draining: bool = field(default=False)
    """No new work: this process is about to end."""

    @property
    def storage(self) -> Storage:
        return self.ledger.storage
