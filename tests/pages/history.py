"""What the browser looks at: history of a usual kind, and texts that break pages that do not expect them."""

import time
from typing import Any
from urllib.parse import quote

from tests.http.delivery_data import HOUR, MINUTE
from tests.http.helpers import LOGS, RUNS, item_at, log_of, run_of
from tests.system.service import Client

Json = dict[str, Any]
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
MARK = "alert-of-a-script"
"""What a recorded script would leave behind in `document.title` or in `window`."""
SCRIPT = f"<script>window.ran = 1; document.title = '{MARK}'</script><img src=x onerror='window.ran = 1'>"
HOSTILE = (
    "x" * 10_000,
    "https://example.com/" + "path/" * 1000,
    "مرحبا بالعالم \u202e right to left \u202c " * 20,
    "👩‍👩‍👧‍👦🏳️‍🌈" * 100,
    "tab\there\u0007bell\u001b[31mred\u0085next line\u2028separator",
    SCRIPT,
    "\"><svg onload='window.ran = 1'>",
    "{{ 7 * 7 }} ${7 * 7} %s %(x)s",
)


def url_of(entity: str, alarm: str, check: str) -> str:
    """Return the URL of a check's items."""
    ids = [quote(each, safe="") for each in (entity, alarm, check)]
    return "/v1.0/123456/entities/{}/alarms/{}/notification_history/{}".format(*ids)


def result(n: int, text: str = "Notification failed after 10 attempts") -> Json:
    """Return a result; what it says of its success depends on `n`."""
    said = ({"success": True}, {"success": False}, {}, {"success": False, "in_progress": True})[n % 4]
    attempts = [{"message": f"try {each}: {text[:200]}", "from": "ord"} for each in range(n % 3)]
    kind = ("email", "webhook", "sms")[n % 3]
    target = {"address": "ops@example.com"} if n % 2 else {"url": "https://hooks.example.com/x?y=1"}
    return {
        **{"notification_id": f"nt{n % 5}", "notification_type": kind, "notification_details": target},
        **{"message": text, "attempts": attempts, **said},
    }


def record_history(client: Client) -> None:
    """Record items, runs and logs of the last day."""
    now = time.time_ns() // 1_000_000
    for n in range(6):
        items = [
            item_at(
                now - 20 * HOUR + each * 70 * MINUTE + n,
                state=STATES[(each + n) % 3],
                previous_state=STATES[(each + n + 2) % 3],
                status=f"status {each}",
                transaction_id=f"tx{each}",
                notification_plan_id="npOps",
                notification_results=[result(each + n + m) for m in range(each % 3)],
            )
            for each in range(17)
        ]
        _post(client, url_of(f"enWeb{n % 2}", f"alHttp{n // 2}", f"chGet{n % 3}"), {"values": items})
    for n, text in enumerate(HOSTILE):
        details = {"url": "javascript:window.ran = 1", "note": text}
        results = [{**result(1, text), "notification_details": details, "notification_type": text[:2000]}]
        members: Json = {
            "state": text[:2000],
            "previous_state": text[:2000],
            "status": text,
            "suppressions": [text][: n % 2],
        }
        item = item_at(now - 2 * HOUR + n, notification_results=results, own={text[:100]: text}, **members)
        name = text[:250].replace("/", "|").translate(dict.fromkeys([*range(32), *range(127, 160)], "."))
        _post(client, url_of(name, name, name), item)
    runs = [
        run_of(id=n, status=("COMPLETED", "FAILED", "IGNORED")[n % 3], errorMessage=HOSTILE[n % len(HOSTILE)])
        for n in range(1, 13)
    ]
    runs[1] |= {"notificationObjects": [{"id": 1, "name": SCRIPT, "type": "ENTITY", "url": "javascript:window.ran=1"}]}
    runs[2] |= {"originalRunId": 2, "seqNo": 1}
    _post(client, RUNS, {"runs": runs})
    logs = [
        log_of(runId=2, status=status, recipientEmail=text[:3000])
        for text in HOSTILE
        for status in ("DELIVERED", "FAILED")
    ]
    _post(client, LOGS, {"logs": logs})


def _post(client: Client, url: str, document: Json) -> None:
    response = client.post(url, document)
    assert response.status_code == 201, response.text
