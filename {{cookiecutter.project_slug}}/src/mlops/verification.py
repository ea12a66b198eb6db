"""What an endpoint is put through after a deployment: the contract, the team's own checks, a short load."""

from collections.abc import Callable
from dataclasses import dataclass

from mlops import contract, loadtest, owncheck
from mlops.contract import Check
from mlops.loadtest import Figures
from mlops.owncheck import OwnCheck
from mlops.settings import Environment, Settings


@dataclass(frozen=True)
class Verified:
    """All that was checked and found well; `load` is None when the settings ask for none."""

    endpoint: str
    contract: list[Check]
    own: list[OwnCheck]
    load: Figures | None

    def __str__(self) -> str:
        """`churn-dev answers all 9 requests as agreed, passes 2 checks of its own; under load ...`."""
        own = f", passes {len(self.own)} checks of its own" if self.own else ""
        load = f"; under load {self.load}" if self.load else ""
        return f"{self.endpoint} answers all {len(self.contract)} requests as agreed{own}{load}"


def verify(settings: Settings, environment: Environment, progress: Callable[[str], None]) -> Verified:
    """Put an environment's endpoint through all of it, the cheapest first; what fails ends it.

    Raises:
        BadInput: the contract is not there, or not in its form.
        Failure: a request is not answered as agreed, a check fails, or the load is too much; each is named.
    """
    return Verified(
        endpoint=environment.endpoint_name,
        contract=contract.verify(settings, environment, progress),
        own=owncheck.run(settings, environment, progress),
        load=loadtest.run(settings, environment, progress),
    )
