"""A breach rolls back; what is no breach does not."""

import pytest

from tests.scenario.world import BAD, GOOD, World
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster


def test_a_breach_puts_the_last_verified_version_back_and_proves_it(protected: World) -> None:
    protected.deploy("v13")
    protected.wait_for_version("v13")
    protected.quality(BAD)
    wait_until(protected.image, accept=lambda image: image.endswith(":v12"), describe="v12 to be put back")
    protected.quality(GOOD)
    done = protected.wait_for_result()

    assert done["status"]["result"] == "Succeeded"
    assert (done["status"]["fromVersion"], done["status"]["toVersion"]) == ("v13", "v12")
    assert done["status"]["evidence"][0]["value"] == "0.62"
    assert [s["state"] for s in done["status"]["steps"]] == ["Succeeded", "Succeeded"]
    status = protected.get("modeldeployment")["status"]
    assert (status["currentVersion"], status["activeRollback"]) == ("v12", "")
    assert [q["version"] for q in status["quarantined"]] == ["v13"]
