"""The service's metrics for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.service.event_streams import EventStreams
from controller.service.queries import current_slot
from controller.service.run_manager import RunManager


class ServiceMetrics:
    """Counts of answered requests, and the state of the runs."""

    def __init__(self, manager: RunManager, streams: EventStreams) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "airtoll_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "airtoll_request_seconds", "Time to the end of the response", ["route"], registry=self.registry
        )
        self.registry.register(_ServiceState(manager, streams))

    def text(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class RequestMetrics:
    """ASGI middleware that counts and times requests by their route's pattern."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def record_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, record_status)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if route != "none" else "none"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - began)


class _ServiceState(Collector):
    """Gauges that are read when Prometheus asks for them."""

    def __init__(self, manager: RunManager, streams: EventStreams) -> None:
        self._manager = manager
        self._streams = streams

    def collect(self) -> list[GaugeMetricFamily]:
        """Runs by state, slots of the active runs, open event streams, connections rejected by the pool."""
        states = GaugeMetricFamily("airtoll_runs", "Runs by state", labels=["state"])
        for state, count in self._manager.store.counts().items():
            states.add_metric([state.value], count)
        slots = GaugeMetricFamily("airtoll_run_slots", "Completed slots of the active runs", labels=["run"])
        for run in self._manager.store.at_work():
            slots.add_metric([run.id], current_slot(run))
        readers = GaugeMetricFamily("airtoll_event_readers", "Open event streams", value=self._streams.readers)
        rejected = GaugeMetricFamily(
            "airtoll_pool_rejected_connections", "Connections that the pool rejected", labels=["reason"]
        )
        if pool := self._manager.pool:
            for reason, count in pool.rejected.counts.items():
                rejected.add_metric([reason], count)
        return [states, slots, readers, rejected]
