"""The one table of feeds: a new feed is a new value here."""

from notifhist.feeds import alertmanager, alertmanager_events, apprise_results, grafana
from notifhist.feeds.feed import Feed

FEEDS: tuple[Feed, ...] = (alertmanager.FEED, alertmanager_events.FEED, grafana.FEED, apprise_results.FEED)
"""All feeds that take payloads of other systems, by HTTP and from files."""


def feed_of(name: str) -> Feed:
    """Return the feed of a name. Raises KeyError."""
    return {feed.name: feed for feed in FEEDS}[name]
