"""A connection that swallows everything, as behind a hung load balancer, holds up no delivery."""

from __future__ import annotations

from destinations import grpc_destination, grpc_exporter
from fault_proxy import Fault, fault_proxy
from genops_enricher.export.otlp_grpc import GrpcSender
from genops_enricher.export.outcome import Delivered, Retry
from genops_enricher.pipeline import Signal
from otlp import chat, request, span


def test_after_a_timeout_the_next_attempt_over_grpc_takes_a_new_connection() -> None:
    with grpc_destination() as destination, fault_proxy(destination.port) as proxy:
        sender = GrpcSender(grpc_exporter(proxy.port, timeout_s=3), Signal.TRACES, "test")
        try:
            assert isinstance(sender.send(request(span(chat()))), Delivered)
            proxy.set(Fault.BLACK_HOLE)
            assert isinstance(sender.send(request(span(chat()))), Retry)
            proxy.set(Fault.NONE)  # for new connections only: the old one stays dark

            assert isinstance(sender.send(request(span(chat()))), Delivered)
        finally:
            sender.close()
