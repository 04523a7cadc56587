"""What Prometheus reads of the service."""

import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.dependencies import Services
from controller.service.event_streams import slot_of


class Gauges:
    """Requests as they were served, and runs as they are just now."""

    def __init__(self, services: Services) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "airtoll_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "airtoll_request_seconds", "Time to the end of the answer", ["route"], registry=self.registry
        )
        self.registry.register(_Runs(services))

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)


class Counting:
    """ASGI middleware: every request is counted, by its route's pattern."""

    def __init__(self, app: ASGIApp, gauges: Gauges) -> None:
        self._app = app
        self._gauges = gauges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if route != "none" else "none"
            self._gauges.requests.labels(method, route, str(status)).inc()
            self._gauges.seconds.labels(route).observe(time.monotonic() - began)


class _Runs(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> list[GaugeMetricFamily]:
        """Runs by state, slots of those at work, readers of events, who was turned away at the pool."""
        states = GaugeMetricFamily("airtoll_runs", "Runs by state", labels=["state"])
        for state, count in self._services.manager.store.counts().items():
            states.add_metric([state.value], count)
        slots = GaugeMetricFamily("airtoll_run_slots", "Slots done, of runs at work", labels=["run"])
        for run in self._services.manager.store.at_work():
            slots.add_metric([run.id], slot_of(run))
        readers = GaugeMetricFamily(
            "airtoll_event_readers", "Who looks on by server-sent events", value=self._services.watches.readers
        )
        away = GaugeMetricFamily("airtoll_pool_turned_away", "Refused at the pool's line", labels=["reason"])
        if pool := self._services.manager.pool:
            for reason, count in pool.strangers.counts.items():
                away.add_metric([reason], count)
        return [states, slots, readers, away]
