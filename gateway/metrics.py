"""What is counted, for Prometheus. No label names a person, a project or an export."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.relay import Relay

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """One gateway's, in a registry of its own."""

    def __init__(self, relay: Relay) -> None:
        own = self._registry = CollectorRegistry()
        self.requests = Counter(
            "export_gateway_http_requests", "Requests answered.", ("method", "route", "status"), registry=own
        )
        self.exports_asked = Counter("export_gateway_exports_asked", "Exports accepted, repeats aside.", registry=own)
        self.unconfirmed = Counter(
            "export_gateway_commands_unconfirmed", "Commands that the broker did not confirm in time.", registry=own
        )
        self.limited = Counter("export_gateway_requests_limited", "Requests refused by a limit.", registry=own)
        self.sockets_open = Gauge("export_gateway_sockets_open", "Open WebSockets.", registry=own)
        self.streams_open = Gauge(
            "export_gateway_event_streams_open", "Open streams of server-sent events.", registry=own
        )
        self.frames_sent = Counter("export_gateway_frames_sent", "Frames sent to sockets.", registry=own)
        self.frames_conflated = Counter(
            "export_gateway_frames_conflated", "States that a newer one replaced before they were sent.", registry=own
        )
        self.download_bytes = Counter("export_gateway_download_bytes", "Bytes of archives sent.", registry=own)
        self._gauge("export_gateway_broker_connected", "1 while events come.", lambda: relay.stale_since is None)
        self._gauge("export_gateway_storage_looks", "Looks at the storage for a state, so far.", lambda: relay.looks)

    def _gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        Gauge(name, help_text, registry=self._registry).set_function(read)

    def exposition(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
