"""What happens to an endpoint in the background: servers come up, traffic is shifted, the endpoint settles."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from sandbox.documents import Document, now, public
from sandbox.hosting import alarms, configurations, models, rollout, traffic
from sandbox.hosting.fleet import Fleet
from sandbox.hosting.rollout import RolledBack, Step
from sandbox.hosting.servers import Unhealthy
from sandbox.hosting.traffic import Traffic
from sandbox.operations import Call, Refusal
from sandbox.sandbox import Sandbox

KIND = "Endpoint"
_RECOVERED: set[Path] = set()


@dataclass
class Deployment:
    """A fleet on its way into an endpoint."""

    sandbox: Sandbox
    account: str
    region: str
    endpoint: Document
    fleet: Fleet

    def create(self) -> None:
        """Bring up a new endpoint: InService when its servers answer, Failed when they do not."""
        self._announce()
        self._in_background(self._create)

    def update(self, steps: list[Step], watched: list[str], serving: Traffic) -> None:
        """Shift the traffic of an endpoint over, or back when an alarm fires."""
        self._announce()
        self._in_background(lambda: self._update(steps, watched, serving))

    def _create(self) -> None:
        try:
            self.fleet.start()
        except (Unhealthy, Refusal) as problem:
            self._settle(EndpointStatus="Failed", FailureReason=str(problem))
            return
        traffic.open_to(self.sandbox, self.endpoint["EndpointArn"], self.fleet)
        self._settle(EndpointStatus="InService")

    def _update(self, steps: list[Step], watched: list[str], serving: Traffic) -> None:
        try:
            self.fleet.start()
            serving.coming = self.fleet
            rollout.carry_out(steps, serving, self.sandbox.seconds, lambda: self._firing(watched), alarms.TICK_SECONDS)
        except (Unhealthy, RolledBack, Refusal) as problem:
            self._settle(EndpointStatus="RollingBack", FailureReason=str(problem))
            serving.abandon()
            self._settle(EndpointStatus="InService")
            return
        # It serves before the old fleet is gone, but is not InService before that.
        self.endpoint["EndpointConfigName"] = self.endpoint["_next"]
        serving.finish()
        self._settle(EndpointStatus="InService")

    def _firing(self, watched: list[str]) -> list[str]:
        return alarms.firing(self.sandbox, self.account, self.region, watched)

    def _settle(self, **members: Any) -> None:
        with self.sandbox.documents.lock:
            if members["EndpointStatus"] == "InService":
                self.endpoint.pop("_next", None)
            self.endpoint.update(members, LastModifiedTime=now())
            self.sandbox.documents.changed()
        self._announce()

    def _announce(self) -> None:
        announce(self.sandbox, self.account, self.region, self.endpoint)

    def _in_background(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as problem:
                traceback.print_exc()
                reason = f"InternalServerError: {type(problem).__name__}: {problem}"
                self._settle(EndpointStatus="Failed", FailureReason=reason)

        Thread(target=guarded, daemon=True, name=self.endpoint["EndpointName"]).start()


def table(call: Call) -> dict[str, Document]:
    """The endpoints; what a sandbox before this one did not finish has settled by now."""
    with call.sandbox.documents.lock:
        if call.sandbox.state not in _RECOVERED:
            _RECOVERED.add(call.sandbox.state)
            call.sandbox.on_stop.append(lambda: _forget(call.sandbox))
            _settle_the_interrupted(call.sandbox)
            alarms.watch(call.sandbox)
        return call.table(KIND)


def fleet_of(call: Call, endpoint: str, configuration: Document, again: bool = False) -> Fleet:
    """The fleet, not started yet, that serves a configuration.

    Args:
        call: who asks.
        endpoint: its name.
        configuration: of the endpoint.
        again: it served before the sandbox was restarted, so its packages may have lost their approval since.

    Raises:
        Refusal: a model is gone, or its package is not Approved any more.
    """
    contents = {
        variant["VariantName"]: models.resolve(call, models.found(call, variant["ModelName"]), again)
        for variant in configurations.variants(configuration)
    }
    return Fleet(call.sandbox, call.caller.account, call.caller.region, endpoint, configuration, contents)


def serving(call: Call, endpoint: Document) -> Traffic:
    """The traffic of an endpoint that is in service; its servers start again after the sandbox did."""
    with call.sandbox.documents.lock:
        known = traffic.of(call.sandbox, endpoint["EndpointArn"])
        if known:
            return known
        configuration = configurations.found(call, endpoint["EndpointConfigName"])
        fleet = fleet_of(call, endpoint["EndpointName"], configuration, again=True)
        return traffic.open_to(call.sandbox, endpoint["EndpointArn"], fleet)


def summaries(call: Call, configuration: Document, changed: dict[str, Document]) -> Document:
    """The variants of a configuration as DescribeEndpoint shows them."""

    def summary(variant: Document) -> Document:
        desired = changed.get(variant["VariantName"], {})
        weight = desired.get("DesiredWeight", variant.get("InitialVariantWeight", 1.0))
        shown: Document = {
            "VariantName": variant["VariantName"],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "DeployedImages": _images(call, variant),
        }
        if variant.get("ServerlessConfig"):
            return {**shown, "CurrentServerlessConfig": variant["ServerlessConfig"]}
        count = desired.get("DesiredInstanceCount", variant["InitialInstanceCount"])
        return {**shown, "CurrentInstanceCount": count, "DesiredInstanceCount": count}

    members = ("ProductionVariants", "ShadowProductionVariants")
    return {name: [summary(each) for each in configuration[name]] for name in members if configuration.get(name)}


def announce(sandbox: Sandbox, account: str, region: str, endpoint: Document) -> None:
    """Send the event of a change of state; it spells the states IN_SERVICE, ROLLING_BACK and so on."""
    status = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", endpoint["EndpointStatus"]).upper()
    detail = {**public(endpoint), "EndpointStatus": status}
    sandbox.emit(account, region, "SageMaker Endpoint State Change", detail)


def _images(call: Call, variant: Document) -> list[Document]:
    try:
        image = models.resolve(call, models.found(call, variant["ModelName"]), again=True).image
    except Refusal:
        return []  # Its model was deleted, or its package rejected, while it served.
    return [{"SpecifiedImage": image, "ResolvedImage": image}]


def _forget(sandbox: Sandbox) -> None:
    _RECOVERED.discard(sandbox.state)
    traffic.close_all(sandbox)


def _settle_the_interrupted(sandbox: Sandbox) -> None:
    for _, _, endpoints in sandbox.documents.everywhere(KIND):
        for endpoint in endpoints.values():
            if endpoint["EndpointStatus"] == "Creating":
                endpoint.update(
                    EndpointStatus="Failed", FailureReason="the sandbox stopped while the endpoint was made"
                )
            elif endpoint["EndpointStatus"] != "Failed":
                if endpoint.pop("_next", None):
                    endpoint["FailureReason"] = "the sandbox stopped during the deployment: it was rolled back"
                endpoint["EndpointStatus"] = "InService"
            sandbox.documents.changed()
