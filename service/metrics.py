"""What an operator can graph: one Prometheus registry per app, so that tests do not share it."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

# Stages take from a tenth of a millisecond (grouping) to seconds (a large network on a CPU).
_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PICTURES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one app (state: their values)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "quadglass_requests",
            "HTTP requests by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "quadglass_request_seconds",
            "From the request line to the last byte of the response.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.frame_sets = Counter(
            "quadglass_frame_sets",
            "Frame sets and single pictures by how they ended: ok, or the problem's code.",
            ["outcome"],
            registry=self.registry,
        )
        self.stream_dropped = Counter(
            "quadglass_stream_dropped",
            "Frame sets of live streams that got no result, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.webhooks = Counter(
            "quadglass_webhooks",
            "Messages of finished jobs: delivered, failed (and tried again), given_up.",
            ["outcome"],
            registry=self.registry,
        )
        self.connections = Gauge(
            "quadglass_connections",
            "Live streams and watchers that are connected.",
            registry=self.registry,
        )
        self.people = Counter(
            "quadglass_people", "People found in three dimensions.", registry=self.registry
        )
        self.stages = Histogram(
            "quadglass_stage_seconds",
            "Time in each stage of the pipeline.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_pictures = Histogram(
            "quadglass_batch_pictures",
            "Pictures that went through the network together.",
            buckets=_PICTURES,
            registry=self.registry,
        )
        self.queue_tasks = Gauge(
            "quadglass_queue_tasks", "Frame sets waiting or worked on.", registry=self.registry
        )
        self.queue_oldest = Gauge(
            "quadglass_queue_oldest_seconds", "Age of the oldest of them.", registry=self.registry
        )
        self.workers_warm = Gauge(
            "quadglass_workers_warm", "Warmed-up workers in this process.", registry=self.registry
        )
        self.calibrations = Counter(
            "quadglass_calibration_jobs",
            "Calibration jobs by how they ended.",
            ["outcome"],
            registry=self.registry,
        )

    def observe_stages(self, timings_ms: Mapping[str, float]) -> None:
        """Milliseconds of each stage of one frame set."""
        for stage, milliseconds in timings_ms.items():
            self.stages.labels(stage).observe(milliseconds / 1e3)
