"""Which version is put back, by strategy: v12 and v13 have run, v14 is bad."""

import pytest

from tests.scenario.world import BAD, GOOD, World

pytestmark = pytest.mark.cluster

STRATEGIES = {
    "the pinned one, though a newer one is Verified": ({"strategy": "Pinned", "version": "v12"}, "2s", "v12"),
    "the newest Verified one": ({"strategy": "LastVerified"}, "2s", "v13"),
    "the one before, Verified or not, where the policy allows it": (
        {"strategy": "Previous", "allowUnverified": "WhenNoVerified"},
        "1h",
        "v13",
    ),
    "never an unverified one unless allowed": ({"strategy": "LastVerified"}, "1h", "v12"),
}


@pytest.mark.parametrize("case", STRATEGIES)
def test_which_version_is_put_back(protected: World, case: str) -> None:
    target, verified_after, expected = STRATEGIES[case]
    protected.patch("rollbackpolicy", {"target": target})
    protected.patch("modeldeployment", {"versioning": {"verifiedAfter": verified_after}})
    protected.deploy("v13")
    protected.wait_for_version("v13", verified=verified_after == "2s")
    protected.wait_for_record("v13")
    protected.deploy("v14")
    protected.wait_for_version("v14")
    protected.quality(BAD)
    protected.wait_for_image(expected)
    protected.quality(GOOD)

    status = protected.wait_for_result()["status"]
    assert (status["result"], status["fromVersion"], status["toVersion"]) == ("Succeeded", "v14", expected)
