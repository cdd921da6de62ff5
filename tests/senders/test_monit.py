"""monit: what `exec` runs is an item with its outcome."""

import os

from tests.senders.lab import CRITICAL, OK, Lab


def test_a_change_is_an_item_with_the_outcome(lab: Lab) -> None:
    command = " ".join([*lab.wrapper, "--", f"{lab.folder}/notify"])
    lab.start("monit", "-I", "-c", lab.configure("monitrc", COMMAND=command))
    lab.wait_for_checks()
    lab.set_state(CRITICAL)
    place = (os.uname().nodename, "disk_var")
    item = lab.wait_for("Status failed", *place)
    assert item["status"].startswith("status failed (2) -- state 2: /var is 97% full")
    assert item["source"]["preset"] == "monit"
    (result,) = item["notification_results"]
    assert (result["notification_id"], result["success"]) == ("notify", False)
    assert result["notification_details"]["program_status"] == "2"
    assert result["message"] == "exit 3: cannot connect"
    lab.set_state(OK)
    assert lab.wait_for("Status succeeded", *place)["notification_results"][0]["success"] is False
